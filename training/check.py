"""Checks a training set before a step is taken: ``python -m training.check DATA --images DIR``.

Every record is read, its conversation rendered with the checkpoint's tokenizer, every picture
decoded to its end. Ends with 0 where all is well, 1 where something is wrong, 2 where the check
cannot run, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from llava_core.errors import CoreError
from llava_core.training.records import DataError, RecordFile
from training.checking import Checker, Duplicates, Finding, Problem, mend
from training.measure import BUNDLED, load_measure
from training.tally import Tally, show, show_fix
from training.writing import whole_file

_CHUNK = 64
_ALONE = 500
"""Sets smaller than this are checked before other processes have started."""


@dataclass(frozen=True)
class Options:
    """What is checked, against what, and what is written."""

    data: Path
    images: Path
    model: Path
    cache: Path
    max_tokens: int = 2048
    template: str | None = None
    fix: Path | None = None
    report: Path | None = None
    workers: int = 1


def check(options: Options, console: Console) -> Tally:
    """Check a whole set; writes what the options ask for, whole or not at all.

    Progress goes to ``console``. Raises ``DataError``, ``CoreError`` or ``OSError`` where it cannot
    run.
    """
    tally, duplicates = Tally(), Duplicates()
    with _progress(console) as bar, ExitStack() as files:
        checker = _open(options, bar)
        fix, report = (
            files.enter_context(whole_file(path)) if path else None
            for path in (options.fix, options.report)
        )
        task = bar.add_task("checking", total=len(checker.file))
        for finding in findings(checker, options):
            repeated, kept = duplicates.add(finding)
            problems = (*finding.problems, *repeated)
            tally.add(finding, problems, kept)
            _write(fix if kept else None, report, checker.file, finding, problems)
            bar.advance(task)
    return tally


def _open(options: Options, bar: Progress | None = None) -> Checker:
    told = None
    if bar:
        told = partial(_advance, bar, bar.add_task("reading", total=None))
    file = RecordFile(options.data, options.cache, told)
    measure = load_measure(options.model, options.template)
    return Checker(file, options.images, measure, options.max_tokens)


def _advance(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _write(
    fix: TextIO | None,
    report: TextIO | None,
    file: RecordFile,
    finding: Finding,
    problems: Sequence[Problem],
) -> None:
    if fix:
        source = file.source(finding.record)
        mended = mend(source) if finding.mendable else source
        fix.write(json.dumps(mended, ensure_ascii=False) + "\n")
    if report:
        report.writelines(json.dumps(asdict(problem)) + "\n" for problem in problems)


def findings(checker: Checker, options: Options) -> Iterator[Finding]:
    """What the checker finds, record by record, in their order; large sets in several processes."""
    total = len(checker.file)
    if options.workers <= 1 or total < _ALONE:
        yield from (checker.check(index) for index in range(total))
        return
    context = get_context("spawn")
    pool = ProcessPoolExecutor(options.workers, context, initializer=_start, initargs=(options,))
    try:
        for chunk in pool.map(_check_chunk, range(0, total, _CHUNK)):
            yield from chunk
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_checker: Checker | None = None
"""The checker of a worker process."""


def _start(options: Options) -> None:
    global _checker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    _checker = _open(options)


def _check_chunk(start: int) -> list[Finding]:
    assert _checker is not None
    stop = min(start + _CHUNK, len(_checker.file))
    return [_checker.check(index) for index in range(start, stop)]


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m training.check", description=__doc__)
    parser.add_argument("data", type=Path, help="LLaVA's training records, .json or .jsonl")
    parser.add_argument("--images", type=Path, help="folder of the pictures; default: DATA's")
    parser.add_argument("--model", type=Path, default=BUNDLED, help="checkpoint or tokenizer")
    parser.add_argument("--template", help="named chat template, instead of the checkpoint's own")
    parser.add_argument("--max-tokens", type=int, default=2048, help="where training cuts")
    parser.add_argument("--fix", type=Path, metavar="OUT.jsonl", help="write the clean rest there")
    parser.add_argument(
        "--report", type=Path, metavar="FILE.jsonl", help="write all problems there"
    )
    parser.add_argument("--cache", type=Path, help="for a .json's lines; default: .cache there")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    found = parser.parse_args(arguments)
    found.images = found.images or found.data.parent
    found.cache = found.cache or found.data.parent / ".cache"
    if not found.images.is_dir():
        parser.error(f"--images {found.images} is not a folder: name the one with the pictures")
    if found.max_tokens < 1 or found.workers < 1:
        parser.error("--max-tokens and --workers must be at least 1")
    written = [path for path in (found.fix, found.report) if path]
    if len({path.resolve() for path in (found.data, *written)}) <= len(written):
        parser.error("a file would be overwritten: give DATA, --fix and --report different names")
    for path in written:
        if path.suffix != ".jsonl":
            parser.error(f"{path} is written as JSON lines: give it a name that ends with .jsonl")
    return Options(**vars(found))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _options(arguments)
    console = Console()
    try:
        tally = check(options, Console(stderr=True))
        context = load_measure(options.model, options.template).context
        show(tally, options.max_tokens, context, console)
    except (DataError, CoreError, OSError) as error:
        print(f"training.check: {error}", file=sys.stderr)
        return 2
    except BrokenProcessPool:
        print(
            "training.check: a process died, perhaps of memory. Give fewer --workers.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        return 130
    if options.fix:
        show_fix(tally, options.fix, console)
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Instruction data from a teacher that is told what pictures show, as in the paper's section 3.

``python -m training.generate_data SOURCE --teacher URL --model NAME --out FILE`` asks any
OpenAI-compatible endpoint for conversations, descriptions and complex reasoning, checks every reply
and writes LLaVA's training JSON. Killed and started again it asks nothing twice. ``--teacher
drawn`` needs no endpoint: rules answer about drawn scenes. Ends with 0, with 1 where replies are
missing, 2 where it cannot run, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import track

from llava_core.errors import CoreError
from llava_core.training.records import DataError
from training.drawing import draw_image
from training.endpoint.asking import Outcome
from training.endpoint.errors import EndpointError
from training.endpoint.flags import Job, add_flags, job_of
from training.endpoint.journal import Journal
from training.endpoint.request import Reply, Request
from training.entry import INTERRUPTED, interruptible
from training.generation.checks import Checker, Reject
from training.generation.drawn import drawn_reply
from training.generation.gathering import Gatherer, Task, plan
from training.generation.objects import Objects
from training.generation.prompts import Kind, Prompts, load_prompts, request_of
from training.generation.report import Cost, show, write_report
from training.generation.source import SCENES, Source, categories, read_source
from training.picture_set import save_picture
from training.writing import whole_file

DRAWN = "drawn"
_SHOWN = 20
"""Problems of a source on the screen."""
_PIXELS = 224


@dataclass(frozen=True)
class Options:
    """What is asked about, for what, and where everything goes. ``job`` None: drawn."""

    source: str
    instances: Path | None
    kinds: tuple[tuple[Kind, int | None], ...]
    out: Path
    images: Path
    prompts: Path | None
    see: bool
    skip_bad: bool
    number: int | None
    seed: int
    job: Job | None

    def beside(self, ending: str) -> Path:
        """A file beside the result."""
        return self.out.with_name(f"{self.out.stem}.{ending}")


class _Generation:
    """One run of the command."""

    def __init__(self, options: Options, source: Source, console: Console) -> None:
        self._options, self._console = options, console
        kinds = [kind for kind, _ in options.kinds]
        self._prompts: Prompts = load_prompts(kinds, options.prompts)
        self._tasks = plan(source.subjects[: options.number], options.kinds, options.seed)
        objects = Objects(self._prompts.objects, categories(source.subjects))
        self._gatherer = Gatherer(self._prompts, Checker(objects), options.seed)

    def run(self) -> int:
        """Ask, gather, write, tell; returns the exit status."""
        if self._options.source.startswith(SCENES):
            self._draw()
        if self._options.job is None:
            return self._from_rules()
        return self._from_endpoint(self._options.job)

    def _draw(self) -> None:
        """The pictures of drawn scenes, as far as they are not there yet."""
        folder = self._options.images
        folder.mkdir(parents=True, exist_ok=True)
        subjects = {task.subject.id: task.subject for task in self._tasks}
        console = Console(stderr=True)
        shown = track(
            subjects.values(), "drawing", console=console, disable=not console.is_terminal
        )
        for subject in shown:
            path = folder / subject.image
            if subject.scene is not None and not path.exists():
                save_picture(draw_image(subject.scene, _PIXELS), path)

    def _from_rules(self) -> int:
        replies: dict[str, Reply] = {}
        for task in self._tasks:
            text = drawn_reply(task.kind, task.subject, self._options.seed)
            if text is not None:
                replies[task.id] = Reply(text)
        self._write((task, replies.get(task.id)) for task in self._tasks)
        show(self._gatherer.tally, self._options.out, None, self._console)
        return 0

    def _from_endpoint(self, job: Job) -> int:
        path = self._options.beside("replies.jsonl")
        with job.journal(path) as journal:
            outcome = job.asker(journal, "asking", len(self._tasks)).run(self._requests())
            if outcome.interrupted:
                said = f"Interrupted; {len(journal):,} replies are kept in {path}. The same command"
                print(f"{said} goes on from there.", file=sys.stderr)
                return INTERRUPTED
            cost = Cost(journal.usage, job.prices, job.address.model, len(journal))
            self._write(self._replies(journal), outcome, cost)
        show(self._gatherer.tally, self._options.out, cost, self._console)
        if outcome.stopped:
            print(f"training.generate_data: {outcome.stopped}", file=sys.stderr)
        return 1 if outcome.stopped or outcome.failures else 0

    def _requests(self) -> Iterator[Request]:
        for task in self._tasks:
            yield self._request(task)

    def _request(self, task: Task) -> Request:
        images = self._options.images if self._options.see else None
        return request_of(task.kind, self._prompts.by_kind[task.kind], task.subject, images)

    def _replies(self, journal: Journal) -> Iterator[tuple[Task, Reply | None]]:
        return ((task, journal.get(self._request(task))) for task in self._tasks)

    def _write(
        self,
        replies: Iterator[tuple[Task, Reply | None]],
        outcome: Outcome | None = None,
        cost: Cost | None = None,
    ) -> None:
        """Records, rejects and report, each whole or not at all."""
        failed = {one.id: one.reason for one in outcome.failures} if outcome else {}
        options = self._options
        with (
            whole_file(options.out) as records,
            whole_file(options.beside("rejects.jsonl")) as rejects,
        ):
            as_list = options.out.suffix == ".json"
            start, between, end = ("[\n", ",\n", "\n]\n") if as_list else ("", "\n", "\n")
            written = 0
            records.write(start)
            for task, reply in replies:
                made = self._made(task, reply, failed)
                if isinstance(made, Reject):
                    rejects.write(json.dumps(asdict(made), ensure_ascii=False) + "\n")
                elif made is not None:
                    records.write(between if written else "")
                    records.write(json.dumps(made, ensure_ascii=False))
                    written += 1
            records.write(end if written or as_list else "")
        partial = str(outcome.stopped) if outcome and outcome.stopped else ""
        write_report(
            options.beside("html"),
            options.out.name,
            self._gatherer.tally,
            options.images,
            cost,
            partial,
        )

    def _made(
        self, task: Task, reply: Reply | None, failed: dict[str, str]
    ) -> dict[str, object] | Reject | None:
        if reply is not None:
            return self._gatherer.take(task, reply)
        if task.id in failed:
            return self._gatherer.fail(task, failed[task.id])
        self._gatherer.skip(task)
        return None


def _kinds(text: str) -> tuple[tuple[Kind, int | None], ...]:
    """``conversation:500,detail`` as kinds with their numbers."""
    found: dict[Kind, int | None] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition(":")
        known = next((kind for kind in get_args(Kind) if kind == name), None)
        if known is None or known in found or (":" in part and not number.isdecimal()):
            raise argparse.ArgumentTypeError(
                f"{part.strip()!r}: name each of conversation, detail, reasoning once, perhaps "
                "with a number, as in detail:500"
            )
        found[known] = int(number) if number else None
    return tuple(found.items())


def _parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m training.generate_data", description=__doc__)
    add = parser.add_argument
    add("source", help=f"COCO captions (.json), captions and boxes (.jsonl), or {SCENES}NUMBER")
    add("--instances", type=Path, help="COCO's boxes of the same pictures")
    add("--kinds", type=_kinds, default="conversation,detail,reasoning", help="KIND or KIND:NUMBER")
    add("--teacher", required=True, metavar="URL", help=f"the endpoint, or {DRAWN}: rules")
    add("--model", help="the teacher's name at the endpoint")
    add("--out", type=Path, required=True, help="training records, .json or .jsonl")
    add("--images", type=Path, help="folder of the pictures; default: pictures beside OUT")
    add("--see", action="store_true", help="the teacher sees the pictures, too")
    add("--prompts", type=Path, help="folder of your own prompts; default: training/prompts")
    add("--skip-bad", action="store_true", help="leave out records of SOURCE that are wrong")
    add("--number", type=int, help="the first so many pictures of SOURCE")
    add("--seed", type=int, default=0, help="draws pictures, questions and samples")
    add_flags(parser, temperature=0.7, max_tokens=1024)
    options = parser.parse_args(arguments)
    _check(options, parser)
    return Options(
        options.source,
        options.instances,
        options.kinds,
        options.out,
        options.images or options.out.parent / "pictures",
        options.prompts,
        options.see,
        options.skip_bad,
        options.number,
        options.seed,
        None if options.teacher == DRAWN else job_of(options, parser, options.teacher),
    )


def _check(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    drawn = options.source.startswith(SCENES)
    if options.teacher == DRAWN and not drawn:
        parser.error(f"--teacher {DRAWN} knows drawn scenes only: give {SCENES}NUMBER as SOURCE")
    if options.teacher != DRAWN and not options.model:
        parser.error("--model is missing: the name by which the endpoint knows the teacher")
    if options.out.suffix not in (".json", ".jsonl"):
        parser.error(f"--out {options.out} must end with .json or .jsonl")
    if options.instances and not options.source.endswith(".json"):
        parser.error("--instances belongs to COCO's captions (.json)")
    if options.number is not None and options.number < 1:
        parser.error("--number must be at least 1")
    if options.see and not drawn and not (options.images and options.images.is_dir()):
        parser.error("--see needs --images, the folder of the pictures")


def _tell_problems(source: Source, skipped: bool) -> None:
    for note in source.notes:
        print(note, file=sys.stderr)
    for problem in source.problems[:_SHOWN]:
        print(problem, file=sys.stderr)
    more = len(source.problems) - _SHOWN
    if more > 0:
        print(f"... and {more:,} more", file=sys.stderr)
    if source.problems and skipped:
        print(f"{len(source.problems):,} records are left out", file=sys.stderr)


@interruptible("no training file was written. The same command goes on.")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parse(arguments)
    try:
        source = read_source(options.source, options.instances, options.seed)
        _tell_problems(source, options.skip_bad)
        if source.problems and not options.skip_bad:
            raise DataError(
                f"{len(source.problems):,} records of {options.source} are wrong, and nothing was "
                "asked",
                "Correct them, or leave them out with --skip-bad.",
            )
        if not source.subjects:
            raise DataError(f"{options.source} holds no record that is right", "Correct some.")
        return _Generation(options, source, Console()).run()
    except (DataError, CoreError, EndpointError, OSError) as error:
        print(f"training.generate_data: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

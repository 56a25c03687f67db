"""The concept-balanced choice of caption pairs for stage 1, as the paper made 595K of CC3M.

``python -m training.balance_captions PAIRS --out FILE`` reads LLaVA's records with one caption each
(or records with a key "caption"), and writes those that are chosen, as they were. The same seed
gives the same file. Ends with 0, or with 2 where it cannot run, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.progress import track
from rich.table import Table

from llava_core.training.records import DataError, RecordFile, parse_record
from training.concepts import Choice, Concepts, balance
from training.entry import interruptible
from training.noun_phrases import Finder, finder_here, noun_phrases_by
from training.writing import whole_file


def caption_of(source: dict[str, Any], number: int) -> str:
    """The caption of a record: its key "caption", or its first answer.

    Raises :class:`llava_core.training.records.DataError` where there is none.
    """
    caption = source.get("caption")
    if caption is None:
        turns = parse_record(source, number).turns
        caption = next((text for who, text in turns if who in ("gpt", "assistant")), "")
    if not isinstance(caption, str) or not caption.strip():
        raise DataError(
            f"its caption is {json.dumps(caption)[:40]}", "Write one, or remove it.", number
        )
    return " ".join(caption.split())


def read_concepts(file: RecordFile, finder: Finder, console: Console) -> Concepts:
    """The noun phrases of all captions of a file."""
    noun_phrases, concepts = noun_phrases_by(finder), Concepts()
    numbers = track(
        range(len(file)), "noun phrases", console=console, disable=not console.is_terminal
    )
    for number in numbers:
        concepts.add(noun_phrases(caption_of(file.source(number), number)))
    return concepts


def write_chosen(file: RecordFile, choice: Choice, out: Path) -> None:
    """The chosen records as they were: a JSON list, or JSON lines, by the name of ``out``."""
    start, between, end = ("[\n", ",\n", "\n]\n") if out.suffix == ".json" else ("", "\n", "\n")
    with whole_file(out) as opened:
        opened.write(start)
        for place, number in enumerate(choice.chosen):
            opened.write(between if place else "")
            opened.write(json.dumps(file.source(number), ensure_ascii=False))
        opened.write(end)


def _show(choice: Choice, finder: Finder, out: Path, console: Console) -> None:
    table = Table("step", title=f"noun phrases by {finder}")
    table.add_column("how many", justify="right")
    for step in choice.steps:
        table.add_row(step.words, f"{step.number:,}")
    console.print(table)
    said = f"{len(choice.chosen):,} records in {out}"
    console.print(said, highlight=False, markup=False, soft_wrap=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.balance_captions", description=__doc__
    )
    add = parser.add_argument
    add("pairs", type=Path, help="records with captions, .json or .jsonl")
    add("--out", type=Path, required=True, help="the chosen records, .json or .jsonl")
    add("--rarest", type=int, default=3, help="rarer noun phrases are skipped; default: 3")
    add("--most", type=int, default=100, help="captions drawn for a frequent one; default: 100")
    add("--seed", type=int, default=0, help="draws them")
    add("--phrases", choices=get_args(Finder), help="default: spacy where it is, else textblob")
    add("--cache", type=Path, help="for a .json's lines; default: .cache there")
    options = parser.parse_args(arguments)
    if options.out.suffix not in (".json", ".jsonl"):
        parser.error(f"--out {options.out} must end with .json or .jsonl")
    if options.out.resolve() == options.pairs.resolve():
        parser.error("--out would overwrite the pairs: give it another name")
    if options.rarest < 1 or options.most < 1:
        parser.error("--rarest and --most must be at least 1")
    return options


@interruptible("nothing was written.")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parse(arguments)
    finder: Finder = options.phrases or finder_here()
    try:
        file = RecordFile(options.pairs, options.cache or options.pairs.parent / ".cache")
        concepts = read_concepts(file, finder, Console(stderr=True))
        choice = balance(concepts, options.rarest, options.most, options.seed)
        if not choice.chosen:
            raise DataError(
                f"no noun phrase is in {options.rarest} of {concepts.captions:,} captions",
                "Give more captions, or a smaller --rarest.",
            )
        write_chosen(file, choice, options.out)
    except (DataError, OSError, ImportError) as error:
        print(f"training.balance_captions: {error}", file=sys.stderr)
        return 2
    _show(choice, finder, options.out, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())

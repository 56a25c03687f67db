"""``scenes``: questions about drawn scenes, all types, against the truth.

Scenes are drawn with other seeds than any that training uses. Each question is asked twice, with
its own picture and with another one: what stays right there is guessing. Answers are compared word
for word, case and punctuation apart.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from llava_core.conversation import Conversation
from llava_core.loading import load_checkpoint
from training.checkpoint import draw_picture
from training.evals.answer_file import RowFile, answer_row
from training.evals.answering import Answerer
from training.evals.endpoint_answers import data_url
from training.evals.results import Figure, Result, Sample, write_result
from training.evals.rows import Row
from training.evals.shares import wilson
from training.evaluation import Item, conversation_of, held_out_items, is_right, stranger
from training.questions import TYPES

OWN, OTHER = "own", "other"


@dataclass(frozen=True)
class Question:
    """A held-out question with one of its two pictures."""

    id: str
    item: Item
    picture: str
    conversation: Conversation


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's options."""
    parser = commands.add_parser(
        "scenes", help="ask about drawn scenes, and compare with the truth", description=__doc__
    )
    parser.add_argument("--model", required=True, help="a folder or hub id")
    parser.add_argument("--per-type", type=int, default=100, help="questions of each type")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=0, help="questions at once")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, help="answers; the same command goes on from there")
    parser.add_argument("--result", type=Path, help="write the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask, score and print. Raises :class:`llava_core.errors.CoreError`."""
    asked = questions(options.seed, options.per_type)
    checkpoint = load_checkpoint(options.model, options.precision, serving=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = RowFile(options.out or Path(folder) / "answers.jsonl")
        _ask(Answerer(checkpoint, options.batch, 96), asked, kept)
    rows = {each.id: kept.rows[each.id] for each in asked}
    figures = figures_of(asked, rows)
    show(checkpoint.name, figures, Console())
    if options.result:
        settings = {"per type": options.per_type, "seed": options.seed}
        write_result(
            options.result,
            Result(
                kind="scenes",
                model=checkpoint.name,
                headline="mean",
                figures=figures,
                settings=settings | {"precision": checkpoint.precision},
                samples=samples(asked, rows),
            ),
        )
    return 0


def questions(seed: int, per_type: int) -> list[Question]:
    """Every question with its own picture, and with another one."""
    items = held_out_items(seed, per_type)
    found = []
    for index, item in enumerate(items):
        for which, scene in ((OWN, item.scene), (OTHER, stranger(items, index))):
            conversation = conversation_of(item, draw_picture(scene))
            found.append(Question(f"{seed}/{index}/{which}", item, which, conversation))
    return found


def _ask(answerer: Answerer, asked: Sequence[Question], kept: RowFile) -> None:
    left = [(each.id, each.conversation) for each in asked if each.id not in kept.rows]
    by_id = {each.id: each for each in asked}
    told: Iterator[tuple[str, str]] = answerer.answers(left)
    try:
        for name, text in track(told, "asking", total=len(left)):
            turn = by_id[name].item.turn
            metadata = {"category": turn.kind, "expected": turn.answer}
            kept.add(answer_row(name, turn.question, text, answerer.checkpoint.name, metadata))
        kept.finish(each.id for each in asked)
    finally:
        kept.close()


def figures_of(asked: Sequence[Question], rows: Mapping[str, Row]) -> dict[str, Figure]:
    """For each type the share that is right, and "TYPE, other picture"; "mean" over types."""
    figures = {}
    for which, suffix in ((OWN, ""), (OTHER, ", other picture")):
        shares = []
        for kind in TYPES:
            right = [
                is_right(str(rows[each.id]["text"]), each.item.turn.answer)
                for each in asked
                if each.picture == which and each.item.turn.kind == kind
            ]
            counted = wilson(right)
            shares.append(counted.percent)
            figures[f"{kind}{suffix}"] = Figure(
                counted.percent, counted.number, counted.low, counted.high
            )
        figures[f"mean{suffix}"] = Figure(sum(shares) / len(shares), len(asked) // 2)
    return figures


def samples(asked: Sequence[Question], rows: Mapping[str, Row]) -> list[Sample]:
    """The first question of each type with its own picture."""
    found: dict[str, Sample] = {}
    for each in asked:
        if each.picture == OWN and each.item.turn.kind not in found:
            text = str(rows[each.id]["text"])
            turn = each.item.turn
            right, picture = is_right(text, turn.answer), data_url(each.conversation.images[0])
            found[turn.kind] = Sample(turn.question, text, turn.answer, picture, right)
    return list(found.values())


def show(name: str, figures: Mapping[str, Figure], console: Console) -> None:
    """Print the table."""
    table = Table(title=f"{name}: drawn scenes, percent right")
    for column in ("", "own picture", "95% interval", "other picture", "questions"):
        table.add_column(column, justify="left" if not column else "right")
    for kind in (*TYPES, "mean"):
        own, other = figures[kind], figures[f"{kind}, other picture"]
        between = f"{own.low:.0f} to {own.high:.0f}" if own.low is not None else ""
        row = (f"{own.percent:.1f}", between, f"{other.percent:.1f}", f"{own.number}")
        if kind == "mean":
            table.add_section()
        table.add_row(kind.replace("_", " "), *row)
    console.print(table)

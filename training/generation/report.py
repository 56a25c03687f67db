"""What a generation has made, in the terminal and as a page beside the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from llava_core.errors import PictureError
from llava_core.training.records import open_picture
from training.data_urls import data_url
from training.endpoint.budget import Prices
from training.endpoint.request import Usage
from training.generation.checks import REASONS
from training.generation.gathering import Tally
from training.generation.report_page import Head, page
from training.writing import whole_file


@dataclass(frozen=True)
class Cost:
    """What the replies of a job have cost, and who gave them."""

    usage: Usage
    prices: Prices
    model: str
    replies: int

    @property
    def words(self) -> str:
        """Tokens, and money where prices are known."""
        about = "about " if self.usage.estimated else ""
        told = f"{about}{self.usage.read:,} tokens read, {self.usage.written:,} written"
        return f"{told}, cost {self.prices.of(self.usage):,.4f}" if self.prices else told


def show(tally: Tally, out: Path, cost: Cost | None, console: Console) -> None:
    """Counts by kind, rejects by reason, cost, and where everything is."""
    table = Table("kind")
    for heading in ("asked about", "records", "rejected", "without reply", "turns"):
        table.add_column(heading, justify="right")
    for kind, counts in (*tally.kinds.items(), ("all", tally.total())):
        row = (counts.tasks, counts.kept, counts.rejected, counts.open, counts.turns)
        table.add_row(kind, *(f"{number:,}" for number in row))
    console.print(table)
    for reason, number in tally.reasons.most_common():
        _say(console, f"{number:,} rejected: {reason} ({REASONS[reason]})")
    if cost is not None:
        _say(console, f"{cost.replies:,} replies of {cost.model}: {cost.words}")
    _say(console, f"{tally.total().kept:,} records in {out}; samples in {out.with_suffix('.html')}")


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def write_report(
    path: Path, name: str, tally: Tally, images: Path, cost: Cost | None, partial: str
) -> None:
    """The page, whole or not at all; ``partial`` says why the set is not complete, if it is not."""
    pictures = {
        sample.task.subject.image: _picture(images, sample.task.subject.image)
        for samples in tally.samples.values()
        for sample in samples
    }
    model = cost.model if cost else "rules of the drawn world"
    head = Head(name, model, cost.words if cost else "", partial)
    with whole_file(path) as file:
        file.write(page(head, tally, pictures))


def _picture(images: Path, name: str) -> str:
    """A ``data:`` URL; empty where there is no such picture, since a teacher needs none."""
    try:
        return data_url(open_picture(images, name))
    except PictureError:
        return ""

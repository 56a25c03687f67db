"""What a check has counted over a training set, and how it is shown."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from training.checking import KINDS, Finding, Kind, Problem

SHOWN = 20
"""Problems of each kind on the screen; ``--report`` has all."""


@dataclass
class Tally:
    """What is counted over a set; ``tokens`` and ``learnt`` have a value for each rendered one."""

    records: int = 0
    pictures: int = 0
    text_only: int = 0
    tokens: array[int] = field(default_factory=lambda: array("q"))
    learnt: array[int] = field(default_factory=lambda: array("q"))
    problems: Counter[Kind] = field(default_factory=Counter)
    shown: dict[Kind, list[Problem]] = field(default_factory=lambda: defaultdict(list))
    dropped: Counter[Kind] = field(default_factory=Counter)
    kept: int = 0
    mended: int = 0

    def add(self, finding: Finding, problems: Sequence[Problem], kept: bool) -> None:
        """Count one record; what is dropped is counted under its first problem."""
        self.records += 1
        self.pictures += finding.pictures
        self.text_only += bool(finding.id) and not finding.pictures
        if finding.tokens is not None and finding.learnt is not None:
            self.tokens.append(finding.tokens)
            self.learnt.append(finding.learnt)
        for problem in problems:
            self.problems[problem.kind] += 1
            if len(self.shown[problem.kind]) < SHOWN:
                self.shown[problem.kind].append(problem)
        self.kept += kept
        self.mended += kept and finding.mendable
        if not kept:
            last = problems[-1] if finding.mendable else problems[0]
            self.dropped[last.kind] += 1


def show(tally: Tally, max_tokens: int, context: int | None, console: Console) -> None:
    """The problems, at most :data:`SHOWN` of each kind, and the summary."""
    for kind in KINDS:
        for problem in tally.shown[kind]:
            console.print(
                f"record {problem.record} {problem.id!r}: {kind}: {problem.detail}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        more = tally.problems[kind] - len(tally.shown[kind])
        if more:
            console.print(f"... and {more} more: {kind} (--report FILE.jsonl writes all)")
    console.print(_problem_table(tally))
    console.print(_total_table(tally))
    if context and context < max_tokens and max(tally.tokens, default=0) > context:
        console.print(
            f"The model itself takes {context} tokens, and the longest record has "
            f"{max(tally.tokens)}: check with --max-tokens {context}.",
            soft_wrap=True,
        )


def _problem_table(tally: Tally) -> Table:
    table = Table("problem", title="Problems" if tally.problems else "No problems")
    table.add_column("how many", justify="right")
    for kind in KINDS:
        table.add_row(
            kind, f"{tally.problems[kind]:,}", style="red" if tally.problems[kind] else ""
        )
    return table


def _total_table(tally: Tally) -> Table:
    table = Table("", title=f"{tally.records:,} records")
    for heading in ("all", "min", "median", "95%", "max"):
        table.add_column(heading, justify="right")
    table.add_row("pictures", f"{tally.pictures:,}")
    table.add_row("text only", f"{tally.text_only:,}")
    for name, values in (("tokens", tally.tokens), ("answer tokens", tally.learnt)):
        points: list[float] = np.percentile(values, [0, 50, 95, 100]).tolist() if values else []
        table.add_row(name, f"{sum(values):,}", *(f"{point:,.0f}" for point in points))
    return table


def show_fix(tally: Tally, path: Path, console: Console) -> None:
    """How many records were written, how many not, and why."""
    written = f"{tally.kept:,} records written to {path}"
    console.print(written, soft_wrap=True, highlight=False, markup=False)
    if tally.mended:
        console.print(f"{tally.mended:,} of them with <image> put in front of the first question")
    for kind, number in tally.dropped.most_common():
        console.print(f"{number:,} dropped: {kind}")

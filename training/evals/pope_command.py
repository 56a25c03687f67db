"""``pope``: accuracy, precision, recall, F1 and the share of yes, for each category."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from training.evals.pope import Polled, poll, read_answers, read_polls, says_yes
from training.evals.results import Figure, Result, Sample, write_result
from training.evals.rows import Row, sha256_of

SHARES = ("accuracy", "precision", "recall", "f1", "yes")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's options."""
    parser = commands.add_parser(
        "pope", help="score yes/no answers about what is there", description=__doc__
    )
    parser.add_argument("--questions", type=Path, nargs="+", required=True, help="with labels")
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--result", type=Path, help="write the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Score and print. Raises :class:`llava_core.training.records.DataError`."""
    polls = read_polls(options.questions)
    texts = read_answers(options.answers, polls)
    found = poll(polls, texts)
    show(found, Console())
    if options.result:
        write_result(options.result, result_of(options, polls, texts, found))
    return 0


def show(found: Mapping[str, Polled], console: Console) -> None:
    """Print the table and what could not be read."""
    table = Table(title="POPE, percent")
    for name in ("", "questions", *SHARES):
        table.add_column(name, justify="left" if not name else "right")
    for name, each in found.items():
        shares = (f"{100 * getattr(each, share):.1f}" for share in SHARES)
        table.add_row(name, f"{each.number:,}", *shares)
    console.print(table)
    missing = sum(each.missing for name, each in found.items() if name != "all" or len(found) == 1)
    neither = sum(each.neither for name, each in found.items() if name != "all" or len(found) == 1)
    console.print(
        f"{missing} without an answer (counted as wrong), {neither} with neither yes nor no "
        "(counted as yes, as the published evaluation does)"
    )


def result_of(
    options: argparse.Namespace,
    polls: Sequence[Row],
    texts: Mapping[str, str],
    found: Mapping[str, Polled],
) -> Result:
    """The result as it is written; the headline is F1."""
    whole = found.get("all") or next(iter(found.values()))
    figures = {share: Figure(100 * getattr(whole, share), whole.number) for share in SHARES}
    for name, each in found.items():
        figures |= {f"{name} {s}": Figure(100 * getattr(each, s), each.number) for s in SHARES}
    digests = "".join(sha256_of(path) for path in options.questions)
    return Result(
        kind="pope",
        model=options.answers.stem,
        headline="f1",
        figures=figures,
        data={"questions": hashlib.sha256(digests.encode()).hexdigest()},
        counts={"no answer": whole.missing, "neither yes nor no": whole.neither},
        samples=[
            Sample(
                str(row["text"]),
                texts[str(row["question_id"])],
                str(row["label"]),
                str(row.get("image", "")),
                says_yes(texts[str(row["question_id"])]) == (str(row["label"]).lower() == "yes"),
            )
            for row in polls[:8]
            if str(row["question_id"]) in texts
        ],
    )

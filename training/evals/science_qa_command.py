"""``science-qa``: ScienceQA predictions in the paper's nine columns, alone and in ensembles."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from llava_core.training.records import DataError
from training.evals.ensembles import Two, complement, judged, upper_bound
from training.evals.judges import Judge, add_judge_options, judge_of, verdicts_on
from training.evals.letters import READERS
from training.evals.results import Figure, Result, Sample, write_result
from training.evals.rows import sha256_of
from training.evals.science_gold import COLUMNS, GoldFile, read_gold
from training.evals.science_scores import (
    PUBLISHED,
    Predictions,
    ScienceScores,
    read_predictions,
    score,
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's options."""
    parser = commands.add_parser(
        "science-qa",
        help="score ScienceQA predictions, alone and in ensembles",
        description=__doc__,
    )
    parser.add_argument("--gold", type=Path, required=True, help="problems.json or its folder")
    parser.add_argument("--splits", type=Path, help="pid_splits.json, if it lies elsewhere")
    parser.add_argument("--split", default="test")
    parser.add_argument("--predictions", type=Path, required=True, help="of the model")
    parser.add_argument("--helper", type=Path, help="of a second model, for the ensembles")
    parser.add_argument("--verdicts", type=Path, help="a judge's predictions where the two differ")
    parser.add_argument("--letters", choices=sorted(READERS), default="published")
    parser.add_argument(
        "--guess", action="store_true", help="in ensembles, guess where no letter can be read"
    )
    parser.add_argument("--seed", type=int, default=0, help="of guesses and intervals")
    parser.add_argument("--result", type=Path, help="write the result as JSON")
    add_judge_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Score and print. Raises :class:`DataError`."""
    gold = read_gold(options.gold, options.split, options.splits)
    model = read_predictions(options.predictions, gold)
    reader = READERS[options.letters]
    rows = [score(gold, model, reader, options.seed)]
    if options.helper:
        rows += _ensembles(options, gold, model)
    elif options.verdicts or options.judge:
        raise DataError("a judge needs two models", "Give the second one's answers as --helper.")
    show(gold, rows, options.letters, Console())
    if options.result:
        write_result(options.result, result_of(options, gold, model, rows))
    return 0


def _ensembles(
    options: argparse.Namespace, gold: GoldFile, model: Predictions
) -> list[ScienceScores]:
    helper, reader = read_predictions(options.helper, gold), READERS[options.letters]
    two = Two.of(gold, model, helper, reader)
    rows = [score(gold, helper, reader, options.seed), complement(two, options.seed, options.guess)]
    judge: Judge | None = judge_of(options)
    verdicts = (
        read_predictions(options.verdicts, gold).texts
        if options.verdicts
        else verdicts_on(two, judge)
        if judge
        else None
    )
    if verdicts is not None:
        rows.append(judged(two, verdicts, reader, options.seed, options.guess))
    rows.append(upper_bound(two, options.seed))
    return rows


def show(gold: GoldFile, rows: Sequence[ScienceScores], letters: str, console: Console) -> None:
    """Print the table, the published rows below, and what failed."""
    table = Table(
        title=f"ScienceQA {gold.split}, {len(gold.problems):,} problems, percent",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", overflow="fold")
    for column in gold.columns:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        shown = [f"{row.columns[c].percent:.2f}" if c in row.columns else "–" for c in gold.columns]
        table.add_row(row.name, *shown)
    table.add_section()
    for name, values in PUBLISHED.items():
        by_column = dict(zip(COLUMNS, values, strict=True))
        table.add_row(name, *(f"{by_column[c]:.2f}" for c in gold.columns), style="dim")
    console.print(table)
    for row in rows:
        best = row.columns["all"]
        console.print(
            f"{row.name}: {best.percent:.2f} [{best.low:.2f} to {best.high:.2f}]; "
            f"no letter read in {row.failed}, no prediction for {row.missing}, "
            f"guessed {row.guessed}",
            soft_wrap=True,
        )
    left_out = [c for c in COLUMNS if c not in gold.columns]
    if left_out:
        console.print(f"Left out, as the gold file does not tell: {', '.join(left_out)}")
    console.print(f"Letters as the {letters} reader reads them; dim rows are published ones.")


def result_of(
    options: argparse.Namespace,
    gold: GoldFile,
    model: Predictions,
    rows: Sequence[ScienceScores],
) -> Result:
    """The result as it is written; ensembles are further rows."""
    own = rows[0]
    figures = {name: Figure(s.percent, s.number, s.low, s.high) for name, s in own.columns.items()}
    return Result(
        kind="science-qa",
        model=model.name,
        headline="all",
        figures=figures,
        settings={"letters": options.letters, "split": options.split},
        data={"gold": sha256_of(_gold_file(options.gold))},
        counts={"no letter read": own.failed, "no prediction": own.missing},
        samples=[
            Sample(
                each.question,
                model.texts[each.id],
                each.choices[each.answer],
                right=own.choices[each.id] == each.answer,
            )
            for each in gold.problems[:8]
            if each.id in model.texts
        ],
        also={row.name: {name: s.percent for name, s in row.columns.items()} for row in rows[1:]},
        published=published_figures(gold),
    )


def _gold_file(path: Path) -> Path:
    return path / "problems.json" if path.is_dir() else path


def published_figures(gold: GoldFile) -> dict[str, dict[str, float]]:
    """The published rows, in the columns that can be told."""
    return {
        name: {c: v for c, v in zip(COLUMNS, values, strict=True) if c in gold.columns}
        for name, values in PUBLISHED.items()
    }

"""``judge``: a strong text model scores answers against reference answers (LLaVA-Bench).

The judge sees captions and boxes in place of the picture, as in section 5.1 of
https://arxiv.org/abs/2304.08485. Replies are kept before they are read: the same command goes on
where it stopped, and asks nothing twice. What cannot be read is left out of the means and counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from training.endpoint.flags import Job, add_flags
from training.endpoint.request import Request
from training.evals.judging import (
    RULES,
    Trial,
    prompt,
    read_contexts,
    read_named,
    read_rules,
    review_of,
    trials,
)
from training.evals.replies import ask_all, job_from, journal_beside
from training.evals.results import MOST_SAMPLES, Figure, Result, Sample, write_result
from training.evals.reviews import Relative, summarise
from training.evals.reviews_command import show
from training.evals.rows import Row, read_rows, sha256_of, write_rows


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's options."""
    parser = commands.add_parser(
        "judge", help="have a judge score answers (LLaVA-Bench)", description=__doc__
    )
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument(
        "--context", type=Path, required=True, help="captions and boxes, or caption"
    )
    parser.add_argument("--reference", type=Path, required=True, help="answers of the reference")
    parser.add_argument("--answers", type=Path, required=True, help="answers of the candidate")
    parser.add_argument("--judge", required=True, metavar="URL")
    parser.add_argument("--judge-model", required=True)
    parser.add_argument("--rules", type=Path, default=RULES, help="the rule of each category")
    parser.add_argument("--swap", action="store_true", help="ask in both orders")
    parser.add_argument("--repeats", type=int, default=1, help="ask so often")
    parser.add_argument("--seed", type=int, default=0, help="of the intervals")
    parser.add_argument("--out", type=Path, required=True, help="reviews as JSON lines")
    parser.add_argument("--result", type=Path, help="write the result as JSON")
    add_flags(parser, temperature=0.2, max_tokens=1024)
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Ask the judge, write the reviews, print the scores.

    Raises ``DataError`` and :class:`training.endpoint.errors.EndpointError`.
    """
    job = job_from(options, options.judge, options.judge_model)
    rules = read_rules(options.rules)
    wanted = _trials(options)
    requests = {
        each.key: Request(
            each.key,
            (
                {"role": "system", "content": rules.system},
                {"role": "user", "content": prompt(each, rules)},
            ),
        )
        for each in wanted
    }
    replies = ask_all(job, journal_beside(options.out), requests.values(), "judging", len(requests))
    judge = judge_settings(job)
    reviews = [
        review_of(each, replies.by_id[each.key].text, judge)
        for each in wanted
        if each.key in replies.by_id
    ]
    write_rows(options.out, reviews)
    summary = summarise(reviews, options.seed)
    show(options.answers.stem, summary, Console())
    if options.result:
        write_result(options.result, _result(options, reviews, summary, judge, wanted))
    return 1 if replies.failures else 0


def _trials(options: argparse.Namespace) -> list[Trial]:
    questions = read_rows(options.questions, ("question_id", "text"), "question", "question_id")
    names = [str(question["question_id"]) for question in questions]
    return trials(
        questions,
        read_contexts(options.context),
        read_named(options.reference, names, "reference answer"),
        read_named(options.answers, names, "answer"),
        options.swap,
        options.repeats,
    )


def judge_settings(job: Job) -> dict[str, Any]:
    """The judge's name and how it is asked, as reviews record it."""
    return {"model": job.address.model, **job.sampling.body()}


def _result(
    options: argparse.Namespace,
    reviews: Sequence[Row],
    summary: Mapping[str, Relative],
    judge: Mapping[str, Any],
    wanted: Sequence[Trial],
) -> Result:
    names = {str(each.candidate.get("model_id") or options.answers.stem) for each in wanted}
    figures = {
        name: Figure(each.percent, each.number, each.low, each.high)
        for name, each in summary.items()
        if each.number
    }
    return Result(
        kind="judge",
        model=", ".join(sorted(names)),
        headline="all",
        figures=figures or {"all": Figure(0.0, 0)},
        settings={
            "judge": judge["model"],
            "judged with": {k: v for k, v in judge.items() if k != "model"},
            "both orders": options.swap,
            "repeats": options.repeats,
        },
        data={
            "questions": sha256_of(options.questions),
            "context": sha256_of(options.context),
            "reference answers": sha256_of(options.reference),
            "rules": sha256_of(options.rules),
        },
        counts={"unreadable": summary["all"].unreadable, "no reply": len(wanted) - len(reviews)},
        samples=[
            Sample(
                str(each.question["text"]),
                str(each.candidate["text"]),
                str(each.reference["text"]),
                str(each.question.get("image", "")),
            )
            for each in wanted
            if not each.swapped and each.repeat == 0
        ][:MOST_SAMPLES],
    )

"""A judge behind an OpenAI-compatible endpoint, asked where two solvers of ScienceQA differ."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from llava_core.training.records import DataError
from training.endpoint.flags import Job, add_flags
from training.endpoint.request import Request
from training.evals.ensembles import JUDGE_PROMPT, Two, judge_question
from training.evals.replies import ask_all, job_from


@dataclass(frozen=True)
class Judge:
    """Whom to ask, with which template, and where its replies are kept."""

    job: Job
    replies: Path
    template: str


def add_judge_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a live judge."""
    parser.add_argument("--judge", metavar="URL", help="ask a judge where the two differ")
    parser.add_argument("--judge-model", default="", help="the judge's name at the endpoint")
    parser.add_argument("--judge-prompt", type=Path, default=JUDGE_PROMPT)
    parser.add_argument("--replies", type=Path, default=Path("runs/science-judge.jsonl"))
    add_flags(parser, temperature=0.0, max_tokens=1024)
    parser.set_defaults(parser=parser)


def judge_of(options: argparse.Namespace) -> Judge | None:
    """The judge of the flags, or None. Raises :class:`DataError`."""
    if not options.judge:
        return None
    if not options.judge_model:
        raise DataError("the judge has no name", "Give its name as --judge-model.")
    try:
        template = options.judge_prompt.read_text("utf-8")
    except OSError as error:
        raise DataError(f"{options.judge_prompt}: {error.strerror}", "Name a template.") from error
    return Judge(job_from(options, options.judge, options.judge_model), options.replies, template)


def verdicts_on(two: Two, judge: Judge) -> dict[str, str]:
    """The judge's replies, by problem; only disputed problems are asked about.

    Raises an :class:`training.endpoint.errors.EndpointError`.
    """
    requests = [
        Request(
            each.id,
            ({"role": "user", "content": judge_question(each, two, judge.template)},),
        )
        for each in two.disputed
    ]
    replies = ask_all(judge.job, judge.replies, requests, "judging", len(requests))
    return {name: reply.text for name, reply in replies.by_id.items()}

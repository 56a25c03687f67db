"""``answers``: a checkpoint's, or an endpoint's, answers to the questions of a file.

QUESTIONS is training JSON (each question is asked after the data's own answers to those before it,
and the share that is right word for word is told), or a question file. Questions that the output
already answers are not asked again, so an interrupted command goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from llava_core.conversation import Conversation
from llava_core.loading import load_checkpoint
from llava_core.training.inspection import normalised
from llava_core.training.records import DataError, RecordFile
from training.evals.answer_file import RowFile, answer_row
from training.evals.answering import Answerer
from training.evals.asking import Asked, questions_in
from training.evals.contamination import digests_of
from training.evals.endpoint_answers import EndpointAnswerer, add_endpoint_options, endpoint_of
from training.evals.results import MOST_SAMPLES, Figure, Result, Sample, write_result
from training.evals.rows import Row, sha256_of
from training.evals.shares import wilson


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's options."""
    parser = commands.add_parser(
        "answers", help="ask a checkpoint or an endpoint", description=__doc__
    )
    parser.add_argument("questions", type=Path, help="training JSON, or a question file")
    parser.add_argument("--model", required=True, help="a folder or hub id; an endpoint's name")
    parser.add_argument("--out", type=Path, required=True, help="answers as JSON lines")
    parser.add_argument("--images", type=Path, default=Path("."), help="where the pictures lie")
    parser.add_argument("--limit", type=int, default=10**9, help="only the first questions")
    parser.add_argument("--batch", type=int, default=0, help="questions at once; 0: as it serves")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--result", type=Path, help="write the result as JSON")
    add_endpoint_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Answer and tell. Raises :class:`DataError` and :class:`llava_core.errors.CoreError`."""
    kept = RowFile(options.out)
    answerer = _answerer(options)
    asked = Remembered(_limited(options))
    left = ((each.id, each.conversation) for each in asked if each.id not in kept.rows)
    try:
        total = min(len(RecordFile(options.questions, _records(options))), options.limit)
        for name, text in _told(answerer, left, total - len(kept.rows)):
            kept.add(_row(asked.seen[name], text, answerer.name))
        kept.finish(asked.seen)
    finally:
        kept.close()
    rows = {name: kept.rows[name] for name in asked.seen}
    _tell(options, asked.seen, rows, answerer.name)
    return 0


def _told(
    answerer: Local | EndpointAnswerer, left: Iterator[tuple[str, Conversation]], total: int
) -> Iterable[tuple[str, str]]:
    """Answers with a bar of progress; an endpoint's job has its own."""
    if isinstance(answerer, EndpointAnswerer):
        return answerer.answers(left, total)
    return track(answerer.answers(left), "answering", total=total)


class Local(Answerer):
    """A checkpoint under its name."""

    @property
    def name(self) -> str:
        """As it stands in ``model_id``."""
        return self.checkpoint.name


def _answerer(options: argparse.Namespace) -> Local | EndpointAnswerer:
    if options.endpoint:
        return endpoint_of(options)
    checkpoint = load_checkpoint(options.model, options.precision, serving=True)
    return Local(checkpoint, options.batch, options.max_tokens)


class Remembered:
    """Questions as they pass, known by id afterwards, without their pictures."""

    def __init__(self, asked: Iterable[Asked]) -> None:
        self._asked = asked
        self.seen: dict[str, Asked] = {}

    def __iter__(self) -> Iterator[Asked]:
        for each in self._asked:
            self.seen[each.id] = each.without_pictures()
            yield each


def _records(options: argparse.Namespace) -> Path:
    return Path(options.cache) / "records"


def _limited(options: argparse.Namespace) -> Iterator[Asked]:
    for number, each in enumerate(
        questions_in(options.questions, options.images, _records(options))
    ):
        if number >= options.limit:
            return
        yield each


def _row(asked: Asked, text: str, model: str) -> Row:
    return answer_row(asked.id, asked.text, text, model, asked.metadata)


def _tell(
    options: argparse.Namespace, asked: Mapping[str, Asked], rows: Mapping[str, Row], model: str
) -> None:
    compared = [each for each in asked.values() if each.reference is not None]
    right = [
        normalised(str(rows[each.id]["text"])) == normalised(each.reference or "")
        for each in compared
    ]
    told = (
        f", {sum(right)} of {len(right)} right word for word ({sum(right) / len(right):.1%})"
        if right
        else ""
    )
    Console().print(f"{len(rows)} questions answered by {model}{told}", soft_wrap=True)
    if options.result:
        if not right:
            raise DataError(
                f"{options.questions} has no answers to compare with",
                "Leave --result out, or score the answers with pope, science-qa or judge.",
            )
        write_result(options.result, _result(options, compared, right, rows, model))


def _result(
    options: argparse.Namespace,
    compared: Sequence[Asked],
    right: Sequence[bool],
    rows: Mapping[str, Row],
    model: str,
) -> Result:
    counted = wilson(right)
    files = [options.images / name for each in compared for name in each.files]
    samples = [
        Sample(
            each.text,
            str(rows[each.id]["text"]),
            each.reference or "",
            each.files[0] if each.files else "",
            good,
        )
        for each, good in zip(compared[:MOST_SAMPLES], right, strict=False)
    ]
    return Result(
        kind="answers",
        model=model,
        headline="word for word",
        figures={
            "word for word": Figure(counted.percent, counted.number, counted.low, counted.high)
        },
        settings={"longest answer": options.max_tokens},
        data={"questions": sha256_of(options.questions)},
        samples=samples,
        pictures=digests_of(path for path in files if path.is_file()),
    )

"""Ask a checkpoint the questions of a data set, and compare with the answers there.

``python -m training.evaluate CHECKPOINT DATA --images DIR [--output answers.jsonl]``

DATA is training JSON (every question is asked after the data's own answers to those before it, and
the share of answers that are right word for word is told), or a question file: JSON lines
``{"question_id", "image", "text", "category"}``. Answers are written as LLaVA's answer files:
``{"question_id", "prompt", "text", "answer_id", "model_id", "metadata"}``. Questions that the
output already answers are skipped, so an interrupted evaluation goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import track

from llava_core.conversation import Conversation, user
from llava_core.errors import CoreError, PictureError
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint
from llava_core.training.inspection import Question, answer, normalised, questions_of
from llava_core.training.records import DataError, RecordFile, open_picture


@dataclass(frozen=True)
class Asked:
    """A question with its id; ``reference`` is None where the file has no answers."""

    id: str
    question: Question
    reference: str | None
    metadata: dict[str, Any]


def questions_in(data: Path, images: Path, cache: Path) -> Iterator[Asked]:
    """All questions of training JSON or of a question file, in order; pictures opened as they come.

    Raises :class:`DataError` and :class:`PictureError`.
    """
    file = RecordFile(data, cache)
    for number in range(len(file)):
        source = file.source(number)
        if "conversations" not in source:
            yield _asked(source, images, number)
            continue
        record = file[number]
        found = questions_of(record, images, lambda path: open_picture(path.parent, path.name))
        for turn, question in enumerate(found):
            name = f"{record.id}/{turn}"
            yield Asked(name, question, question.reference, {"turn": turn})


def _asked(source: dict[str, Any], images: Path, number: int) -> Asked:
    if "text" not in source or "question_id" not in source:
        raise DataError(
            "it has neither conversations nor question_id and text",
            'A question is {"question_id", "image", "text", "category"}.',
            number,
        )
    pictures = [open_picture(images, source["image"])] if source.get("image") else []
    conversation = Conversation((user(str(source["text"]), *pictures),))
    question = Question(str(source["question_id"]), conversation, "")
    metadata = {"category": source["category"]} if "category" in source else {}
    return Asked(question.record, question, None, metadata)


def evaluate(
    checkpoint: Checkpoint, asked: Iterator[Asked], output: Path | None, most: int, max_tokens: int
) -> tuple[int, int, int]:
    """Answer up to ``most`` questions; returns how many, how many could be compared, were right."""
    known = _answered(output)
    total = compared = right = 0
    for each in asked:
        if total >= most:
            break
        text = known.get(each.id)
        if text is None:
            text = answer(checkpoint, each.question, max_tokens)
            _append(output, each, text, checkpoint.name)
        total += 1
        if each.reference is not None:
            compared += 1
            right += normalised(text) == normalised(each.reference)
    return total, compared, right


def _answered(output: Path | None) -> dict[str, str]:
    if output is None or not output.exists():
        return {}
    found = {}
    for line in output.read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a run that was killed
            continue
        found[str(entry["question_id"])] = str(entry["text"])
    return found


def _append(output: Path | None, asked: Asked, text: str, model: str) -> None:
    if output is None:
        return
    entry = {
        "question_id": asked.id,
        "prompt": asked.question.text,
        "text": text,
        "answer_id": uuid.uuid4().hex,
        "model_id": model,
        "metadata": asked.metadata,
    }
    with output.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def main() -> int:
    """Command line; exits with 1 where something cannot be read, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("checkpoint", help="a folder or hub id")
    parser.add_argument("data", type=Path, help="training JSON, or a question file")
    parser.add_argument("--images", type=Path, default=Path("."), help="where the pictures lie")
    parser.add_argument("--output", type=Path, help="answers as JSON lines")
    parser.add_argument("--limit", type=int, default=10**9, help="only the first questions")
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    arguments = parser.parse_args()
    try:
        checkpoint = load_checkpoint(arguments.checkpoint, arguments.precision)
        asked = questions_in(arguments.data, arguments.images, arguments.cache / "records")
        told = track(asked, "asking", total=None)
        total, compared, right = evaluate(
            checkpoint, iter(told), arguments.output, arguments.limit, arguments.max_tokens
        )
    except (CoreError, DataError, PictureError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the same command with --output goes on from there.", flush=True)
        return 130
    share = (
        f", {right} of {compared} right word for word ({right / compared:.1%})" if compared else ""
    )
    print(f"{total} questions answered by {checkpoint.name}{share}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

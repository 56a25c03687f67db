"""Questions to be answered, from training JSON or from a question file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llava_core.conversation import Conversation, user
from llava_core.training.inspection import Question, questions_of
from llava_core.training.records import DataError, RecordFile, open_picture


@dataclass(frozen=True)
class Asked:
    """A question with its id and its pictures' files; ``reference`` is None where the file has no
    answers. ``question`` is None once it is only remembered: pictures take memory."""

    id: str
    text: str
    question: Question | None
    reference: str | None
    metadata: dict[str, Any]
    files: tuple[str, ...] = ()

    @property
    def conversation(self) -> Conversation:
        """What is asked. Raises ``ValueError`` where it is only remembered."""
        if self.question is None:
            raise ValueError(f"question {self.id!r} is only remembered")
        return self.question.conversation

    def without_pictures(self) -> Asked:
        """The same to be remembered."""
        return replace(self, question=None)


def questions_in(data: Path, images: Path, cache: Path) -> Iterator[Asked]:
    """All questions of training JSON or of a question file, in order; pictures opened as they come.

    Training JSON asks each question after the data's own answers to those before it. A question
    file has rows ``{"question_id", "image" (absent for text only), "text", "category"}``. Raises
    :class:`DataError`, also for a question's id that comes twice, and ``PictureError``.
    """
    file = RecordFile(data, cache)
    seen: dict[str, int] = {}
    for number in range(len(file)):
        source = file.source(number)
        if "conversations" not in source:
            asked = _of_row(source, images, number)
            if seen.setdefault(asked.id, number) != number:
                raise DataError(
                    f"question_id {asked.id!r} is that of record {seen[asked.id]}, too",
                    "Give each its own id, so that its answer can be told apart.",
                    number,
                )
            yield asked
            continue
        name = file[number].id
        # Released sets have several records about a picture under one id.
        again = seen.setdefault(name, number) != number
        yield from _of_record(file, number, images, f"{name}@{number}" if again else name)


def _of_record(file: RecordFile, number: int, images: Path, name: str) -> Iterator[Asked]:
    record = file[number]
    found = questions_of(record, images, lambda path: open_picture(path.parent, path.name))
    for turn, question in enumerate(found):
        yield Asked(
            f"{name}/{turn}",
            question.text,
            question,
            question.reference,
            {"turn": turn},
            record.images,
        )


def _of_row(source: dict[str, Any], images: Path, number: int) -> Asked:
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
    files = (str(source["image"]),) if source.get("image") else ()
    return Asked(question.record, question.text, question, None, metadata, files)

"""What can be wrong with a training record, found before any step is paid for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from llava_core.errors import PictureError, TemplateError
from llava_core.training.records import (
    PLACEHOLDER,
    DataError,
    Fault,
    Record,
    RecordFile,
    conversation_of,
    open_picture,
    parse_record,
)
from training.measure import Measure

Kind = (
    Fault
    | Literal[
        "missing picture",
        "broken picture",
        "answer too long",
        "refused by the template",
        "duplicate id",
        "duplicate answer",
    ]
)
KINDS: tuple[Kind, ...] = (
    "unreadable",
    "roles",
    "placeholders",
    "empty question",
    "empty answer",
    "missing picture",
    "broken picture",
    "answer too long",
    "refused by the template",
    "duplicate id",
    "duplicate answer",
)
"""All kinds of problems, in the order in which they are shown."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: ``record`` is counted from 0; ``id`` is empty where unreadable."""

    record: int
    id: str
    kind: Kind
    detail: str


@dataclass(frozen=True)
class Finding:
    """What is known of one record.

    ``tokens`` with all visual tokens, ``learnt`` of them with a loss; both None where the record
    cannot be rendered. ``keys`` tell its answers apart from all others (see :func:`answer_keys`).
    ``mendable``: a placeholder in front of its first question is all that it needs.
    """

    record: int
    id: str = ""
    problems: tuple[Problem, ...] = ()
    pictures: int = 0
    tokens: int | None = None
    learnt: int | None = None
    keys: tuple[int, ...] = ()
    mendable: bool = False


@dataclass
class Checker:
    """Checks one record at a time. Pictures that several records share are decoded once."""

    file: RecordFile
    images: Path
    measure: Measure
    max_tokens: int
    _pictures: dict[str, tuple[Kind, str] | None] = field(default_factory=dict)

    def check(self, index: int) -> Finding:
        """What is wrong with record ``index``, apart from duplicates."""
        try:
            source = self.file.source(index)
            record = parse_record(source, index)
        except DataError as error:
            return Finding(index, problems=(Problem(index, "", error.fault, error.message),))
        finding = self._check(record)
        mended = mend(source)
        if mended is None or finding.problems[0].kind != "placeholders":
            return finding
        second = self._check(parse_record(mended, index))
        return replace(second, problems=finding.problems, mendable=not second.problems)

    def _check(self, record: Record) -> Finding:
        index = record.number or 0
        found: list[tuple[Kind, str]] = []
        tokens = learnt = None
        try:
            rendered = self.measure.render(conversation_of(record))
            tokens, learnt = len(rendered.token_ids), sum(rendered.loss_mask)
            found += self._too_long(rendered.loss_mask)
        except DataError as error:
            found.append((error.fault, error.message))
        except TemplateError as error:
            found.append(("refused by the template", error.message))
        found += [fault for name in record.images if (fault := self._picture(name))]
        problems = tuple(Problem(index, record.id, kind, detail) for kind, detail in found)
        pictures = len(record.images)
        return Finding(index, record.id, problems, pictures, tokens, learnt, answer_keys(record))

    def _too_long(self, mask: list[bool]) -> list[tuple[Kind, str]]:
        """A sequence is cut at ``max_tokens``: what of its answers would be lost."""
        lost = sum(mask[self.max_tokens :])
        if not lost:
            return []
        detail = (
            f"{len(mask)} tokens: cut at {self.max_tokens}, it loses {lost} of the {sum(mask)} "
            "tokens of its answers"
        )
        return [("answer too long", detail)]

    def _picture(self, name: str) -> tuple[Kind, str] | None:
        if name not in self._pictures:
            self._pictures[name] = self._look_at(name)
        return self._pictures[name]

    def _look_at(self, name: str) -> tuple[Kind, str] | None:
        try:
            open_picture(self.images, name)
        except PictureError as error:
            read = isinstance(error.__cause__, PictureError)
            return ("broken picture" if read else "missing picture"), error.message
        return None


def mend(source: dict[str, Any]) -> dict[str, Any] | None:
    """A record with one picture and no placeholder, with one in front of its first question.

    None for records of any other sort.
    """
    turns = source["conversations"]
    human = [turn for turn in turns if turn["from"] in ("human", "user")]
    one = isinstance(source.get("image"), str) or len(source.get("image") or ()) == 1
    if not one or not human or any(PLACEHOLDER in turn["value"] for turn in human):
        return None
    mended = {**human[0], "value": f"{PLACEHOLDER}\n{human[0]['value']}"}
    return {**source, "conversations": [mended if turn is human[0] else turn for turn in turns]}


def answer_keys(record: Record) -> tuple[int, ...]:
    """A 64-bit number for each answer, made of its pictures, its question and itself.

    None for records without pictures: "Go on." is asked there again and again, rightly.
    """
    if not record.images:
        return ()
    texts = [value.replace(PLACEHOLDER, "").strip() for _, value in record.turns]
    pairs = [
        [record.images, before, text]
        for (speaker, _), before, text in zip(record.turns[1:], texts[:-1], texts[1:], strict=True)
        if speaker in ("gpt", "assistant") and text
    ]
    return tuple(_number(json.dumps(pair)) for pair in pairs)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class Duplicates:
    """Ids and answers seen so far; records are shown to it in their order."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._kept: set[int] = set()

    def add(self, finding: Finding) -> tuple[tuple[Problem, ...], bool]:
        """What this record repeats, and whether it is kept.

        A record is kept where it is clean and repeats no kept one: of two with the same id, the
        second stays if the first is broken. Within one record an answer may come again, as after
        "And now?". Unreadable records repeat nothing.
        """
        if not finding.id:
            return (), False
        keys: dict[int, Kind] = dict.fromkeys(finding.keys, "duplicate answer")
        keys[_number(finding.id)] = "duplicate id"
        problems = []
        for key, kind in keys.items():
            first = self._first.setdefault(key, finding.record)
            if first != finding.record:
                problems.append(_repetition(finding, kind, first))
        clean = not finding.problems or finding.mendable
        kept = clean and self._kept.isdisjoint(keys)
        if kept:
            self._kept.update(keys)
        return tuple(dict.fromkeys(problems)), kept


def _repetition(finding: Finding, kind: Kind, first: int) -> Problem:
    what = "id" if kind == "duplicate id" else "picture, question and answer"
    return Problem(finding.record, finding.id, kind, f"the same {what} as in record {first}")

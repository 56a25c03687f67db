"""What keeps a reply out of the training set: rules, and the words that rejects are counted by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.generation.objects import Objects
from training.generation.prompts import Kind
from training.generation.replies import FormError, Pair, read_answer, read_pairs
from training.generation.source import Subject

REASONS = {
    "no reply": "the endpoint gave none",
    "cut off": "longer than --max-tokens",
    "refused": "the teacher declines to answer",
    "form": "not the blocks that were asked for",
    "roles": "questions and answers do not take turns",
    "empty turn": "a question or an answer without words",
    "placeholder": "holds the mark of a picture",
    "repeated turn": "the same question twice, or the same long answer",
    "source": "speaks of captions, boxes or a description that it was given",
    "coordinates": "holds numbers of a box",
    "unknown object": "names a thing that captions and boxes do not have",
    "duplicate": "the same picture, question and answer as another record",
}
"""Every reason for a reject, in the order in which they are looked for."""

_LONG = 40
"""Shorter answers may come again ("Yes, it is."), in characters."""
_REFUSED = re.compile(
    r"^\W*(i['’]?m sorry|i am sorry|sorry,|i apologi[sz]e|as an ai|i cannot|i can['’]t|"
    r"i am unable|i['’]m unable)",
    re.IGNORECASE,
)
_GIVEN = r"(?:given|provided|supplied|above|following)"
_SOURCE = re.compile(
    r"\bcaptions?\b|\bcaptioned\b|\bannotat(?:ion|ions|ed|or|ors)\b|"
    r"\bbounding[- ]?box(?:es)?\b|\bbboxe?s?\b|\bcoordinates?\b|"
    rf"\b{_GIVEN} (?:descriptions?|information|context|texts?|sentences?|data|lists?|boxes)\b|"
    r"\b(?:descriptions?|sentences?|texts?|context|information|lists?) (?:that )?(?:is|are|was|"
    r"were|i was|we were) (?:given|provided|supplied)\b|"
    r"\b(?:according to|based on|from) (?:the|these|those) (?:descriptions?|sentences?|context|"
    r"boxes|list)\b|"
    r"\b(?:descriptions?|sentences?|boxes|list) (?:do|does|did)(?: not|n['’]t) "
    r"(?:say|mention|specify|tell|state)\b|\b(?:the )?objects? (?:list|labels?)\b",
    re.IGNORECASE,
)
_COORDINATES = re.compile(
    r"[\[(]\s*-?\d*\.?\d+\s*(?:,\s*-?\d*\.?\d+\s*)+[\])]"  # [0.1, 0.2]
    r"|(?<![\w.])0?\.\d{2,}\b"  # 0.35
    r"|\b[xy][12]?\s*=\s*\d",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reject:
    """A reply that is not used: ``reason`` is a key of :data:`REASONS`."""

    id: str
    reason: str
    detail: str
    reply: str = ""


class Rejected(Exception):
    """Why a reply is not used."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class Checker:
    """Reads replies as turns, or rejects them by the rules above."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def read(self, kind: Kind, subject: Subject, text: str, question: str = "") -> list[Pair]:
        """The turns of a reply about a picture; ``question`` is the person's, for descriptions.

        Raises :class:`Rejected` with the first rule that the reply breaks.
        """
        if refusal := _REFUSED.match(text):
            raise Rejected("refused", f"it begins with {refusal[0].strip()!r}")
        try:
            pairs = [Pair(question, read_answer(text))] if question else read_pairs(text)
        except FormError as error:
            raise Rejected(error.reason, error.detail) from error
        for reason, detail in self._problems(pairs, subject):
            raise Rejected(reason, detail)
        return pairs

    def _problems(self, pairs: Sequence[Pair], subject: Subject) -> Iterator[tuple[str, str]]:
        """The rules that the pairs break, in order."""
        yield from _of_turns(pairs)
        said = "\n".join(f"{pair.question}\n{pair.answer}" for pair in pairs)
        allowed = " ".join(subject.captions).lower()
        for found in _SOURCE.finditer(said):
            if found[0].lower() not in allowed:  # a picture may show a caption
                yield "source", f"it speaks of {found[0]!r}"
        for found in _COORDINATES.finditer(said):
            if found[0] not in allowed:
                yield "coordinates", f"it holds {found[0]!r}"
        unknown = self._objects.unknown([pair.answer for pair in pairs], subject)
        if unknown:
            yield "unknown object", f"it names {', '.join(unknown)}"


def _of_turns(pairs: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    questions, answers = set[str](), set[str]()
    for number, pair in enumerate(pairs, 1):
        for text, speaker in ((pair.question, "question"), (pair.answer, "answer")):
            if not re.search(r"\w", text):
                yield "empty turn", f"{speaker} {number} is {text!r}"
            if "<image>" in text:
                yield "placeholder", f"{speaker} {number} holds <image>"
        question, answer = _plain(pair.question), _plain(pair.answer)
        if question in questions:
            yield "repeated turn", f"question {number} came before: {pair.question!r}"
        if answer in answers and len(answer) >= _LONG:
            yield "repeated turn", f"answer {number} came before: {pair.answer[:80]!r}"
        questions.add(question)
        answers.add(answer)


def _plain(text: str) -> str:
    """Letters and digits alone, small, for comparing."""
    return " ".join(re.findall(r"\w+", text.lower()))

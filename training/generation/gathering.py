"""From replies to a training set: records, rejects with their reasons, and the counts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from training.endpoint.request import Reply
from training.generation.checks import Checker, Reject, Rejected
from training.generation.prompts import Kind, Prompts, name_of
from training.generation.replies import Pair
from training.generation.source import Subject

SAMPLES = 4
"""Records and rejects of each kind that the report shows."""


@dataclass(frozen=True)
class Task:
    """One thing to ask: a kind of data about a picture."""

    kind: Kind
    subject: Subject

    @property
    def id(self) -> str:
        """The id of the request, and of the record."""
        return name_of(self.kind, self.subject)


@dataclass(frozen=True)
class Sample:
    """A record or a reject, for the report."""

    task: Task
    pairs: tuple[Pair, ...] = ()
    reject: Reject | None = None


@dataclass
class Counts:
    """What became of the tasks of one kind."""

    tasks: int = 0
    kept: int = 0
    rejected: int = 0
    turns: int = 0
    words: int = 0

    @property
    def open(self) -> int:
        """Tasks without a reply yet, or about which nothing can be asked."""
        return self.tasks - self.kept - self.rejected


@dataclass
class Tally:
    """Counts by kind, rejects by reason, and some samples of both."""

    kinds: dict[Kind, Counts] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    samples: dict[tuple[Kind, bool], list[Sample]] = field(default_factory=dict)
    pictures: set[str] = field(default_factory=set)

    def total(self) -> Counts:
        """All kinds together."""
        every = self.kinds.values()
        return Counts(
            *(
                sum(getattr(one, name) for one in every)
                for name in ("tasks", "kept", "rejected", "turns", "words")
            )
        )


class Gatherer:
    """Takes replies in the order of the tasks; the same replies give the same records."""

    def __init__(self, prompts: Prompts, checker: Checker, seed: int) -> None:
        self._prompts, self._checker, self._seed = prompts, checker, seed
        self._seen: set[tuple[str, str, str]] = set()
        self._rng = random.Random(f"{seed}:samples")
        self._passed: Counter[tuple[Kind, bool]] = Counter()
        self.tally = Tally()

    def skip(self, task: Task) -> None:
        """There is nothing about this task yet."""
        self.tally.kinds.setdefault(task.kind, Counts()).tasks += 1

    def fail(self, task: Task, reason: str) -> Reject:
        """The endpoint has given no reply."""
        return self._reject(task, Reject(task.id, "no reply", reason))

    def take(self, task: Task, reply: Reply) -> dict[str, Any] | Reject:
        """The training record made of a reply, or why there is none."""
        try:
            pairs = self._pairs(task, reply)
        except Rejected as error:
            reject = Reject(task.id, error.reason, error.detail, reply.text)
            return self._reject(task, reject)
        counts = self.tally.kinds.setdefault(task.kind, Counts())
        counts.tasks += 1
        counts.kept += 1
        counts.turns += len(pairs)
        counts.words += sum(len(pair.answer.split()) for pair in pairs)
        self.tally.pictures.add(task.subject.image)
        self._sample(Sample(task, tuple(pairs)))
        return self._record(task, pairs)

    def _pairs(self, task: Task, reply: Reply) -> list[Pair]:
        if reply.finish == "length":
            raise Rejected("cut off", "the reply is longer than --max-tokens")
        if reply.finish == "content_filter":
            raise Rejected("refused", "the endpoint's filter took the reply")
        question = ""
        if task.kind == "detail":
            question = self._prompts.by_kind["detail"].question(task.id, self._seed)
        pairs = self._checker.read(task.kind, task.subject, reply.text, question)
        keys = {(task.subject.image, pair.question, pair.answer) for pair in pairs}
        if again := keys & self._seen:
            raise Rejected("duplicate", f"another record has {min(again)[1]!r}, too")
        self._seen |= keys
        return pairs

    def _reject(self, task: Task, reject: Reject) -> Reject:
        counts = self.tally.kinds.setdefault(task.kind, Counts())
        counts.tasks += 1
        counts.rejected += 1
        self.tally.reasons[reject.reason] += 1
        self._sample(Sample(task, reject=reject))
        return reject

    def _sample(self, sample: Sample) -> None:
        """Keep some of all, each with the same chance (reservoir sampling)."""
        key = (sample.task.kind, sample.reject is None)
        kept = self.tally.samples.setdefault(key, [])
        self._passed[key] += 1
        if len(kept) < SAMPLES:
            kept.append(sample)
            return
        place = self._rng.randrange(self._passed[key])
        if place < SAMPLES:
            kept[place] = sample

    def _record(self, task: Task, pairs: Sequence[Pair]) -> dict[str, Any]:
        """LLaVA's format; the picture stands before or after the first question (equation 3)."""
        first = random.Random(f"{self._seed}:{task.id}:place").random() < 0.5
        said = []
        for number, pair in enumerate(pairs):
            question = pair.question
            if number == 0:
                question = f"<image>\n{question}" if first else f"{question}\n<image>"
            said.append({"from": "human", "value": question})
            said.append({"from": "gpt", "value": pair.answer})
        return {"id": task.id, "image": task.subject.image, "conversations": said}


def plan(
    subjects: Sequence[Subject], kinds: Sequence[tuple[Kind, int | None]], seed: int
) -> list[Task]:
    """The tasks, picture by picture; a kind with a number is asked about so many, drawn by seed."""
    chosen: dict[Kind, set[int]] = {}
    for kind, number in kinds:
        every = range(len(subjects))
        few = number is not None and number < len(subjects)
        rng = random.Random(f"{seed}:{kind}")
        chosen[kind] = set(rng.sample(every, number or 0) if few else every)
    return [
        Task(kind, subject)
        for index, subject in enumerate(subjects)
        for kind, _ in kinds
        if index in chosen[kind]
    ]

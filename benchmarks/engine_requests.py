"""What is asked, by how many people at once, and how the time of an answer is taken.

The same questions go to every peer of a repeat; none is asked twice, so nothing that a server
remembers helps it but what belongs to the same conversation.
"""

from __future__ import annotations

import io
import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

WORDS = 64
FOLLOW_UP = 8
"""Words of a second turn."""
SHORT = 4
"""Tokens of an answer whose first one alone counts."""
PEOPLE = 8
PIXELS = 448
"""A picture's width and height before the processor makes it smaller; saved as JPEG."""

Samples = dict[str, list[dict[str, Any]]]
"""What was measured, by the name of the measurement; one entry for each time."""


@dataclass(frozen=True)
class Question:
    """A picture, or none in a later turn, and words."""

    picture: bytes | None
    words: str


@dataclass(frozen=True)
class Turn:
    """What was asked, and, unless it is the question that waits, what was answered."""

    question: Question
    answer: str = ""


@dataclass(frozen=True)
class Timing:
    """Seconds from the question to the first token and to the end; tokens that really came."""

    first: float
    total: float
    tokens: int
    text: str = ""

    @property
    def per_second(self) -> float:
        """Tokens per second after the first one."""
        return (self.tokens - 1) / max(self.total - self.first, 1e-9)


class Peer(Protocol):
    """Something that answers."""

    def ask(self, turns: Sequence[Turn], tokens: int, watch: Watch | None = None) -> Timing:
        """The answer to the last turn, ``tokens`` long; may be called from many threads."""

    def figures(self) -> dict[str, float] | None:
        """What the peer says about its own time so far, where it does."""


class Watch:
    """Takes a peer's figures while everybody reads: after the last first token, before an end."""

    def __init__(self, people: int, figures: Callable[[], dict[str, float] | None]) -> None:
        self._missing, self._figures, self._lock = people, figures, threading.Lock()
        self._before: dict[str, float] | None = None
        self.difference: dict[str, float] | None = None

    def first(self) -> None:
        """Somebody's first token has come."""
        with self._lock:
            self._missing -= 1
            if self._missing == 0:
                self._before = self._figures()

    def done(self) -> None:
        """Somebody's answer has ended."""
        with self._lock:
            before, self._before = self._before, None
            after = self._figures() if before else None
            if before and after:
                self.difference = {name: after[name] - before[name] for name in before}


# --- questions ------------------------------------------------------------------------------------


def question(number: int, with_picture: bool = True, length: int = WORDS) -> Question:
    """The question of this number, always the same: a scene of its own and ``length`` words."""
    from benchmarks.engine_model import words
    from training.drawing import draw_image
    from training.scenes import sample_scene

    rng = random.Random(number)
    said = " ".join(rng.choices(words(), k=length))
    if not with_picture:
        return Question(None, said)
    file = io.BytesIO()
    draw_image(sample_scene(rng), PIXELS).save(file, "JPEG", quality=90)
    return Question(file.getvalue(), said)


# --- measurements ---------------------------------------------------------------------------------


def measure(peer: Peer, kinds: Sequence[str], tokens: int, repeat: int) -> Samples:
    """All ``kinds`` of measurements of one started peer, after a warm-up that does not count."""
    numbers = itertools.count(1000 * repeat)
    _alone(peer, next(numbers), 4)
    found: Samples = {}
    if "one" in kinds:
        found["one"] = [_alone(peer, next(numbers), tokens) for _ in range(2)]
    if "second-turn" in kinds:
        found["second-turn"] = [_two_turns(peer, next(numbers)) for _ in range(4)]
    if "eight" in kinds:
        together(peer, [question(next(numbers)) for _ in range(PEOPLE)], 2)
        found["eight"] = [together(peer, [question(next(numbers)) for _ in range(PEOPLE)], tokens)]
    return found


def _alone(peer: Peer, number: int, tokens: int) -> dict[str, float]:
    timing = _checked(peer.ask([Turn(question(number))], tokens), tokens)
    return {"first": timing.first, "total": timing.total, "per_second": timing.per_second}


def _two_turns(peer: Peer, number: int) -> dict[str, float]:
    """The first answer is short: what counts is the first token of each."""
    asked = question(number)
    one = _checked(peer.ask([Turn(asked)], SHORT), SHORT)
    later = question(number + 500, with_picture=False, length=FOLLOW_UP)
    two = peer.ask([Turn(asked, one.text), Turn(later)], SHORT)
    return {"turn 1": one.first, "turn 2": two.first}


def together(peer: Peer, questions: Sequence[Question], tokens: int) -> dict[str, Any]:
    """Everybody asks at the same moment; over when the last answer is complete."""
    timings: list[Timing | BaseException] = []
    watch = Watch(len(questions), peer.figures)
    gate = threading.Barrier(len(questions) + 1)

    def person(asked: Question) -> None:
        gate.wait()
        try:
            timings.append(_checked(peer.ask([Turn(asked)], tokens, watch), tokens))
        except Exception as error:
            timings.append(error)

    threads = [threading.Thread(target=person, args=[one], daemon=True) for one in questions]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    good = [timing for timing in timings if isinstance(timing, Timing)]
    if len(good) < len(timings):
        raise next(timing for timing in timings if isinstance(timing, BaseException))
    return {
        "per_second": sum(timing.tokens for timing in good) / seconds,
        "seconds": seconds,
        "first": sorted(timing.first for timing in good),
        "figures": watch.difference,
    }


def _checked(timing: Timing, tokens: int) -> Timing:
    if timing.tokens != tokens:
        raise RuntimeError(f"{timing.tokens} tokens came instead of {tokens}")
    return timing

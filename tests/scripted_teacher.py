"""A teacher for :mod:`tests.scripted_endpoint`: writes what the captions say, by rule.

Some of its replies are wrong, in every way that the checks know; which ones depends on the question
alone. ``python -m tests.scripted_teacher --port 8400`` starts it by hand, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import random
import threading
from collections.abc import Callable

from tests.scripted_endpoint import Asked, Script, ScriptedEndpoint, Step, text_of

PAIR = "Question:\n{}\n===\nAnswer:\n{}\n==="

WRONG: dict[str, Callable[[str], str]] = {
    "form": lambda said: f"Here you are: {said}",
    "roles": lambda said: (
        f"Question:\nWhat is it?\n===\nQuestion:\nWhere is it?\n===\nAnswer:\n{said}"
    ),
    "empty turn": lambda said: PAIR.format("What is there?", " "),
    "repeated turn": lambda said: "\n".join(PAIR.format("What is there?", x) for x in "ab"),
    "source": lambda said: PAIR.format("What is there?", f"The captions say: {said}"),
    "coordinates": lambda said: PAIR.format("Where is it?", "It is at [0.2, 0.31, 0.4, 0.5]."),
    "unknown object": lambda said: PAIR.format("What is there?", "A giraffe is there."),
    "refused": lambda said: "I'm sorry, but I cannot see pictures.",
}
"""Replies that are to be rejected, by the reason."""


def kind_of(asked: Asked) -> str:
    """Which kind of data is asked for, as the examples of the prompt show it."""
    examples = [text_of(m) for m in asked.body["messages"] if m["role"] == "assistant"]
    pairs = examples[0].count("Question:")
    return "conversation" if pairs > 1 else "reasoning" if pairs else "detail"


def teach(asked: Asked, wrong_every: int = 12) -> str:
    """A right reply, and a wrong one for about each ``wrong_every``-th question."""
    kind = kind_of(asked)
    captions = asked.question.split("\n\n")[0].splitlines()
    chance = random.Random(f"{kind}: {asked.question}")
    if wrong_every and chance.randrange(wrong_every) == 0:
        return WRONG["refused" if kind == "detail" else chance.choice(list(WRONG))](captions[0])
    if kind == "detail":
        return " ".join(captions)
    if kind == "reasoning":
        return PAIR.format("What follows from what can be seen?", f"It follows that: {captions[0]}")
    questions = ("What does the picture show?", "What else can you say about it?")
    said = dict(zip(captions, questions, strict=False))
    return "\n".join(PAIR.format(question, answer) for answer, question in said.items())


def moody(
    slow: float = 0.0, limit_every: int = 0, fail_every: int = 0, cut_every: int = 0
) -> Script:
    """A script: every so many-th request is limited, fails, or is cut off, the first time."""

    def step(asked: Asked) -> Step:
        def due(every: int) -> bool:
            return bool(every) and asked.attempt == 1 and asked.number % every == 0

        if due(limit_every):
            return Step(status=429, headers={"Retry-After": "0.1"}, text="slow down")
        if due(fail_every):
            return Step(status=500, text="out of order")
        return Step(delay=slow, cut=due(cut_every))

    return step


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.scripted_teacher", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slow", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--limit-every", type=int, default=0, help="429 each so often")
    parser.add_argument("--fail-every", type=int, default=0, help="500")
    parser.add_argument("--cut-every", type=int, default=0, help="half a stream")
    parser.add_argument("--key", help="another key gets 401")
    options = parser.parse_args()
    script = moody(options.slow, options.limit_every, options.fail_every, options.cut_every)
    with ScriptedEndpoint(teach, script, options.key, options.port) as endpoint:
        print(endpoint.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(endpoint.asked):,} requests came")


if __name__ == "__main__":
    main()

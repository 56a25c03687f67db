"""What a judge is asked about a battle, and what its reply says.

A judge is asked twice, the answers in both orders: models that judge prefer a place (Zheng et al.
2023, https://arxiv.org/abs/2306.05685, section 3.3). It votes for a side where it chooses it in
both orders; where its choice changes with the order, it votes tie.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.battle_protocol import VoteChoice
from app.db.judged import JudgedBattle, JudgedTurn

SYSTEM = (
    "You compare two assistants, A and B, who were asked the same questions about the same "
    "pictures without knowing of each other. You look for yourself before you read what they "
    "say. What counts is whether an answer is right, to the point and complete; neither its "
    "length nor its tone nor its place counts, and a claim that the picture contradicts weighs "
    "more than a detail left out."
)
RULE = (
    "Which assistant answered better? The first line of your reply is exactly one of these: A, B, "
    "TIE (both are about as good), BAD (neither is of any use). Below it, say why in one or two "
    "sentences."
)
MOST_REASON = 2000
"""Characters of a vote's reason."""
ORDERS = ("ab", "ba")
"""Which side stands as A: left in the first, right in the second."""
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_VERDICT = re.compile(
    r"(?:(?:verdict|winner|answer|better)\W+)?(?:(?:assistant)\W+)?(A|B|TIE|BAD|BOTH BAD)",
    re.IGNORECASE,
)
_CHOICES: dict[str, tuple[VoteChoice, VoteChoice]] = {
    "A": ("left", "right"),
    "B": ("right", "left"),
    "TIE": ("tie", "tie"),
    "BAD": ("both_bad", "both_bad"),
    "BOTH BAD": ("both_bad", "both_bad"),
}
"""What a verdict means in either order."""


@dataclass(frozen=True)
class Showing:
    """How battles are shown: ``hide`` takes names out of answers, ``picture`` gives a stored
    picture's bytes, None where the judge cannot see; ``rule`` is what is asked in the end."""

    hide: Callable[[JudgedBattle, str], str]
    picture: Callable[[str, str], bytes] | None
    rule: str = RULE


@dataclass(frozen=True)
class Verdict:
    """The vote that both replies make together."""

    choice: VoteChoice
    reason: str
    steady: bool
    """Whether both orders chose the same."""


def messages_of(battle: JudgedBattle, order: str, showing: Showing) -> tuple[dict[str, Any], ...]:
    """System message and user message in the form of OpenAI's chat completions."""
    parts: list[dict[str, Any]] = []
    for number, turn in enumerate(battle.turns, start=1):
        if showing.picture is not None:
            parts.extend(_picture(showing.picture(*each), each[1]) for each in turn.pictures)
        parts.append({"type": "text", "text": _turn_text(battle, turn, number, order, showing)})
    parts.append({"type": "text", "text": showing.rule})
    if all(part["type"] == "text" for part in parts):  # what every judge can read
        content: Any = "\n\n".join(part["text"] for part in parts)
    else:
        content = parts
    return ({"role": "system", "content": SYSTEM}, {"role": "user", "content": content})


def _turn_text(
    battle: JudgedBattle, turn: JudgedTurn, number: int, order: str, showing: Showing
) -> str:
    answers = [showing.hide(battle, turn.left), showing.hide(battle, turn.right)]
    first, second = answers if order == "ab" else reversed(answers)
    return (
        f"[Question {number}]\n{turn.question}\n\n"
        f"[Answer of A]\n{first}\n[End of the answer of A]\n\n"
        f"[Answer of B]\n{second}\n[End of the answer of B]"
    )


def _picture(data: bytes, media_type: str) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{encoded}"}}


def choice_in(reply: str, order: str) -> VoteChoice | None:
    """The side that a reply chooses; None where its first line is no verdict."""
    lines = _THOUGHT.sub("", reply).strip().splitlines()
    if not lines:
        return None
    found = _VERDICT.fullmatch(" ".join(lines[0].split()).strip(" *_#`[](){}<>.:!\"'"))
    return _CHOICES[found[1].upper()][order == "ba"] if found else None


def verdict_of(first: str, second: str) -> Verdict | None:
    """The vote of the replies to both orders; None where one of them cannot be read."""
    choices = choice_in(first, "ab"), choice_in(second, "ba")
    if choices[0] is None or choices[1] is None:
        return None
    if choices[0] == choices[1]:
        return Verdict(choices[0], _reason(first, "A is left, B is right."), True)
    told = f"With left as A it chose {choices[0]}, with right as A {choices[1]}."
    return Verdict("tie", _reason(first, f"{told} With left as A:"), False)


def _reason(reply: str, before: str) -> str:
    why = "\n".join(_THOUGHT.sub("", reply).strip().splitlines()[1:]).strip()
    return f"{before} {why}".strip()[:MOST_REASON]

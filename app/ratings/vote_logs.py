"""Votes out of other programs' logs: FastChat's and LLaVA's, line by line.

- A **battle vote** of FastChat is ``{"tstamp", "type": "leftvote" | "rightvote" | "tievote" |
  "bothbad_vote", "models": [left, right], "states": [left, right], "ip"}``; in a blind battle the
  models are "" and their names stand in the states as ``model_name``.
- The **cleaned battles** that FastChat makes of these, and that were published, are a JSON array of
  ``{"model_a", "model_b", "winner", "judge", "turn", "anony", "language", "tstamp"}``.
- A **thumb** of LLaVA (and of FastChat's page with one model) is ``{"tstamp", "type": "upvote" |
  "downvote" | "flag", "model", "state", "ip"}``.

A state has ``messages``, pairs of role and text, from ``offset`` on. Logs hold no pictures.
Sources: https://github.com/lm-sys/FastChat (serve/gradio_block_arena_anony.py,
serve/monitor/clean_battle_data.py), https://github.com/haotian-liu/LLaVA
(serve/gradio_web_server.py).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from app.battle_protocol import BattleKind, VoteChoice
from app.errors import BadRequest

LogSource = Literal["fastchat", "llava"]
Row = dict[str, Any]
_BATTLES: dict[str, VoteChoice] = {
    "leftvote": "left",
    "rightvote": "right",
    "tievote": "tie",
    "bothbad_vote": "both_bad",
}
_WINNERS: dict[str, VoteChoice] = {
    "model_a": "left",
    "model_b": "right",
    "tie": "tie",
    "tie (bothbad)": "both_bad",
}
_THUMBS: dict[str, Literal["up", "down", "flag"]] = {
    "upvote": "up",
    "downvote": "down",
    "flag": "flag",
}
_LANGUAGES = {
    "English": "en", "Chinese": "zh", "German": "de", "French": "fr", "Spanish": "es",
    "Italian": "it", "Portuguese": "pt", "Dutch": "nl", "Polish": "pl", "Turkish": "tr",
    "Swedish": "sv", "Vietnamese": "vi", "Indonesian": "id", "Japanese": "ja", "Korean": "ko",
    "Russian": "ru", "Arabic": "ar", "Hindi": "hi", "Greek": "el", "Hebrew": "he", "Thai": "th",
}  # fmt: skip
"""Languages as cleaned battles name them, and as ours are."""
_FAILED = re.compile(r"\**(NETWORK ERROR DUE TO HIGH TRAFFIC|API REQUEST ERROR)|\$MODERATION\$")
_HEADING = re.compile(r"<h3>(?:Model [AB]: )?(.*?)</h3>\s*")
_HIDDEN = ("", "Model A", "Model B")
_LONGEST_NAME = 200


@dataclass(frozen=True)
class LoggedTurn:
    """A question without its pictures, and the answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class LoggedBattle:
    """A vote on two models. ``key`` is the same for the same row, and for no other."""

    key: str
    source: LogSource
    kind: BattleKind
    models: tuple[str, str]
    choice: VoteChoice
    voter: str
    created_at: str
    turns: int
    question: str
    language: str | None
    answers: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether an answer is one of the texts that stand for a failure there."""
        return any(_FAILED.match(answer) for answer in self.answers)


@dataclass(frozen=True)
class LoggedThumb:
    """A thumb or flag on the last answer of a conversation."""

    key: str
    source: LogSource
    model: str
    value: Literal["up", "down", "flag"]
    voter: str
    created_at: str
    turns: tuple[LoggedTurn, ...]


@dataclass(frozen=True)
class BadRow:
    """A row that is no vote and should be one: its number in the file from 1, and why."""

    number: int
    reason: str


Logged = LoggedBattle | LoggedThumb | BadRow | None
"""None: a row about something else, such as an answer."""


def read_votes_of(path: Path) -> Iterator[Logged]:
    """What each row of a log says. Raises :class:`BadRequest` where the file cannot be read."""
    try:
        with path.open("rb") as file:
            if file.read(1) == b"[":
                yield from _of_array(path)
                return
            file.seek(0)
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _of_line(line, number)
    except OSError as error:
        raise BadRequest(
            f"{path} cannot be read: {error.strerror or error}.", "Name a log of votes."
        ) from error


def _of_array(path: Path) -> Iterator[Logged]:
    try:
        rows = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadRequest(
            f"{path} is no JSON array: {error}.", "Name a file of cleaned battles, or a log."
        ) from error
    for number, row in enumerate(rows, start=1):
        yield _of_row(row, number)


def _of_line(line: bytes, number: int) -> Logged:
    try:
        row = json.loads(line)
    except ValueError as error:
        return BadRow(number, f"no JSON: {error}")
    return _of_row(row, number)


def _of_row(row: Any, number: int) -> Logged:
    try:
        if not isinstance(row, dict):
            raise ValueError("no JSON object")
        if "winner" in row:
            return _cleaned(row)
        if row.get("type") in _BATTLES:
            return _battle(row)
        return _thumb(row) if row.get("type") in _THUMBS else None
    except KeyError as error:
        return BadRow(number, f"it has no {error.args[0]}")
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        return BadRow(number, str(error) or type(error).__name__)


def _battle(row: Row) -> LoggedBattle:
    shown = [_HEADING.sub(r"\1", str(name)).strip() for name in _two(row["models"], "models")]
    states = _two(row["states"], "states")
    hidden = [name in _HIDDEN for name in shown]
    if hidden[0] != hidden[1]:
        raise ValueError(f"one model is named and the other is not: {shown}")
    blind = all(hidden)
    names = [str(state["model_name"] or "") for state in states] if blind else shown
    turns = [_turns(state) for state in states]
    if not turns[0] or len(turns[0]) != len(turns[1]):
        raise ValueError(f"its sides have {len(turns[0])} and {len(turns[1])} answers")
    return LoggedBattle(
        key=_key(row),
        source="fastchat",
        kind="blind" if blind else "named",
        models=_models(names),
        choice=_BATTLES[row["type"]],
        voter=str(row.get("ip") or ""),
        created_at=_time(row["tstamp"]),
        turns=len(turns[0]),
        question=turns[0][0].question,
        language=None,
        answers=tuple(turn.answer for side in turns for turn in side),
    )


def _cleaned(row: Row) -> LoggedBattle:
    if row["winner"] not in _WINNERS:
        raise ValueError(f"winner is {row['winner']!r}, not one of {', '.join(_WINNERS)}")
    sides = [row.get("conversation_a") or [], row.get("conversation_b") or []]
    said = [str(each["content"]) for side in sides for each in side if each["role"] == "assistant"]
    turns = int(row.get("turn") or 1)
    if turns < 1:
        raise ValueError(f"turn is {turns}")
    return LoggedBattle(
        key=_key(row),
        source="fastchat",
        kind="named" if row.get("anony") is False else "blind",
        models=_models([row["model_a"], row["model_b"]]),
        choice=_WINNERS[row["winner"]],
        voter=str(row.get("judge") or ""),
        created_at=_time(row["tstamp"]),
        turns=turns,
        question=str(sides[0][0]["content"]) if sides[0] else "",
        language=_LANGUAGES.get(str(row.get("language")), "unknown"),
        answers=tuple(said),
    )


def _thumb(row: Row) -> LoggedThumb:
    turns = _turns(row["state"])
    if not turns:
        raise ValueError("its conversation has no answer")
    of_fastchat = "conv_id" in row["state"]
    return LoggedThumb(
        key=_key(row),
        source="fastchat" if of_fastchat else "llava",
        model=_name(row["model"]),
        value=_THUMBS[row["type"]],
        voter=str(row.get("ip") or ""),
        created_at=_time(row["tstamp"]),
        turns=turns,
    )


def _turns(state: Row) -> tuple[LoggedTurn, ...]:
    """The turns that have an answer."""
    texts = [_text(message[1]) for message in state["messages"][int(state.get("offset", 0)) :]]
    pairs = zip(texts[::2], texts[1::2], strict=False)
    return tuple(LoggedTurn(asked, said) for asked, said in pairs if said)


def _text(content: Any) -> str:
    """The text of a message, which may stand beside pictures; their placeholders go."""
    if isinstance(content, list):
        content = content[0]
    return "" if content is None else str(content).replace("<image>", "").strip()


def _two(values: Any, what: str) -> list[Any]:
    if not isinstance(values, list) or len(values) != 2:
        raise ValueError(f"{what} is not a list of two")
    return values


def _models(names: list[Any]) -> tuple[str, str]:
    return _name(names[0]), _name(names[1])


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ValueError("it does not name its model")
    return name.strip()[:_LONGEST_NAME]


def _time(tstamp: Any) -> str:
    return datetime.fromtimestamp(float(tstamp), UTC).isoformat(timespec="microseconds")


def _key(row: Row) -> str:
    canonical = json.dumps(row, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "backslashreplace")).hexdigest()[:32]

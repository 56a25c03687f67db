"""Battles against a running controller."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from app.protocol import PERSON_HEADER, ModelInfo
from tests.app.controller.conftest import Desk
from tests.fakes import ScriptedBackend
from tests.pictures import question

WORDS = ("A ", "red ", "circle.")
Events = list[dict[str, Any]]


def model(name: str, words: Sequence[str] = WORDS, **keys: Any) -> ScriptedBackend:
    """A model of this name that says these words."""
    info = ModelInfo(id=name, revision=f"rev-{name}", precision="32bit", context_length=100)
    return ScriptedBackend(info=info, words=words, **keys)


class Ring:
    """A person in the arena of a controller."""

    def __init__(self, desk: Desk, person: str = "ann") -> None:
        self.desk, self.headers = desk, {PERSON_HEADER: person}

    def events(self, path: str, **body: Any) -> Events:
        """All events of a streamed turn; asserts that it could begin."""
        with self.desk.client.stream("POST", path, json=body, headers=self.headers) as reply:
            lines = [line[6:] for line in reply.iter_lines() if line.startswith("data: ")]
            assert reply.status_code == 200, reply.text
        assert lines[-1] == "[DONE]"
        return [json.loads(line) for line in lines[:-1]]

    def battle(self, text: str = "What is it?", *pictures: bytes, **keys: Any) -> Events:
        """A new battle's events."""
        return self.events("/api/battles", messages=[question(text, *pictures)], **keys)

    def turn(self, battle_id: str, text: str = "And now?") -> Events:
        """The next turn's events."""
        return self.events(f"/api/battles/{battle_id}/turns", messages=[question(text)])

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.desk.client.post(path, json=body, headers=self.headers)

    def get(self, path: str) -> Any:
        return self.desk.client.get(path, headers=self.headers).json()

    def vote(self, battle_id: str, choice: str = "left", **keys: Any) -> httpx.Response:
        return self.post(f"/api/battles/{battle_id}/vote", choice=choice, **keys)


def text_of(events: Sequence[dict[str, Any]], side: str) -> str:
    """What one side has said."""
    return "".join(e["text"] for e in events if e["type"] == "text" and e["side"] == side)


@pytest.fixture
def ring(desk: Desk) -> Ring:
    """Ann in an arena with two models."""
    desk.add_worker(model("alpha-one"))
    desk.add_worker(model("beta-two", words=("A ", "blue ", "square ", "on ", "white.")))
    return Ring(desk)

"""A fake controller behind a real server, and the page's client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.protocol import Sampling
from app.settings import Settings
from app.ui.answering import Answering
from app.ui.browsing import Browsing
from app.ui.client import ControllerClient
from app.ui.language import load_texts
from app.ui.rating import RatingHandlers
from app.ui.screen import Change, Choice, Draft, Edit
from app.ui.tab import Tab
from tests.app.ui.fake_controller import FakeController
from tests.servers import running

ENGLISH = load_texts("en")
GREEDY = Choice("second", Sampling())


@dataclass
class Page:
    """The handlers of the page as one tab uses them; it keeps the last value of each part."""

    answering: Answering
    browsing: Browsing
    rating: RatingHandlers
    now: Change

    @property
    def tab(self) -> Tab:
        assert self.now.tab
        return self.now.tab

    def show(self, change: Change) -> Change:
        """Take a change in as a browser does: what it does not name stays."""
        named = {name: value for name, value in vars(change).items() if value is not None}
        self.now = self.now.but(**named)
        return change

    async def ask(self, text: str, *files: str) -> list[Change]:
        """Ask, and follow the answer to its end."""
        draft = Draft(text, tuple(files))
        self.show(Change(draft=draft))
        shown = self.now.messages or []
        changes = self.answering.send(self.tab, draft, shown, GREEDY)
        return [self.show(change) async for change in changes]

    async def regenerate(self, answer_id: str | None = None) -> list[Change]:
        changes = self.answering.regenerate(self.tab, self.now.messages or [], GREEDY, answer_id)
        return [self.show(change) async for change in changes]

    async def edit(self, edit: Edit) -> list[Change]:
        changes = self.answering.edit(self.tab, edit, self.now.messages or [], GREEDY)
        return [self.show(change) async for change in changes]

    @property
    def texts(self) -> list[str]:
        """The text of each shown message."""
        return [message["text"] for message in self.now.messages or []]

    def id_of(self, number: int) -> str:
        """The id of a shown message."""
        return (self.now.messages or [])[number]["id"]


def said(change: Change) -> str:
    """The notice in words; empty where there is none."""
    return change.notice.words(ENGLISH) if change.notice else ""


@pytest.fixture
def fake() -> FakeController:
    return FakeController()


@pytest.fixture
def address(fake: FakeController) -> Iterator[str]:
    with running(fake.app) as url:
        yield url


@pytest.fixture
async def client(address: str) -> AsyncIterator[ControllerClient]:
    client = ControllerClient(Settings(controller_url=address))
    yield client
    await client.close()


@pytest.fixture
def page(client: ControllerClient, tmp_path: Path) -> Page:
    answering = Answering(client)
    browsing = Browsing(client, answering, tmp_path / "uploads")
    return Page(answering, browsing, RatingHandlers(client), Change(tab=Tab.new()))

"""The list of conversations over HTTP, in front of a real controller; no browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.controller.api import create_app as create_controller
from app.db.records import AnswerSource, NewTurn, Outcome
from app.db.store import Store
from app.pictures import picture_from_data_url
from app.protocol import PERSON_HEADER, ModelInfo
from app.settings import Settings
from app.ui.language import load_texts
from app.ui.page import create_app
from tests.pictures import as_data_url, png
from tests.servers import running

ME = {PERSON_HEADER: "person-1"}
OTHER = {PERSON_HEADER: "person-2"}


class Site:
    """A page with a controller of its own, and one conversation in it."""

    def __init__(self, page: httpx.Client, store: Store, settings: Settings) -> None:
        self.page, self._store, self._settings = page, store, settings
        self.conversation = self.talk("What is it?")

    def talk(self, text: str) -> str:
        """A conversation of one turn with a picture; its id."""
        picture = picture_from_data_url(as_data_url(png("red", (300, 200))), self._settings)
        turn = NewTurn("person-1", text, (picture,), None, None)
        begun = self._store.begin_turn(turn, AnswerSource(ModelInfo(id="m")))
        self._store.save_answer(begun.answer_id, Outcome("A **red** thing.", "stop"))
        return begun.conversation_id


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        settings = Settings(data_dir=tmp_path)
        controller = create_controller(settings)
        settings.controller_url = stack.enter_context(running(controller))
        url = stack.enter_context(running(asyncio.run(made(settings))))
        page = stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=20))
        yield Site(page, controller.state.store, settings)


async def made(settings: Settings) -> FastAPI:
    return create_app(settings)


def test_the_list_is_ones_own_and_can_be_changed(site: Site) -> None:
    page, name = site.page, site.conversation
    second = site.talk("Where are zebras?")
    listed = page.get("/conversations", headers=ME).json()
    assert [each["id"] for each in listed["conversations"]] == [second, name]
    assert page.get("/zh/conversations?q=zebra", headers=ME).json()["total"] == 1
    one = page.get("/conversations?limit=1", headers=ME).json()
    rest = page.get("/conversations", params={"after": one["next"]}, headers=ME).json()
    assert [each["id"] for each in rest["conversations"]] == [name]
    assert page.get("/conversations", headers=OTHER).json()["total"] == 0
    changed = page.patch(f"/conversations/{name}", json={"title": "A & ü?"}, headers=ME).json()
    assert (changed["title"], changed["pinned"]) == ("A & ü?", False)
    small = page.get(f"/pictures/{changed['thumbnail']}/thumbnail")
    assert small.headers["content-type"] == "image/webp" and small.content
    saved = page.get(f"/conversations/{name}/export?format=json", headers=ME)
    assert "A-%C3%BC.json" in saved.headers["content-disposition"]
    assert page.delete(f"/conversations/{name}", headers=OTHER).status_code == 404
    assert page.delete(f"/conversations/{name}", headers=ME).status_code == 204
    assert page.get("/conversations", headers=ME).json()["total"] == 1


def test_errors_are_sentences_in_the_language_of_the_page(site: Site) -> None:
    page = site.page
    gone = page.delete("/zh/conversations/conv_gone", headers=ME)
    assert gone.status_code == 404 and gone.json()["code"] == "not_found"
    assert gone.json()["message"].startswith(load_texts("zh")("errors.not_found"))
    unread = page.patch(f"/conversations/{site.conversation}", json={"titel": "x"}, headers=ME)
    assert unread.status_code == 400 and "titel" in unread.json()["message"]
    wrong = page.get(f"/conversations/{site.conversation}/export?format=pdf", headers=ME)
    assert wrong.is_client_error and wrong.json()["message"]
    # A name with a slash or a dot leads nowhere else on the controller.
    assert page.delete("/conversations/..%2Fimages", headers=ME).status_code == 404


def test_another_web_page_cannot_ask_in_a_persons_name(site: Site) -> None:
    """It cannot send the header along without being asked for it first, which nobody allows."""
    path = f"/conversations/{site.conversation}/shares"
    refused = site.page.post(path, headers={"origin": "https://elsewhere.example"})
    assert refused.status_code == 400 and "Reload" in refused.json()["message"]
    assert not site.page.options(path, headers={"origin": "https://elsewhere.example"}).is_success


def test_consent_is_the_persons(site: Site) -> None:
    assert site.page.get("/me", headers=ME).json()["access"] == "local"
    told = site.page.post("/me/consent", json={"allowed": False}, headers=ME)
    assert told.json()["allowed"] is False
    assert site.page.get("/me", headers=ME).json()["consent"]["asked"] is True
    assert site.page.get("/me", headers=OTHER).json()["consent"]["asked"] is False

"""Battles as one tab goes through them, over an arena in memory."""

from __future__ import annotations

import pytest

from app.errors import OneModel, StorageFailed, WorkerLost
from app.ui.arena.handlers import ArenaHandlers
from app.ui.arena.screen import ArenaChange, ArenaTab, Shown
from app.ui.language import load_texts
from app.ui.screen import Draft, Notice
from tests.app.ui.arena.fake_arena import MODELS, FakeArena

PERSON = "somebody-here"
NOTHING = Shown([], [])


@pytest.fixture
def arena() -> FakeArena:
    return FakeArena()


@pytest.fixture
def handlers(arena: FakeArena) -> ArenaHandlers:
    return ArenaHandlers(arena, load_texts("en"))


async def asked(
    handlers: ArenaHandlers, text: str = "Which colour?", tab: ArenaTab | None = None
) -> list[ArenaChange]:
    changes = handlers.ask(PERSON, tab or ArenaTab(), Draft(text), NOTHING)
    return [change async for change in changes]


def texts_of(change: ArenaChange) -> tuple[list[str], list[str]]:
    assert change.shown
    left, right = (
        [message["content"][0]["text"] for message in side]
        for side in (change.shown.left, change.shown.right)
    )
    return left, right


async def test_both_answers_grow_and_then_the_ballot_opens_without_names(
    handlers: ArenaHandlers,
) -> None:
    changes = await asked(handlers)
    assert changes[0].busy and not changes[0].ballot.open  # type: ignore[union-attr]
    last = changes[-1]
    assert texts_of(last) == (["Which colour&#63;", "red"], ["Which colour&#63;", "blue"])
    assert last.tab == ArenaTab(battle="bat_1") and last.busy is False
    assert last.ballot and last.ballot.open and last.ballot.models is None
    cleared = [change for change in changes if change.draft == Draft()]
    assert len(cleared) == 1, "the box is emptied once, when the battle has begun"


async def test_a_vote_tells_the_names_and_can_be_changed(
    handlers: ArenaHandlers, arena: FakeArena
) -> None:
    tab = (await asked(handlers))[-1].tab or ArenaTab()
    voted = await handlers.vote(PERSON, tab, "left", "  it is right ")
    assert voted.ballot and voted.ballot.models == MODELS and voted.ballot.open
    assert voted.ballot.vote and voted.ballot.vote.reason == "it is right"
    await handlers.explain(PERSON, tab, "rather so")
    await handlers.vote(PERSON, tab, "tie", "")
    assert [vote.choice for vote in arena.votes] == ["left", "left", "tie"]
    assert len({vote.key for vote in arena.votes}) == 3, "each press has a key of its own"


async def test_a_vote_that_was_not_stored_is_cast_again_with_the_same_key(
    handlers: ArenaHandlers, arena: FakeArena
) -> None:
    tab = (await asked(handlers))[-1].tab or ArenaTab()
    arena.vote_error = StorageFailed("Your vote was not stored. The disk is full.")
    failed = await handlers.vote(PERSON, tab, "right", "why")
    assert failed.again and failed.tab and failed.tab.pending and failed.notice
    assert "not stored" in failed.notice.words(load_texts("en"))

    reloaded = await handlers.open(PERSON, failed.tab)
    assert reloaded.again and reloaded.notice == Notice("arena.not_confirmed")
    arena.vote_error = None
    done = await handlers.vote(PERSON, reloaded.tab or ArenaTab(), None, "other words")
    assert arena.votes[0] == arena.votes[1], "the same key, choice and reason"
    assert done.again is False and done.tab and done.tab.pending is None


async def test_a_reason_alone_is_no_vote(handlers: ArenaHandlers, arena: FakeArena) -> None:
    tab = (await asked(handlers))[-1].tab or ArenaTab()
    assert await handlers.explain(PERSON, tab, "because") == ArenaChange()
    assert arena.votes == []


async def test_one_model_only_says_what_to_type(handlers: ArenaHandlers, arena: FakeArena) -> None:
    arena.served = ["one"]
    opened = await handlers.open(PERSON, ArenaTab())
    assert opened.notice and "--model SECOND" in opened.notice.words(load_texts("en"))
    arena.refuse = OneModel("Only one is served.")
    refused = (await asked(handlers))[-1]
    assert refused.draft == Draft("Which colour?") and refused.busy is False
    assert refused.shown == NOTHING and refused.notice and refused.notice.error is arena.refuse


async def test_a_broken_turn_shows_what_is_stored_and_why(
    handlers: ArenaHandlers, arena: FakeArena
) -> None:
    arena.break_off = WorkerLost("The connection ended.")
    last = (await asked(handlers))[-1]
    assert last.notice and last.notice.error is arena.break_off
    assert texts_of(last)[0] == ["Which colour&#63;", "re"] and last.busy is False


async def test_a_battle_is_restored_and_one_that_is_gone_leaves_an_empty_page(
    handlers: ArenaHandlers,
) -> None:
    tab = (await asked(handlers))[-1].tab or ArenaTab()
    assert texts_of(await handlers.open(PERSON, tab))[1] == ["Which colour&#63;", "blue"]
    gone = await handlers.open(PERSON, ArenaTab(battle="bat_9"))
    assert gone.shown == NOTHING and gone.tab == ArenaTab()


async def test_an_empty_question_is_not_asked(handlers: ArenaHandlers) -> None:
    (change,) = await asked(handlers, "  ")
    assert change.notice and "no question" in change.notice.words(load_texts("en"))


def test_a_tab_survives_the_browser_and_nonsense_in_it() -> None:
    tab = ArenaTab(battle="bat_1")
    assert ArenaTab.read(tab.store()) == tab
    assert ArenaTab.read("{") == ArenaTab.read(None) == ArenaTab()

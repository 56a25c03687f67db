"""What the arena does: open, ask both sides, vote, begin anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from app.battle_protocol import (
    Battle,
    BattleBegun,
    BattleDone,
    BattleEvent,
    SideText,
    VoteChoice,
    VoteRequest,
)
from app.errors import NotFound, StudioError
from app.ui import chatbot, messages
from app.ui.answering import compose
from app.ui.arena.client import ArenaClient
from app.ui.arena.screen import (
    ArenaChange,
    ArenaTab,
    Ballot,
    Shown,
    being_written,
    empty,
    failed,
    new_key,
    showing,
)
from app.ui.language import Texts
from app.ui.pacing import paced
from app.ui.screen import Draft, Notice

SETTLE_SECONDS = 5.0
"""How long the controller may take to note that answers have ended."""
NEEDED = 2


class ArenaHandlers:
    """Handlers of one language's page."""

    def __init__(self, client: ArenaClient, texts: Texts) -> None:
        self._client = client
        self._texts = texts

    async def open(self, person: str, tab: ArenaTab) -> ArenaChange:
        """The page as it is loaded, with the tab's battle. Without one, what it shows stays: a
        battle may have begun before this comes to an end."""
        try:
            served = await self._client.models()
            change = await self._restored(person, tab)
        except StudioError as error:
            return failed(error).but(busy=False)
        if len(served) >= NEEDED:
            return change
        if not served:
            return change.but(notice=Notice("chat.waiting_for_model"))
        return change.but(notice=Notice("arena.one_model"))

    async def ask(
        self, person: str, tab: ArenaTab, draft: Draft, shown: Shown
    ) -> AsyncGenerator[ArenaChange, None]:
        """Begin a battle, or its next turn; both answers grow as the controller sends them."""
        try:
            message = compose(draft)
        except StudioError as error:
            yield failed(error)
            return
        asked = chatbot.question(draft.text, [messages.upload_url(file) for file in draft.files])
        if tab.battle:
            events = self._client.go_on(person, tab.battle, message)
        else:
            events = self._client.begin(person, message)
        before = Shown([*shown.left, asked], [*shown.right, asked])
        yield ArenaChange(shown=before, ballot=Ballot(), busy=True, notice=Notice(), again=False)
        texts = {"left": "", "right": ""}
        try:
            async with aclosing(paced(events)) as batches:
                async for batch in batches:
                    tab, change = _followed(batch, tab, texts, before)
                    yield change
        except StudioError as error:
            yield await self._broken(person, tab, shown, draft, error)
            return
        yield await self._settled(person, tab)

    async def stopped(self, person: str, tab: ArenaTab) -> ArenaChange:
        """The battle after it was stopped, when the controller has noted it."""
        if not tab.battle:
            return ArenaChange(shown=Shown([], []), busy=False, ballot=Ballot(), notice=Notice())
        return await self._settled(person, tab)

    async def vote(
        self, person: str, tab: ArenaTab, choice: VoteChoice | None, reason: str
    ) -> ArenaChange:
        """Cast or change the vote; None: the one that was not stored, again."""
        if not tab.battle:
            return empty()
        given = reason.strip() or None
        if choice is None:
            if tab.pending is None:
                return await self._settled(person, tab)
            vote = tab.pending
        else:
            vote = VoteRequest(choice=choice, reason=given, key=new_key())
        try:
            await self._client.vote(person, tab.battle, vote)
        except StudioError as error:
            kept = tab.model_copy(update={"pending": vote})
            return failed(error).but(tab=kept, again=True)
        return await self._settled(person, tab)

    async def explain(self, person: str, tab: ArenaTab, reason: str) -> ArenaChange:
        """Store the reason with the vote that is cast; before a vote it waits in its box."""
        if not tab.battle:
            return ArenaChange()
        try:
            battle = await self._client.battle(person, tab.battle)
        except StudioError as error:
            return failed(error)
        if battle.vote is None:
            return ArenaChange()
        return await self.vote(person, tab, battle.vote.choice, reason)

    async def _restored(self, person: str, tab: ArenaTab) -> ArenaChange:
        if not tab.battle:
            return ArenaChange()
        try:
            change = showing(await self._ended(person, tab.battle), self._texts)
        except NotFound:
            return empty()
        if tab.pending is None:
            return change
        return change.but(tab=tab, again=True, notice=Notice("arena.not_confirmed"))

    async def _settled(self, person: str, tab: ArenaTab) -> ArenaChange:
        try:
            return showing(await self._ended(person, tab.battle or ""), self._texts)
        except StudioError as error:
            return failed(error).but(busy=False)

    async def _ended(self, person: str, battle_id: str) -> Battle:
        """The battle; waits some seconds for answers that are about to end."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            battle = await self._client.battle(person, battle_id)
            if not being_written(battle) or time.monotonic() > deadline:
                return battle
            await asyncio.sleep(0.1)

    async def _broken(
        self, person: str, tab: ArenaTab, shown: Shown, draft: Draft, error: StudioError
    ) -> ArenaChange:
        """The battle as it is stored; where nothing was, as before, the question in the box."""
        change = ArenaChange(tab=tab, shown=shown, ballot=Ballot(), draft=draft, busy=False)
        if tab.battle:
            with suppress(StudioError):
                battle = await self._ended(person, tab.battle)
                change = showing(battle, self._texts)
                if 2 * len(battle.turns) <= len(shown.left):
                    change = change.but(draft=draft)
        return change.but(notice=Notice(error=error))


def _followed(
    batch: list[BattleEvent], tab: ArenaTab, texts: dict[str, str], before: Shown
) -> tuple[ArenaTab, ArenaChange]:
    """The tab and the page after some events; ``texts`` grows by what they say."""
    change = ArenaChange()
    for event in batch:
        match event:
            case BattleBegun():
                tab = ArenaTab(battle=event.battle_id)
                change = change.but(tab=tab, draft=Draft(), reason="")
            case SideText():
                texts[event.side] += event.text
            case BattleDone():
                pass
    if any(isinstance(event, SideText) for event in batch):
        left, right = ([chatbot.answer(texts[side])] for side in ("left", "right"))
        change = change.but(shown=Shown([*before.left, *left], [*before.right, *right]))
    return tab, change

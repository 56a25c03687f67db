"""From a question in the box to an answer in the chat."""

from __future__ import annotations

import asyncio
import base64
import mimetypes
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

from app.errors import StudioError
from app.protocol import ChatMessage as Asked
from app.protocol import Content, ImageContent, ImageURL, StoredConversation, TextContent
from app.ui import messages
from app.ui.client import ControllerClient
from app.ui.events import Accepted, AnswerEvent, Written
from app.ui.language import PageError
from app.ui.messages import ChatMessage
from app.ui.pacing import paced
from app.ui.screen import Change, Choice, Draft, Notice, Pager, RatingPanel, failed, showing
from app.ui.tab import Tab

SETTLE_SECONDS = 3.0
"""How long the controller may take to note that an answer was stopped."""


class Answering:
    """Asks, regenerates, and shows the conversation when an answer has ended."""

    def __init__(self, client: ControllerClient) -> None:
        self._client = client

    async def send(
        self, tab: Tab, draft: Draft, shown: list[ChatMessage], choice: Choice
    ) -> AsyncGenerator[Change, None]:
        """Ask what is in the box; the box is emptied when the question is stored, not before."""
        try:
            message = compose(draft)
        except StudioError as error:
            yield failed(error)
            return
        urls = [messages.upload_url(file) for file in draft.files]
        asked = [*shown, messages.question(draft.text, urls)]
        events = self._client.ask(
            tab.person,
            message,
            choice.sampling,
            model=choice.model,
            conversation_id=tab.conversation,
            parent_answer_id=tab.last_answer,
        )
        before = Change(tab=tab, messages=shown, draft=draft)
        async with aclosing(self._follow(tab, tab.path, events, asked, before)) as changes:
            async for change in changes:
                yield change

    async def regenerate(
        self, tab: Tab, shown: list[ChatMessage], choice: Choice
    ) -> AsyncGenerator[Change, None]:
        """Another answer to the last question; the former one is kept beside it."""
        if not (tab.conversation and tab.last_answer):
            yield failed(PageError("refusals.nothing_to_replace"))
            return
        events = self._client.regenerate(
            tab.person, tab.conversation, tab.last_answer, choice.sampling, model=choice.model
        )
        before = Change(tab=tab, messages=shown)
        follow = self._follow(tab, tab.path[:-1], events, shown[:-1], before)
        async with aclosing(follow) as changes:
            async for change in changes:
                yield change

    async def settle(self, tab: Tab) -> Change:
        """The conversation after an answer was stopped, when the controller has noted it."""
        if not tab.conversation:
            return Change(messages=[], busy=False, notice=Notice())
        try:
            return showing(tab, await self.settled(tab.person, tab.conversation))
        except StudioError as error:
            return failed(error).but(busy=False)

    async def settled(self, person: str, conversation_id: str) -> StoredConversation:
        """The conversation; waits some seconds for an answer that is about to end."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            conversation = await self._client.conversation(person, conversation_id)
            if not being_written(conversation) or time.monotonic() > deadline:
                return conversation
            await asyncio.sleep(0.1)

    async def _follow(
        self,
        tab: Tab,
        path: tuple[str, ...],
        events: AsyncGenerator[AnswerEvent, None],
        asked: list[ChatMessage],
        before: Change,
    ) -> AsyncGenerator[Change, None]:
        """Show ``asked``, then the answer under it as it grows.

        ``before`` is the page to go back to where not a word is written: nothing is lost then.
        """
        yield Change(messages=asked, busy=True, notice=Notice(), pager=Pager(), panel=RatingPanel())
        accepted: Accepted | None = None
        text = ""
        try:
            async with aclosing(paced(events)) as batches:
                async for batch in batches:
                    change = Change()
                    if accepted is None and batch and isinstance(batch[0], Accepted):
                        accepted = batch[0]
                        tab = _continued(tab, path, accepted)
                        change = Change(tab=tab, draft=Draft())
                    new = "".join(event.text for event in batch if isinstance(event, Written))
                    text += new
                    yield change.but(messages=[*asked, messages.answer(text)]) if new else change
        except StudioError as error:
            if text:
                yield await self._ended(tab, [*asked, messages.answer(text)])
            else:
                yield await self._refused(before, error)
            return
        yield await self._ended(tab, [*asked, messages.answer(text)])

    async def _refused(self, before: Change, error: StudioError) -> Change:
        """The page as it was before the question, with the question in the box again."""
        change = before
        if before.tab and before.tab.conversation:
            with suppress(StudioError):
                stored = await self._client.conversation(before.tab.person, before.tab.conversation)
                change = showing(before.tab, stored).but(draft=before.draft)
        return change.but(busy=False, notice=Notice(error=error))

    async def _ended(self, tab: Tab, written: list[ChatMessage]) -> Change:
        """The conversation as stored; what was written so far where that cannot be read."""
        try:
            return showing(tab, await self.settled(tab.person, tab.conversation or ""))
        except StudioError as error:
            return failed(error).but(messages=written, busy=False)


def compose(draft: Draft) -> Asked:
    """The message to send: pictures as ``data:`` URLs, then the words.

    Raises :class:`app.ui.language.PageError` where nothing is asked, or an upload is gone.
    """
    if not draft.text.strip():
        if draft.files:
            raise PageError("refusals.picture_alone")
        raise PageError("refusals.nothing_asked")
    parts: list[Content] = [
        ImageContent(image_url=ImageURL(url=_data_url(Path(file)))) for file in draft.files
    ]
    return Asked(role="user", content=[*parts, TextContent(text=draft.text)])


def being_written(conversation: StoredConversation) -> bool:
    """Whether the last answer on the path has not ended."""
    last = messages.chosen_answer(conversation.turns[-1]) if conversation.turns else None
    return last is not None and last.finish_reason is None


def _data_url(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PageError("refusals.upload_gone", name=path.name) from error
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _continued(tab: Tab, path: tuple[str, ...], accepted: Accepted) -> Tab:
    """The tab with the new answer at the end of its path."""
    return tab.model_copy(
        update={
            "conversation": accepted.conversation_id or tab.conversation,
            "path": (*path, accepted.answer_id),
            "rated": None,
        }
    )

"""From a question in the box to an answer in the chat."""

from __future__ import annotations

import asyncio
import base64
import mimetypes
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from app.errors import StudioError
from app.protocol import ChatMessage as Asked
from app.protocol import Content, ImageContent, ImageURL, StoredConversation, TextContent
from app.ui import messages
from app.ui.client import ControllerClient
from app.ui.events import Accepted, AnswerEvent, Waiting, Written
from app.ui.language import PageError
from app.ui.messages import Message
from app.ui.pacing import paced
from app.ui.screen import Change, Choice, Draft, Edit, Notice, RatingPanel, failed, showing
from app.ui.tab import Tab

SETTLE_SECONDS = 3.0
"""How long the controller may take to note that an answer was stopped."""
STORED = "stored:"
"""How the wire names a picture that is stored already, before its SHA-256."""


class Answering:
    """Asks, regenerates, and shows the conversation when an answer has ended."""

    def __init__(self, client: ControllerClient) -> None:
        self._client = client

    async def send(
        self, tab: Tab, draft: Draft, shown: list[Message], choice: Choice
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
        follow = self._follow(tab, tab.path, events, asked, before, choice.model)
        async with aclosing(follow) as changes:
            async for change in changes:
                yield change

    async def edit(
        self, tab: Tab, edit: Edit, shown: list[Message], choice: Choice
    ) -> AsyncGenerator[Change, None]:
        """Ask a question anew in its place; the former one stays, as another branch."""
        at = _place_of(shown, edit.question_id)
        if at is None or not tab.conversation:
            yield failed(PageError("refusals.nothing_to_edit"))
            return
        old = shown[at].get("pictures", [])
        urls = [old[number] for number in edit.pictures if 0 <= number < len(old)]
        before = Change(tab=tab, messages=shown, draft=Draft(edit.text))
        if not edit.text.strip():
            yield failed(PageError("refusals.nothing_asked")).but(messages=shown)
            return
        stored = [f"{STORED}{url.rsplit('/', 1)[-1]}" for url in urls]
        events = self._client.ask(
            tab.person,
            _message(stored, edit.text),
            choice.sampling,
            model=choice.model,
            conversation_id=tab.conversation,
            edit_of=edit.question_id,
        )
        asked = [*shown[:at], messages.question(edit.text, urls)]
        follow = self._follow(tab, tab.path[: at // 2], events, asked, before, choice.model)
        async with aclosing(follow) as changes:
            async for change in changes:
                yield change

    async def regenerate(
        self, tab: Tab, shown: list[Message], choice: Choice, answer_id: str | None = None
    ) -> AsyncGenerator[Change, None]:
        """Another answer beside this one (default: the last), which is kept."""
        at = _place_of(shown, answer_id or tab.last_answer)
        if at is None or not tab.conversation:
            yield failed(PageError("refusals.nothing_to_replace"))
            return
        events = self._client.regenerate(
            tab.person, tab.conversation, shown[at]["id"], choice.sampling, model=choice.model
        )
        before = Change(tab=tab, messages=shown)
        path = tab.path[: at // 2]
        follow = self._follow(tab, path, events, shown[:at], before, choice.model)
        async with aclosing(follow) as changes:
            async for change in changes:
                yield change

    async def settle(self, tab: Tab) -> Change:
        """The conversation after an answer was stopped, when the controller has noted it."""
        if not tab.conversation:
            return Change(messages=[], written="", busy=False, notice=Notice())
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
        asked: list[Message],
        before: Change,
        model: str,
    ) -> AsyncGenerator[Change, None]:
        """Show ``asked``, then the answer under it as it grows.

        ``before`` is the page to go back to where not a word is written: nothing is lost then.
        """
        writing = [*asked, messages.being_written(model=model)]
        yield Change(messages=writing, written="", busy=True, notice=Notice(), panel=RatingPanel())
        text = ""
        try:
            async with aclosing(paced(events)) as batches:
                async for batch in batches:
                    change = Change()
                    for event in batch:
                        if isinstance(event, Accepted):
                            tab = _continued(tab, path, event)
                            change = change.but(tab=tab, draft=Draft())
                        elif isinstance(event, Waiting):
                            change = change.but(place=event.place)
                        elif isinstance(event, Written):
                            text += event.text
                            change = change.but(written=text)
                    yield change
        except StudioError as error:
            if text:
                yield await self._ended(tab, [*asked, messages.being_written(text, model)])
            else:
                yield await self._refused(before, error)
            return
        yield await self._ended(tab, [*asked, messages.being_written(text, model)])

    async def _refused(self, before: Change, error: StudioError) -> Change:
        """The page as it was before the question, with the question in the box again."""
        change = before
        if before.tab and before.tab.conversation:
            with suppress(StudioError):
                stored = await self._client.conversation(before.tab.person, before.tab.conversation)
                change = showing(before.tab, stored).but(draft=before.draft)
        return change.but(busy=False, notice=Notice(error=error))

    async def _ended(self, tab: Tab, written: list[Message]) -> Change:
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
    return _message([_data_url(Path(file)) for file in draft.files], draft.text)


def _message(urls: Sequence[str], text: str) -> Asked:
    parts: list[Content] = [ImageContent(image_url=ImageURL(url=url)) for url in urls]
    return Asked(role="user", content=[*parts, TextContent(text=text)])


def _place_of(shown: list[Message], message_id: str | None) -> int | None:
    """Which of the shown messages has this id."""
    found = (at for at, message in enumerate(shown) if message.get("id") == message_id)
    return next(found, None) if message_id else None


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

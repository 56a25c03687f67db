"""Thumbs, flags, reasons and comments."""

from __future__ import annotations

from app.errors import StudioError
from app.protocol import Rating, RatingRequest, RatingValue, StoredConversation
from app.ui.client import ControllerClient
from app.ui.language import PageError
from app.ui.messages import THUMBS, chosen_answer, feedback_of
from app.ui.screen import Change, Notice, RatingPanel, failed
from app.ui.tab import Rated, Tab

VALUES: dict[str, RatingValue] = {button: value for value, button in THUMBS.items()}  # type: ignore[misc]


class RatingHandlers:
    """Stores ratings and asks for their reason."""

    def __init__(self, client: ControllerClient) -> None:
        self._client = client

    async def press(self, tab: Tab, message: int, button: str) -> list[Change]:
        """A rating button of the message with this number was pressed; the changes in order.

        ``button`` is empty where the chat took the press as taking the rating back. A rating is
        not lost that easily: it stays, and its reason is asked for again.
        """
        try:
            answer_id = _answer_at(tab, message)
            old = _rating_in(await self._shown(tab), answer_id)
            value = VALUES.get(button) or (old.value if old else None)
            if value is None:
                return [Change(panel=RatingPanel())]
            if old is None or old.value != value:
                request = RatingRequest(answer_id=answer_id, value=value)
                old = await self._client.rate(tab.person, request)
            marks = feedback_of(await self._shown(tab))
        except StudioError as error:
            return [failed(error), Change(feedback=[None] * len(tab.path))]
        rated = Rated(answer_id=answer_id, value=value)
        last = Change(feedback=marks, notice=Notice())
        if tab.rated != rated:
            last = last.but(tab=tab.model_copy(update={"rated": rated}), panel=RatingPanel(old))
        # The chat follows a mark only when it changes: clear it before it is set again.
        cleared = [None if at == message // 2 else mark for at, mark in enumerate(marks)]
        return [last] if button else [Change(feedback=cleared), last]

    async def explain(self, tab: Tab, reason: str | None, comment: str) -> Change:
        """Store the reason and the comment with the rating, and close the question for them."""
        if tab.rated is None:
            return Change(panel=RatingPanel())
        request = RatingRequest(
            answer_id=tab.rated.answer_id,
            value=tab.rated.value,
            reason=reason or None,
            comment=comment.strip() or None,
        )
        try:
            await self._client.rate(tab.person, request)
        except StudioError as error:
            return failed(error)
        closed = tab.model_copy(update={"rated": None})
        return Change(tab=closed, panel=RatingPanel(), notice=Notice())

    async def take_back(self, tab: Tab) -> Change:
        """Remove the rating whose reason is asked for."""
        if tab.rated is None:
            return Change(panel=RatingPanel())
        try:
            await self._client.unrate(tab.person, tab.rated.answer_id)
            marks = feedback_of(await self._shown(tab))
        except StudioError as error:
            return failed(error)
        closed = tab.model_copy(update={"rated": None})
        return Change(tab=closed, feedback=marks, panel=RatingPanel(), notice=Notice())

    async def _shown(self, tab: Tab) -> StoredConversation:
        if not tab.conversation:
            raise PageError("refusals.nothing_to_rate")
        return await self._client.conversation(tab.person, tab.conversation)


def _answer_at(tab: Tab, message: int) -> str:
    """The answer that a message shows: question and answer take turns."""
    if not 0 <= message // 2 < len(tab.path):
        raise PageError("refusals.not_stored_yet")
    return tab.path[message // 2]


def _rating_in(conversation: StoredConversation, answer_id: str) -> Rating | None:
    """The person's rating of a shown answer."""
    answers = [chosen_answer(turn) for turn in conversation.turns]
    return next((shown.rating for shown in answers if shown and shown.id == answer_id), None)

"""Thumbs, flags, reasons and comments."""

from __future__ import annotations

from app.errors import StudioError
from app.protocol import Rating, RatingRequest, RatingValue, StoredConversation
from app.ui.client import ControllerClient
from app.ui.language import PageError
from app.ui.messages import Message
from app.ui.screen import Change, Notice, RatingPanel, failed
from app.ui.tab import Rated, Tab


class RatingHandlers:
    """Stores ratings and asks for their reason."""

    def __init__(self, client: ControllerClient) -> None:
        self._client = client

    async def press(
        self, tab: Tab, shown: list[Message], answer_id: str, value: RatingValue
    ) -> Change:
        """A rating button of an answer was pressed: store it, and ask for the reason.

        Pressed again, the rating stays, and its reason is asked for again.
        """
        try:
            if answer_id not in tab.path:
                raise PageError("refusals.not_stored_yet")
            rating = _rating_in(await self._shown(tab), answer_id)
            if rating is None or rating.value != value:
                request = RatingRequest(answer_id=answer_id, value=value)
                rating = await self._client.rate(tab.person, request)
        except StudioError as error:
            return failed(error)
        change = Change(messages=_marked(shown, answer_id, value), notice=Notice())
        rated = Rated(answer_id=answer_id, value=value)
        if tab.rated == rated:
            return change
        return change.but(tab=tab.model_copy(update={"rated": rated}), panel=RatingPanel(rating))

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

    async def take_back(self, tab: Tab, shown: list[Message]) -> Change:
        """Remove the rating whose reason is asked for."""
        if tab.rated is None:
            return Change(panel=RatingPanel())
        try:
            await self._client.unrate(tab.person, tab.rated.answer_id)
        except StudioError as error:
            return failed(error)
        closed = tab.model_copy(update={"rated": None})
        return Change(
            tab=closed,
            messages=_marked(shown, tab.rated.answer_id, None),
            panel=RatingPanel(),
            notice=Notice(),
        )

    async def _shown(self, tab: Tab) -> StoredConversation:
        if not tab.conversation:
            raise PageError("refusals.nothing_to_rate")
        return await self._client.conversation(tab.person, tab.conversation)


def _marked(shown: list[Message], answer_id: str, rating: RatingValue | None) -> list[Message]:
    """The messages with another rating of this answer."""
    return [
        {**message, "rating": rating} if message.get("id") == answer_id else message
        for message in shown
    ]


def _rating_in(conversation: StoredConversation, answer_id: str) -> Rating | None:
    """The person's rating of an answer on the conversation's path."""
    answers = (answer for turn in conversation.turns for answer in turn.answers)
    return next((answer.rating for answer in answers if answer.id == answer_id), None)

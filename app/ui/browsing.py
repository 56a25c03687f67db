"""Opening the page, starting anew, going back, walking to other branches, and looking closer."""

from __future__ import annotations

import tempfile
from pathlib import Path

from app.errors import NotFound, StudioError
from app.protocol import StoredConversation, StoredImage
from app.ui.answering import Answering
from app.ui.client import ControllerClient
from app.ui.language import PageError
from app.ui.screen import Change, Draft, Insight, Models, Notice, RatingPanel, failed, showing
from app.ui.tab import Tab

NO_MODEL = Notice("chat.waiting_for_model")
SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}


class Browsing:
    """Moves between conversations and along their branches; asks no model.

    ``uploads`` is the folder in which pictures that go back into the message box are put.
    """

    def __init__(self, client: ControllerClient, answering: Answering, uploads: Path) -> None:
        self._client = client
        self._answering = answering
        self._uploads = uploads

    async def open(self, tab: Tab) -> Change:
        """The page as it is loaded, with the tab's conversation. Without one, what it shows stays:
        a question may have been asked before this comes to an end."""
        try:
            served = await self._client.list_models()
            change = await self._conversation(tab)
        except StudioError as error:
            return failed(error).but(models=Models((), None, ""))
        shown = change.tab or tab
        models = Models.of(served, tab.model, shown.model)
        notice = Notice() if served else NO_MODEL
        # What has been typed meanwhile stays.
        return change.but(models=models, notice=notice, draft=None)

    async def visit(self, tab: Tab, conversation_id: str) -> Change:
        """Another conversation in this tab; an empty one for no id. What has been typed stays."""
        empty = self.fresh(tab).but(draft=None)
        if not conversation_id:
            return empty
        try:
            stored = await self._answering.settled(tab.person, conversation_id)
        except NotFound as error:
            return empty.but(notice=Notice(error=error))
        except StudioError as error:
            return failed(error)
        return showing(tab.fresh(), stored).but(written="")

    async def models(self, tab: Tab, chosen: str | None) -> Change:
        """The models that are served now, the chosen one kept where it still is."""
        change = await self._served(tab, chosen)
        return change.but(models=change.models and change.models.known_but("names", chosen))

    async def choose(self, tab: Tab, chosen: str | None) -> Change:
        """Another model for the next answers."""
        change = await self._served(tab, chosen)
        if change.models is None:
            return change
        remembered = tab.model_copy(update={"model": change.models.chosen})
        return change.but(tab=remembered, models=change.models.known_but("sight", chosen))

    async def _served(self, tab: Tab, chosen: str | None) -> Change:
        try:
            served = await self._client.list_models()
        except StudioError as error:
            return failed(error)
        models = Models.of(served, chosen, tab.model)
        return Change(models=models, notice=Notice() if served else NO_MODEL)

    def fresh(self, tab: Tab) -> Change:
        """An empty conversation; the former one stays stored."""
        return Change(
            tab=tab.fresh(),
            messages=[],
            written="",
            panel=RatingPanel(),
            draft=Draft(),
            busy=False,
            notice=Notice(),
        )

    async def undo(self, tab: Tab) -> Change:
        """Take the last question back into the box, with its pictures; nothing is deleted."""
        try:
            conversation = await self._here(tab)
            turn = conversation.turns[-1]
            parent = tab.path[-2] if len(tab.path) > 1 else None
            files = tuple([await self._file(image) for image in turn.images])
            earlier = await self._client.set_head(tab.person, conversation.id, parent)
        except StudioError as error:
            return failed(error)
        return showing(tab, earlier).but(draft=Draft(turn.text, files))

    async def walk(
        self, tab: Tab, *, question_id: str | None = None, answer_id: str | None = None
    ) -> Change:
        """Show the branch of another question or answer, to its newest end."""
        if not tab.conversation:
            return failed(PageError("refusals.nothing_to_undo"))
        try:
            moved = await self._client.go_to_branch(
                tab.person, tab.conversation, question_id=question_id, answer_id=answer_id
            )
        except StudioError as error:
            return failed(error)
        return showing(tab, moved)

    async def look(self, tab: Tab, answer_id: str) -> Change:
        """Where an answer looked, word by word."""
        try:
            explanation = await self._client.explanation(tab.person, answer_id)
        except StudioError as error:
            return Change(insight=Insight(answer_id, refused=error))
        return Change(insight=Insight(answer_id, explanation))

    async def _conversation(self, tab: Tab) -> Change:
        """The conversation; an empty one where it is not there (another database, say)."""
        if not tab.conversation:
            return Change()
        try:
            stored = await self._answering.settled(tab.person, tab.conversation)
        except NotFound:
            return self.fresh(tab)
        return showing(tab.model_copy(update={"model": tab.model or stored.model}), stored)

    async def _here(self, tab: Tab) -> StoredConversation:
        """The conversation along this tab's path, whatever other tabs have done to it."""
        if not (tab.conversation and tab.last_answer):
            raise PageError("refusals.nothing_to_undo")
        return await self._client.set_head(tab.person, tab.conversation, tab.last_answer)

    async def _file(self, image: StoredImage) -> str:
        """A stored picture as a file, for the message box."""
        picture = await self._client.picture(image.sha256)
        self._uploads.mkdir(parents=True, exist_ok=True)
        suffix = SUFFIXES.get(picture.media_type, ".png")
        with tempfile.NamedTemporaryFile(
            dir=self._uploads, prefix="picture-", suffix=suffix, delete=False
        ) as file:
            file.write(picture.data)
        return file.name

"""What the page asks the controller about stored conversations, links to them, and their person."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from app.history import (
    ConversationChange,
    ConversationEntry,
    ConversationList,
    Share,
    SharedConversation,
    ShareList,
)
from app.people import Consent, ConsentRequest, Me
from app.ui.client import ControllerClient, Picture

CONVERSATIONS = "/api/conversations"


@dataclass(frozen=True)
class SavedFile:
    """A conversation as a file to be saved."""

    name: str
    media_type: str
    data: bytes


class HistoryClient:
    """The controller's routes of docs/history.md; every method raises :class:`StudioError`."""

    def __init__(self, controller: ControllerClient) -> None:
        self._controller = controller

    async def list(
        self, person: str, query: str = "", after: str = "", limit: int = 50
    ) -> ConversationList:
        """A page of the person's conversations: the first, or the one after ``after``."""
        path = f"{CONVERSATIONS}?limit={limit}&q={_quoted(query)}"
        path += f"&after={_quoted(after)}" if after else ""
        return await self._controller.call(ConversationList, "GET", path, person=person)

    async def change(
        self, person: str, conversation_id: str, wanted: ConversationChange
    ) -> ConversationEntry:
        """Rename or pin a conversation."""
        path = _path_of(conversation_id)
        return await self._controller.call(
            ConversationEntry, "PATCH", path, person=person, body=wanted
        )

    async def delete(self, person: str, conversation_id: str) -> None:
        """Delete a conversation for good."""
        await self._controller.send("DELETE", _path_of(conversation_id), person=person)

    async def share(self, person: str, conversation_id: str) -> Share:
        """A new link to the conversation as it is now."""
        path = f"{_path_of(conversation_id)}/shares"
        return await self._controller.call(Share, "POST", path, person=person)

    async def shares(self, person: str, conversation_id: str) -> ShareList:
        """The links that have not been revoked."""
        path = f"{_path_of(conversation_id)}/shares"
        return await self._controller.call(ShareList, "GET", path, person=person)

    async def revoke(self, person: str, conversation_id: str, token: str) -> None:
        """From now on the link leads nowhere."""
        path = f"{_path_of(conversation_id)}/shares/{_quoted(token)}"
        await self._controller.send("DELETE", path, person=person)

    async def export(self, person: str, conversation_id: str, kind: str) -> SavedFile:
        """The conversation's current path as a file: ``markdown``, ``json`` or ``llava``."""
        path = f"{_path_of(conversation_id)}/export?format={_quoted(kind)}"
        reply = await self._controller.send("GET", path, person=person)
        named = reply.headers.get("content-disposition", "").partition("filename*=UTF-8''")[2]
        media_type = reply.headers.get("content-type", "application/octet-stream")
        return SavedFile(unquote(named) or "conversation", media_type, reply.content)

    async def thumbnail(self, sha256: str) -> Picture:
        """A stored picture, 128 pixels at its longer side."""
        return await self._picture(f"/api/images/{_quoted(sha256)}/thumbnail")

    async def shared(self, token: str) -> SharedConversation:
        """What a link shows; raises :class:`app.errors.NotFound` where it leads nowhere."""
        path = f"/api/shared/{_quoted(token)}"
        return await self._controller.call(SharedConversation, "GET", path)

    async def shared_picture(self, token: str, sha256: str) -> Picture:
        """A picture of a shared conversation."""
        return await self._picture(f"/api/shared/{_quoted(token)}/images/{_quoted(sha256)}")

    async def me(self, person: str) -> Me:
        """Who the controller takes the visitor for, and what they allow."""
        return await self._controller.call(Me, "GET", "/api/me", person=person)

    async def consent(self, person: str, wanted: ConsentRequest) -> Consent:
        """Note whether what this person says and rates may train models."""
        path = "/api/me/consent"
        return await self._controller.call(Consent, "POST", path, person=person, body=wanted)

    async def _picture(self, path: str) -> Picture:
        reply = await self._controller.send("GET", path)
        return Picture(reply.content, reply.headers.get("content-type", "image/webp"))


def _path_of(conversation_id: str) -> str:
    return f"{CONVERSATIONS}/{_quoted(conversation_id)}"


def _quoted(text: str) -> str:
    return quote(text, safe="")

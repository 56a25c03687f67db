"""What travels about stored conversations beside the chat itself: lists, changes, branches, shares.

docs/history.md has the routes.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from app.protocol import StoredConversation, Wire

MOST_LISTED = 200
"""Conversations in one page of a list."""


class ConversationEntry(Wire):
    """One conversation in a list."""

    id: str
    title: str
    model: str
    """The model that answered last."""
    pinned: bool
    turns: int
    """Questions asked in it, on all branches."""
    thumbnail: str | None = None
    """SHA-256 of its first picture: ``GET /api/images/{sha256}/thumbnail``."""
    created_at: str
    updated_at: str


class ConversationList(Wire):
    """``GET /api/conversations``: pinned ones first, then the last used first."""

    conversations: list[ConversationEntry]
    next: str | None = None
    """Give it as ``after`` to get the following page; None at the end."""
    total: int
    """Conversations in the whole list, or found by the search."""


class ConversationChange(Wire):
    """``PATCH /api/conversations/{id}``: what is not given stays."""

    title: str | None = Field(default=None, max_length=200)
    pinned: bool | None = None


class BranchRequest(Wire):
    """``POST /api/conversations/{id}/branch``: go to the newest end of a branch.

    The branch is that of a question (an edited one, say) or of an answer; exactly one is given.
    """

    question_id: str | None = None
    answer_id: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.question_id is None) == (self.answer_id is None):
            raise ValueError("give question_id or answer_id, and not both")
        return self


class Share(Wire):
    """A read-only link to a conversation as it was when the link was made."""

    token: str
    """What the link ends with; whoever has it can read the snapshot."""
    conversation_id: str
    title: str
    created_at: str


class ShareList(Wire):
    """``GET /api/conversations/{id}/shares``: the links that have not been revoked."""

    shares: list[Share]


class SharedConversation(Wire):
    """``GET /api/shared/{token}``: the path that was shared, without other branches and ratings.

    Its pictures: ``GET /api/shared/{token}/images/{sha256}`` (and ``.../thumbnail``).
    """

    token: str
    shared_at: str
    conversation: StoredConversation

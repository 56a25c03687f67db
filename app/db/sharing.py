"""Read-only links: anybody who has the token reads a conversation as it was."""

from __future__ import annotations

import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.database import Database
from app.db.models import Answer, Conversation
from app.db.models import Share as ShareRow
from app.db.pictures import PictureFiles
from app.db.queries import answers_to, owned_conversation, siblings_of
from app.db.views import conversation_view
from app.errors import BadRequest, NotFound
from app.history import Share, SharedConversation, ShareList
from app.protocol import StoredTurn

TOKEN_BYTES = 24
"""192 random bits: nobody finds a link by trying."""


class Shares:
    """The links to conversations. All methods block.

    A link names the answer that the path ended with. What leads to an ended answer never changes,
    so this is a snapshot, and costs nothing.
    """

    def __init__(self, database: Database, files: PictureFiles) -> None:
        self._database, self._files = database, files

    def create(self, person: str, conversation_id: str) -> Share:
        """A new link to the conversation's current path."""
        with self._database.writing() as session:
            conversation = owned_conversation(session, person, conversation_id)
            answer = session.get(Answer, conversation.head_answer_id or "")
            if answer is None:
                raise BadRequest("The conversation is empty.", "Ask a question, then share it.")
            if answer.finish_reason is None:
                raise BadRequest(
                    "The last answer is still being written.", "Share it when the answer has ended."
                )
            row = ShareRow(
                token=secrets.token_urlsafe(TOKEN_BYTES),
                conversation_id=conversation_id,
                answer_id=answer.id,
                title=conversation.title,
            )
            session.add(row)
            session.flush()
            return _view(row)

    def list(self, person: str, conversation_id: str) -> ShareList:
        """The links to a conversation, the newest first."""
        with self._database.reading() as session:
            owned_conversation(session, person, conversation_id)
            rows = session.scalars(
                select(ShareRow)
                .where(ShareRow.conversation_id == conversation_id)
                .order_by(ShareRow.created_at.desc())
            )
            return ShareList(shares=[_view(row) for row in rows])

    def revoke(self, person: str, conversation_id: str, token: str) -> None:
        """The link leads nowhere from now on."""
        with self._database.writing() as session:
            owned_conversation(session, person, conversation_id)
            row = session.get(ShareRow, token)
            if row is None or row.conversation_id != conversation_id:
                raise NotFound("There is no such link.", "It has been revoked already.")
            session.delete(row)

    def read(self, token: str) -> SharedConversation:
        """The snapshot; raises :class:`NotFound` for a link that was revoked or never was."""
        with self._database.reading() as session:
            row, conversation, path = _open(session, token)
            siblings = siblings_of(session, row.conversation_id)
            whole = conversation_view(conversation, path, {}, siblings)
            turns = [_alone(turn) for turn in whole.turns]
            shown = {"title": row.title, "pinned": False, "updated_at": row.created_at}
            return SharedConversation(
                token=token,
                shared_at=row.created_at,
                conversation=whole.model_copy(update=shown | {"turns": turns}),
            )

    def image(self, token: str, sha256: str) -> tuple[bytes, str]:
        """A picture of the snapshot: its bytes and media type."""
        media_type = self._media_type(token, sha256)
        return self._files.read(sha256, media_type), media_type

    def thumbnail(self, token: str, sha256: str) -> bytes:
        """The thumbnail of a picture of the snapshot, a WebP file."""
        return self._files.thumbnail(sha256, self._media_type(token, sha256))

    def _media_type(self, token: str, sha256: str) -> str:
        with self._database.reading() as session:
            _, _, path = _open(session, token)
            for answer in path:
                for picture in answer.question.pictures:
                    if picture.sha256 == sha256:
                        return picture.image.media_type
        raise NotFound("There is no such picture in the shared conversation.")


def _open(session: Session, token: str) -> tuple[ShareRow, Conversation, list[Answer]]:
    row = session.get(ShareRow, token)
    conversation = session.get(Conversation, row.conversation_id) if row else None
    if row is None or conversation is None:
        raise NotFound(
            "This link leads nowhere: it has been revoked, or the conversation was deleted.",
            "Ask whoever sent it for a new link.",
        )
    return row, conversation, answers_to(session, row.conversation_id, row.answer_id)


def _alone(turn: StoredTurn) -> StoredTurn:
    """A turn without its other answers and its other versions."""
    chosen = [answer for answer in turn.answers if answer.id == turn.chosen]
    return turn.model_copy(update={"answers": chosen, "siblings": [turn.question_id]})


def _view(row: ShareRow) -> Share:
    return Share(
        token=row.token,
        conversation_id=row.conversation_id,
        title=row.title,
        created_at=row.created_at,
    )

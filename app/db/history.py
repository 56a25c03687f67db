"""The list of a person's conversations: paging, search, titles, pins, branches, deletion."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, and_, false, func, or_, select
from sqlalchemy.orm import Session

from app.db.database import Database
from app.db.deleting import delete_conversations
from app.db.models import Answer, Conversation, Question, QuestionImage
from app.db.pictures import PictureFiles
from app.db.queries import owned_answer, owned_conversation, owned_question
from app.db.search import found_in, terms_of
from app.errors import BadRequest, NotFound
from app.history import MOST_LISTED, ConversationChange, ConversationEntry, ConversationList

TITLE_LENGTH = 80


class History:
    """What the list of conversations needs of the database. All methods block."""

    def __init__(self, database: Database, files: PictureFiles) -> None:
        self._database, self._files = database, files

    def page(
        self, person: str, query: str = "", after: str | None = None, limit: int = 50
    ) -> ConversationList:
        """A page of the person's conversations, pinned first, then the last used first.

        With ``query``, those that have all its words somewhere: in the title, a question or an
        answer. ``after`` is the ``next`` of the page before. Four queries, however long the list.
        """
        if not 1 <= limit <= MOST_LISTED:
            raise BadRequest(f"The limit is {limit}; it must be from 1 to {MOST_LISTED}.")
        with self._database.reading() as session:
            found = select(Conversation).where(Conversation.person == person)
            for term in found_in(session, person, terms_of(query)):
                found = found.where(Conversation.id.in_(term))
            total = session.scalar(select(func.count()).select_from(found.subquery())) or 0
            rows = session.scalars(_following(found, after).limit(limit + 1)).all()
            entries = _entries(session, rows[:limit])
            more = _cursor(rows[limit - 1]) if len(rows) > limit else None
        return ConversationList(conversations=entries, next=more, total=total)

    def entry(self, person: str, conversation_id: str) -> ConversationEntry:
        """One conversation as it stands in the list."""
        with self._database.reading() as session:
            return _entries(session, [owned_conversation(session, person, conversation_id)])[0]

    def change(
        self, person: str, conversation_id: str, wanted: ConversationChange
    ) -> ConversationEntry:
        """Rename or pin a conversation; it keeps its place in time."""
        with self._database.writing() as session:
            conversation = owned_conversation(session, person, conversation_id)
            if wanted.title is not None:
                conversation.title = title_of(wanted.title)
                if not conversation.title:
                    raise BadRequest("The title is empty.", "Give the conversation a name.")
            if wanted.pinned is not None:
                conversation.pinned = wanted.pinned
        return self.entry(person, conversation_id)

    def delete(self, person: str, conversation_id: str) -> None:
        """Delete a conversation for good, with all that only it has: see docs/history.md."""
        with self._files.deleting() as take_out, self._database.writing() as session:
            owned_conversation(session, person, conversation_id)
            take_out(delete_conversations(session, [conversation_id]))

    def newest_end(
        self, person: str, conversation_id: str, *, question: str | None, answer: str | None
    ) -> str:
        """The newest answer of the branch that begins with a question or an answer.

        Newest: from each answer on to its newest question, from each question to its newest answer
        on which the branch goes on, or else its newest one.
        """
        with self._database.reading() as session:
            owned_conversation(session, person, conversation_id)
            if question is not None:
                start = owned_question(session, person, question)
            else:
                start = owned_answer(session, person, answer or "").question
            if start.conversation_id != conversation_id:
                raise NotFound("This branch is not of this conversation.")
            tree = _Tree(session, conversation_id)
            end = tree.end_of_answer(answer) if answer else tree.end_of_question(start.id)
        if end is None:
            raise NotFound("This question has no answer yet.", "Ask it again.")
        return end


class _Tree:
    """All questions and answers of a conversation by their parents, the newest last."""

    def __init__(self, session: Session, conversation_id: str) -> None:
        questions = session.execute(
            select(Question.id, Question.parent_answer_id)
            .where(Question.conversation_id == conversation_id)
            .order_by(Question.created_at, Question.id)
        )
        answers = session.execute(
            select(Answer.id, Answer.question_id)
            .join(Question, Question.id == Answer.question_id)
            .where(Question.conversation_id == conversation_id)
            .order_by(Answer.created_at, Answer.id)
        )
        self._questions: dict[str | None, list[str]] = {}
        for question, parent in questions:
            self._questions.setdefault(parent, []).append(question)
        self._answers: dict[str, list[str]] = {}
        for answer, question in answers:
            self._answers.setdefault(question, []).append(answer)

    def end_of_answer(self, answer: str) -> str:
        """Where the branch of an answer ends; itself where nothing follows."""
        while following := self._following(answer):
            answer = following
        return answer

    def end_of_question(self, question: str) -> str | None:
        """Where the branch of a question ends; None where it has no answer."""
        answer = self._newest(question)
        return self.end_of_answer(answer) if answer else None

    def _following(self, answer: str) -> str | None:
        """The answer with which the path goes on after ``answer``."""
        for question in reversed(self._questions.get(answer, [])):
            if newest := self._newest(question):
                return newest
        return None

    def _newest(self, question: str) -> str | None:
        answers = self._answers.get(question, [])
        continued = [answer for answer in answers if answer in self._questions]
        newest = continued or answers
        return newest[-1] if newest else None


def title_of(text: str) -> str:
    """A title from any text: one line, of limited length."""
    return " ".join(text.split())[:TITLE_LENGTH]


def _following(found: Select[Conversation], after: str | None) -> Select[Conversation]:
    """The order of the list, from behind the cursor on."""
    ordered = found.order_by(
        Conversation.pinned.desc(), Conversation.updated_at.desc(), Conversation.id.desc()
    )
    if after is None:
        return ordered
    pinned, updated_at, identity = _read_cursor(after)
    same_pin = Conversation.pinned.is_(pinned)
    later = or_(
        Conversation.updated_at < updated_at,
        and_(Conversation.updated_at == updated_at, Conversation.id < identity),
    )
    unpinned = Conversation.pinned.is_(False) if pinned else false()
    return ordered.where(or_(unpinned, and_(same_pin, later)))


def _cursor(row: Conversation) -> str:
    return f"{int(row.pinned)},{row.updated_at},{row.id}"


def _read_cursor(after: str) -> tuple[bool, str, str]:
    parts = after.split(",")
    if len(parts) != 3 or parts[0] not in ("0", "1"):
        raise BadRequest(
            f"after is {after[:80]!r}, which no page has given as its next.",
            "Begin with the first page, without after.",
        )
    return parts[0] == "1", parts[1], parts[2]


def _entries(session: Session, rows: Sequence[Conversation]) -> list[ConversationEntry]:
    ids = [row.id for row in rows]
    counts = session.execute(
        select(Question.conversation_id, func.count())
        .where(Question.conversation_id.in_(ids))
        .group_by(Question.conversation_id)
    )
    turns = {identity: number for identity, number in counts}
    pictures = session.execute(
        select(Question.conversation_id, QuestionImage.sha256)
        .join(QuestionImage, QuestionImage.question_id == Question.id)
        .where(Question.conversation_id.in_(ids))
        .order_by(Question.created_at.desc(), QuestionImage.position.desc())
    )
    # The first picture comes last, and stays.
    thumbnails = {identity: sha256 for identity, sha256 in pictures}
    return [
        ConversationEntry(
            id=row.id,
            title=row.title,
            model=row.model,
            pinned=row.pinned,
            turns=turns.get(row.id, 0),
            thumbnail=thumbnails.get(row.id),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]

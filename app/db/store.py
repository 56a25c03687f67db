"""Everything the controller asks of the database, as methods of :class:`Store`.

All methods block; call them off the event loop. Errors come as :class:`app.errors.StudioError`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import Engine, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.access import USER_PREFIX
from app.db.database import Database
from app.db.forgetting import Forgetting
from app.db.history import History, title_of
from app.db.models import Answer, Conversation, Image, Question, QuestionImage, Rating, new_id, now
from app.db.people import People
from app.db.pictures import PictureFiles
from app.db.queries import (
    add_image,
    answers_to,
    owned_answer,
    owned_conversation,
    owned_image,
    owned_question,
    past_turn,
    picture_bytes_of,
    rating_of,
    ratings_of,
    siblings_of,
)
from app.db.records import AnswerSource, Begun, NewTurn, Outcome, PastTurn, WrittenAnswer
from app.db.session import open_database
from app.db.sharing import Shares
from app.db.views import conversation_view, rating_view
from app.errors import NotFound
from app.history import BranchRequest
from app.pictures import Picture
from app.protocol import ModelInfo, RatingRequest, StoredConversation
from app.protocol import Rating as RatingView
from app.settings import Settings


class Store:
    """The database and the pictures' files."""

    def __init__(self, engine: Engine, images_dir: Path) -> None:
        self.database = Database(engine)
        self.files = PictureFiles(images_dir)
        self.history = History(self.database, self.files)
        self.forgetting = Forgetting(self.database, self.files)
        self.people = People(self.database)
        self.shares = Shares(self.database, self.files)

    @classmethod
    def open(cls, settings: Settings) -> Store:
        """Open the database of the settings, its tables at the newest version.

        Raises :class:`app.errors.StorageFailed` where it or the pictures' folder cannot be used.
        """
        store = cls(open_database(settings.database), settings.images_dir)
        store.files.make_folder()
        return store

    def close(self) -> None:
        """Close all connections."""
        self.database.engine.dispose()

    def _reading(self) -> AbstractContextManager[Session]:
        return self.database.reading()

    def _writing(self) -> AbstractContextManager[Session]:
        return self.database.writing()

    # --- turns ---

    def begin_turn(self, turn: NewTurn, source: AnswerSource) -> Begun:
        """Store a question with its pictures, and an empty answer as the conversation's head."""
        for picture in turn.pictures:
            self.files.write(picture)
        with self._writing() as session:
            conversation = self._conversation_for(session, turn, source.model.id)
            question = Question(
                id=new_id("q"),
                conversation_id=conversation.id,
                parent_answer_id=turn.parent_answer_id,
                text=turn.text,
            )
            session.add(question)
            for picture in turn.pictures:
                add_image(session, picture)
            session.flush()
            for picture in turn.pictures:
                # Somebody may have deleted its last conversation since it was written.
                self.files.write(picture)
            for position, picture in enumerate(turn.pictures):
                session.add(
                    QuestionImage(question_id=question.id, position=position, sha256=picture.sha256)
                )
            return self._begin_answer(session, conversation, question.id, source)

    def begin_sibling(self, person: str, answer_id: str, source: AnswerSource) -> Begun:
        """Another, empty answer to the question of ``answer_id``; the former one stays."""
        with self._writing() as session:
            answer = owned_answer(session, person, answer_id)
            conversation = answer.question.conversation
            return self._begin_answer(session, conversation, answer.question_id, source)

    def _begin_answer(
        self, session: Session, conversation: Conversation, question_id: str, source: AnswerSource
    ) -> Begun:
        info = source.model
        answer = Answer(
            id=new_id("ans"),
            question_id=question_id,
            model=info.id,
            revision=info.revision,
            precision=info.precision,
            template=info.template,
            parameters=source.parameters,
        )
        session.add(answer)
        previous_head = conversation.head_answer_id
        conversation.head_answer_id = answer.id
        conversation.model = info.id
        conversation.updated_at = now()
        return Begun(conversation.id, question_id, answer.id, previous_head)

    def add_history(self, turn: NewTurn, answer: str) -> tuple[str, str]:
        """Store a turn that a client brought along; returns conversation and answer id."""
        source = AnswerSource(ModelInfo(id="client"))
        begun = self.begin_turn(turn, source)
        self.save_answer(begun.answer_id, Outcome(answer, finish_reason="stop"))
        return begun.conversation_id, begun.answer_id

    def _conversation_for(self, session: Session, turn: NewTurn, model: str) -> Conversation:
        if turn.conversation_id is not None:
            return owned_conversation(session, turn.person, turn.conversation_id)
        conversation = Conversation(
            id=new_id("conv"), person=turn.person, title=title_of(turn.text), model=model
        )
        session.add(conversation)
        session.flush()
        return conversation

    def save_answer(self, answer_id: str, outcome: Outcome) -> None:
        """Write an answer's text so far, or its end; an answer that has ended stays as it is."""
        unfinished = (Answer.id == answer_id) & Answer.finish_reason.is_(None)
        with self._writing() as session:
            session.execute(update(Answer).where(unfinished).values(**vars(outcome)))

    def change_source(self, answer_id: str, info: ModelInfo) -> None:
        """Another worker writes the answer: the same model, perhaps at another precision."""
        values = {
            "revision": info.revision,
            "precision": info.precision,
            "template": info.template,
        }
        with self._writing() as session:
            session.execute(update(Answer).where(Answer.id == answer_id).values(**values))

    def step_back(self, begun: Begun) -> None:
        """Put the head back to where it was, unless somebody has moved it in the meantime."""
        unmoved = Conversation.head_answer_id == begun.answer_id
        with self._writing() as session:
            session.execute(
                update(Conversation)
                .where(Conversation.id == begun.conversation_id, unmoved)
                .values(head_answer_id=begun.previous_head)
            )

    def close_unfinished(self) -> int:
        """Mark answers that a stopped program left half written; returns how many there were."""
        with self._writing() as session:
            result = session.execute(
                update(Answer)
                .where(Answer.finish_reason.is_(None))
                .values(finish_reason="error", error="worker_lost")
            )
            return int(getattr(result, "rowcount", 0))

    # --- reading ---

    def head(self, person: str, conversation_id: str) -> str | None:
        """The answer that the conversation's current path ends with."""
        with self._reading() as session:
            return owned_conversation(session, person, conversation_id).head_answer_id

    def path(self, person: str, conversation_id: str, answer_id: str | None) -> list[PastTurn]:
        """The turns from the first question to ``answer_id``, as a model is to see them."""
        with self._reading() as session:
            owned_conversation(session, person, conversation_id)
            answers = answers_to(session, conversation_id, answer_id)
            return [past_turn(answer.question, answer.text) for answer in answers]

    def path_to_question(self, person: str, answer_id: str) -> list[PastTurn]:
        """The turns up to the question of ``answer_id``, that question last and unanswered."""
        with self._reading() as session:
            answer = owned_answer(session, person, answer_id)
            question = answer.question
            before = answers_to(session, question.conversation_id, question.parent_answer_id)
            turns = [past_turn(past.question, past.text) for past in before]
            return [*turns, past_turn(question, None)]

    def written_answer(self, person: str, answer_id: str) -> WrittenAnswer:
        """The person's answer and the turns before it, as a model is to see them."""
        with self._reading() as session:
            answer = owned_answer(session, person, answer_id)
            path = answers_to(session, answer.question.conversation_id, answer_id)
            turns = [past_turn(each.question, each.text) for each in path]
            finished = answer.finish_reason is not None
            return WrittenAnswer(turns, answer.model, answer.revision, finished)

    def place_of(self, person: str, question_id: str) -> tuple[str, str | None]:
        """The conversation of a question, and the answer after which it was asked."""
        with self._reading() as session:
            question = owned_question(session, person, question_id)
            return question.conversation_id, question.parent_answer_id

    def conversation(self, person: str, conversation_id: str) -> StoredConversation:
        """The current path with all sibling answers and the person's ratings."""
        with self._reading() as session:
            conversation = owned_conversation(session, person, conversation_id)
            answers = answers_to(session, conversation_id, conversation.head_answer_id)
            ratings = ratings_of(session, person, [a.question_id for a in answers])
            siblings = siblings_of(session, conversation_id)
            return conversation_view(conversation, answers, ratings, siblings)

    def set_head(
        self, person: str, conversation_id: str, answer_id: str | None
    ) -> StoredConversation:
        """Make an answer the end of the current path; None goes back before the first question."""
        with self._writing() as session:
            conversation = owned_conversation(session, person, conversation_id)
            if answer_id is not None:
                answer = owned_answer(session, person, answer_id)
                if answer.question.conversation_id != conversation_id:
                    raise NotFound(f"The answer {answer_id} is not of this conversation.")
            conversation.head_answer_id = answer_id
        return self.conversation(person, conversation_id)

    def go_to_branch(
        self, person: str, conversation_id: str, wanted: BranchRequest
    ) -> StoredConversation:
        """Make the newest end of a branch the end of the current path."""
        end = self.history.newest_end(
            person, conversation_id, question=wanted.question_id, answer=wanted.answer_id
        )
        return self.set_head(person, conversation_id, end)

    def check_picture(self, person: str, sha256: str) -> None:
        """Raises :class:`NotFound` unless the person has the picture in a conversation."""
        with self._reading() as session:
            owned_image(session, person, sha256)

    def picture_bytes(self, person: str) -> int:
        """Bytes of all pictures that the person has in conversations."""
        with self._reading() as session:
            return picture_bytes_of(session, person)

    def picture(self, person: str, sha256: str) -> Picture:
        """A picture that the person has in a conversation; raises :class:`NotFound` for others."""
        with self._reading() as session:
            image = owned_image(session, person, sha256)
            size = image.width, image.height
            data = self.files.read(sha256, image.media_type)
            return Picture(data, image.media_type, *size, sha256)

    def image(self, sha256: str) -> tuple[bytes, str]:
        """A stored picture: its bytes and media type."""
        media_type = self._media_type(sha256)
        return self.files.read(sha256, media_type), media_type

    def thumbnail(self, sha256: str) -> bytes:
        """A stored picture's thumbnail, a WebP file."""
        return self.files.thumbnail(sha256, self._media_type(sha256))

    def _media_type(self, sha256: str) -> str:
        with self._reading() as session:
            image = session.get(Image, sha256)
            if image is None:
                raise NotFound("There is no such picture.")
            return image.media_type

    # --- ratings ---

    def rate(self, person: str, request: RatingRequest) -> RatingView:
        """Store or change the person's rating of an answer; users rate their own alone."""
        try:
            return self._rate(person, request)
        except IntegrityError:
            return self._rate(person, request)

    def _rate(self, person: str, request: RatingRequest) -> RatingView:
        with self._writing() as session:
            if person.startswith(USER_PREFIX):
                owned_answer(session, person, request.answer_id)
            elif session.get(Answer, request.answer_id) is None:
                raise NotFound(f"There is no answer {request.answer_id!r}.")
            rating = rating_of(session, person, request.answer_id)
            if rating is None:
                rating = Rating(id=new_id("rat"), answer_id=request.answer_id, person=person)
                session.add(rating)
            rating.value, rating.reason = request.value, request.reason
            rating.comment = request.comment
            rating.updated_at = now()
            session.flush()
            return rating_view(rating)

    def unrate(self, person: str, answer_id: str) -> None:
        """Take the person's rating of an answer back; nothing happens where there is none."""
        with self._writing() as session:
            rating = rating_of(session, person, answer_id)
            if rating is not None:
                session.delete(rating)

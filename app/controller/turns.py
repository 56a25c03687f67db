"""From a chat request to a stored turn and the messages that the worker is to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.access import limits_of
from app.db.records import AnswerSource, Begun, NewTurn, PastTurn
from app.db.store import Store
from app.errors import BadRequest, EmptyMessage, TooMany
from app.pictures import STORED, Picture, data_url, picture_from_data_url
from app.protocol import ChatMessage, ChatRequest, ImageContent, ModelInfo, Sampling, TextContent
from app.settings import Settings


@dataclass(frozen=True)
class Prepared:
    """A stored turn: its ids, and what the worker is sent."""

    begun: Begun
    messages: list[dict[str, Any]]


class TurnMaker:
    """Checks a request, stores its question and pictures, and writes out the history."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._most_bytes = limits_of(settings).picture_bytes

    def prepare(
        self, request: ChatRequest, person: str, model: ModelInfo, sampling: Sampling
    ) -> Prepared:
        """Blocks: decodes pictures and writes rows. Raises :class:`app.errors.StudioError`."""
        source = AnswerSource(model, sampling.model_dump())
        if request.regenerate_of is not None:
            return self._regenerate(request.regenerate_of, person, source)
        if request.edit_of is not None:
            conversation, parent = self._store.place_of(person, request.edit_of)
            return self._continue(request, (conversation, parent), person, source)
        if request.conversation_id is not None:
            parent = request.parent_answer_id
            parent = parent or self._store.head(person, request.conversation_id)
            return self._continue(request, (request.conversation_id, parent), person, source)
        return self._begin(request, person, source)

    def _regenerate(self, answer_id: str, person: str, source: AnswerSource) -> Prepared:
        turns = self._store.path_to_question(person, answer_id)
        begun = self._store.begin_sibling(person, answer_id, source)
        return Prepared(begun, history(self._store, turns))

    def _continue(
        self,
        request: ChatRequest,
        place: tuple[str, str | None],
        person: str,
        source: AnswerSource,
    ) -> Prepared:
        """A new question at a place: in a conversation, after an answer (None: at its start)."""
        if len(request.messages) != 1 or request.messages[0].role != "user":
            raise BadRequest(
                "With conversation_id or edit_of, messages holds the new question alone.",
                "Leave out the earlier messages: the server has them.",
            )
        conversation_id, parent = place
        past = self._store.path(person, conversation_id, parent)
        question = self._question(person, request.messages[0])
        self._check_pictures(sum(len(t.pictures) for t in past) + len(question.pictures))
        self._check_space(person, question.pictures)
        turn = NewTurn(person, question.text, question.pictures, conversation_id, parent)
        begun = self._store.begin_turn(turn, source)
        return Prepared(begun, [*history(self._store, past), question.message])

    def _begin(self, request: ChatRequest, person: str, source: AnswerSource) -> Prepared:
        """A new conversation, with the turns before its last question where a client sends them."""
        system = [m for m in request.messages[:1] if m.role == "system"]
        turns = request.messages[len(system) :]
        _check_roles(turns)
        questions = [self._question(person, message) for message in turns[::2]]
        self._check_pictures(sum(len(question.pictures) for question in questions))
        self._check_space(person, [each for question in questions for each in question.pictures])
        conversation: str | None = None
        parent: str | None = None
        for question, answer in zip(questions, turns[1::2], strict=False):
            turn = NewTurn(person, question.text, question.pictures, conversation, parent)
            conversation, parent = self._store.add_history(turn, _text(answer))
        last = questions[-1]
        turn = NewTurn(person, last.text, last.pictures, conversation, parent)
        begun = self._store.begin_turn(turn, source)
        messages = [{"role": m.role, "content": _text(m)} for m in system]
        for index, message in enumerate(turns):
            question_or_answer = (
                questions[index // 2].message
                if index % 2 == 0
                else {"role": "assistant", "content": _text(message)}
            )
            messages.append(question_or_answer)
        return Prepared(begun, messages)

    def _question(self, person: str, message: ChatMessage) -> _Question:
        text = _text(message)
        pictures = tuple(
            self._picture(person, part.image_url.url)
            for part in message.parts
            if isinstance(part, ImageContent)
        )
        if not text.strip():
            what = "There is a picture but no question." if pictures else "The message is empty."
            raise EmptyMessage(what)
        return _Question(text, pictures)

    def _picture(self, person: str, url: str) -> Picture:
        stored = STORED.fullmatch(url)
        if stored is not None:
            return self._store.picture(person, stored[1])
        return picture_from_data_url(url, self._settings)

    def _check_space(self, person: str, pictures: Sequence[Picture]) -> None:
        """Raises :class:`TooMany` where the person's pictures would take more than they may."""
        new = sum(len(picture.data) for picture in pictures)
        if not (self._most_bytes and new):
            return
        stored = self._store.picture_bytes(person)
        if stored + new > self._most_bytes:
            raise TooMany(
                f"Your pictures take {stored / 1e6:.1f} MB, and these would add {new / 1e6:.1f}; "
                f"the limit is {self._most_bytes / 1e6:.0f} MB.",
                "Delete conversations with pictures that you no longer need.",
            )

    def _check_pictures(self, number: int) -> None:
        if number > self._settings.max_images:
            raise BadRequest(
                f"The conversation has {number} pictures; "
                f"at most {self._settings.max_images} are allowed.",
                "Start a new chat, or send fewer pictures.",
            )


def history(store: Store, turns: list[PastTurn]) -> list[dict[str, Any]]:
    """Stored turns as messages, their pictures read back from the data folder."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        urls = [
            data_url(store.files.read(sha256, media_type), media_type)
            for sha256, media_type in turn.pictures
        ]
        messages.append(_user_message(turn.text, urls))
        if turn.answer is not None:
            messages.append({"role": "assistant", "content": turn.answer})
    return messages


@dataclass(frozen=True)
class _Question:
    text: str
    pictures: tuple[Picture, ...]

    @property
    def message(self) -> dict[str, Any]:
        urls = [data_url(picture.data, picture.media_type) for picture in self.pictures]
        return _user_message(self.text, urls)


def _user_message(text: str, urls: list[str]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


def _text(message: ChatMessage) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, TextContent))


def _check_roles(turns: list[ChatMessage]) -> None:
    if not turns:
        raise EmptyMessage("The request has no messages.")
    for position, message in enumerate(turns):
        expected = "user" if position % 2 == 0 else "assistant"
        if message.role != expected:
            raise BadRequest(
                f"Message {position + 1} is from {message.role!r}, expected {expected!r}.",
                "User and assistant speak in turn, the user first and last.",
            )
    if turns[-1].role != "user":
        raise EmptyMessage("The last message is the assistant's: there is no question to answer.")

"""A controller that keeps everything in memory and whose model says what it is told to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from app.errors import NotFound, StudioError
from app.history import BranchRequest
from app.protocol import (
    PERSON_HEADER,
    ChatRequest,
    ExplainedWord,
    Explanation,
    HeadRequest,
    ImageContent,
    ModelInfo,
    ModelList,
    Rating,
    RatingRequest,
    StoredAnswer,
    StoredConversation,
    StoredImage,
    StoredTurn,
    TextContent,
)
from app.queue_place import QueuePlace

MODELS = (
    ModelInfo(id="second", sees="It sees **simple** drawn things."),
    ModelInfo(id="first", sees="It sees little."),
)
NOW = "2026-01-01T00:00:00Z"


@dataclass
class Question:
    id: str
    conversation: str
    parent: str | None
    text: str
    images: list[StoredImage]
    answers: list[str] = field(default_factory=list)


@dataclass
class Answer:
    id: str
    question: str
    model: str
    text: str = ""
    finish_reason: str | None = None
    error: str | None = None


@dataclass
class FakeController:
    """The API of the controller in front of a scripted model.

    ``script`` are the words of the next answers, one list each, the last again and again.
    ``pause`` is the time between words, in seconds; with ``hold`` the model stops after its first
    word until ``go`` is set. ``refuse`` is answered instead of an answer, ``break_off`` ends the
    stream after the first word, ``models`` are those that are served, ``place`` is
    told before the answer.
    """

    script: list[Sequence[str]] = field(default_factory=lambda: [("A ", "red ", "circle.")])
    pause: float = 0.0
    hold: bool = False
    refuse: StudioError | None = None
    break_off: StudioError | None = None
    models: Sequence[ModelInfo] = MODELS
    place: QueuePlace | None = None
    requests: list[ChatRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    ratings: dict[tuple[str, str], Rating] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    questions: dict[str, Question] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    heads: dict[str, str | None] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    go: threading.Event = field(default_factory=threading.Event)
    app: FastAPI = field(default_factory=FastAPI)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        routes: list[tuple[str, str, Any]] = [
            ("GET", "/v1/models", self._models),
            ("POST", "/v1/chat/completions", self._chat),
            ("GET", "/api/conversations/{name}", self._conversation),
            ("POST", "/api/conversations/{name}/head", self._head),
            ("POST", "/api/conversations/{name}/branch", self._branch),
            ("GET", "/api/answers/{answer}/explanation", self._explain),
            ("POST", "/api/ratings", self._rate),
            ("DELETE", "/api/ratings/{answer}", self._unrate),
            ("GET", "/api/images/{sha256}", self._image),
        ]
        for method, path, function in routes:
            self.app.add_api_route(path, function, methods=[method], response_model=None)
        self.app.add_exception_handler(StudioError, _report)

    def path(self, conversation: str) -> list[Answer]:
        """The answers from the first to the head."""
        path: list[Answer] = []
        step = self.heads[conversation]
        while step:
            path.insert(0, self.answers[step])
            step = self.questions[self.answers[step].question].parent
        return path

    def view(self, conversation: str, person: str) -> StoredConversation:
        return StoredConversation(
            id=conversation,
            title="A chat",
            created_at=NOW,
            updated_at=NOW,
            model="second",
            turns=[self._turn(answer, person) for answer in self.path(conversation)],
        )

    def _turn(self, chosen: Answer, person: str) -> StoredTurn:
        question = self.questions[chosen.question]
        answers = []
        for name in question.answers:
            answer = self.answers[name]
            answers.append(
                StoredAnswer(
                    id=name,
                    question_id=question.id,
                    text=answer.text,
                    model=answer.model,
                    finish_reason=answer.finish_reason,  # type: ignore[arg-type]
                    error=answer.error,
                    created_at=NOW,
                    rating=self.ratings.get((person, name)),
                )
            )
        return StoredTurn(
            question_id=question.id,
            text=question.text,
            images=question.images,
            created_at=NOW,
            answers=answers,
            chosen=chosen.id,
            parent_answer_id=question.parent,
            siblings=[
                each.id
                for each in self.questions.values()
                if each.parent == question.parent and each.conversation == question.conversation
            ],
        )

    async def _models(self) -> ModelList:
        return ModelList(data=list(self.models))

    async def _chat(self, request: ChatRequest, http: Request) -> StreamingResponse:
        self.requests.append(request)
        if self.refuse:
            raise self.refuse
        person = http.headers[PERSON_HEADER]
        if request.regenerate_of:
            question = self.questions[self.answers[request.regenerate_of].question]
            conversation = request.conversation_id or ""
        else:
            conversation = request.conversation_id or f"c{next(self._numbers)}"
            question = self._ask(conversation, request)
        self.owner[conversation] = person
        answer = Answer(f"a{next(self._numbers)}", question.id, request.model)
        self.answers[answer.id] = answer
        question.answers.append(answer.id)
        self.heads[conversation] = answer.id
        return StreamingResponse(self._write(answer, conversation), media_type="text/event-stream")

    def _ask(self, conversation: str, request: ChatRequest) -> Question:
        (message,) = request.messages
        images = []
        for part in message.parts:
            if isinstance(part, ImageContent) and part.image_url.url.startswith("stored:"):
                sha256 = part.image_url.url.removeprefix("stored:")
                assert sha256 in self.pictures
                images.append(StoredImage(sha256=sha256, media_type="image/png", width=1, height=1))
            elif isinstance(part, ImageContent):
                data = base64.b64decode(part.image_url.url.split(",", 1)[1])
                sha256 = hashlib.sha256(data).hexdigest()
                self.pictures[sha256] = data
                images.append(StoredImage(sha256=sha256, media_type="image/png", width=1, height=1))
        text = "\n".join(part.text for part in message.parts if isinstance(part, TextContent))
        parent = request.parent_answer_id or self.heads.get(conversation)
        if request.edit_of:
            parent = self.questions[request.edit_of].parent
        question = Question(f"q{next(self._numbers)}", conversation, parent, text, images)
        self.questions[question.id] = question
        return question

    async def _write(self, answer: Answer, conversation: str) -> AsyncIterator[str]:
        words = self.script.pop(0) if len(self.script) > 1 else self.script[0]

        def chunk(delta: dict[str, str], reason: str | None = None) -> str:
            body = {
                "id": answer.id,
                "created": 0,
                "model": answer.model,
                "conversation_id": conversation,
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            }
            return f"data: {json.dumps(body)}\n\n"

        try:
            yield ": waiting in the queue\n\n"
            if self.place:
                yield self.place.to_comment()
            yield chunk({"role": "assistant", "content": ""})
            if self.break_off and not words:
                answer.finish_reason, answer.error = "error", self.break_off.code
                self.heads[conversation] = self.questions[answer.question].parent
                yield f"data: {json.dumps(self.break_off.to_wire())}\n\n"
                return
            for number, word in enumerate(words):
                answer.text += word
                yield chunk({"content": word})
                await asyncio.sleep(self.pause)
                if number == 0 and self.hold:
                    await self._told_to_go_on()
                if number == 0 and self.break_off:
                    answer.finish_reason = "error"
                    answer.error = self.break_off.code
                    yield f"data: {json.dumps(self.break_off.to_wire())}\n\n"
                    return
            answer.finish_reason = "stop"
            yield chunk({}, "stop")
            yield "data: [DONE]\n\n"
        finally:
            if answer.finish_reason is None:
                answer.finish_reason = "cancelled"
                self.cancelled.append(answer.id)

    async def _told_to_go_on(self) -> None:
        while not self.go.is_set():
            await asyncio.sleep(0.01)

    async def _conversation(self, name: str, http: Request) -> StoredConversation:
        if name not in self.heads:
            raise NotFound(f"There is no conversation {name!r}.")
        return self.view(name, http.headers[PERSON_HEADER])

    async def _head(self, name: str, request: HeadRequest, http: Request) -> StoredConversation:
        self.heads[name] = request.answer_id
        return self.view(name, http.headers[PERSON_HEADER])

    async def _branch(self, name: str, request: BranchRequest, http: Request) -> StoredConversation:
        answer = request.answer_id or self.questions[request.question_id or ""].answers[-1]
        self.heads[name] = answer
        return self.view(name, http.headers[PERSON_HEADER])

    async def _explain(self, answer: str) -> Explanation:
        if answer not in self.answers:
            raise NotFound("There is no such answer.")
        words = [ExplainedWord(text="Red", share=0.5, grids=[[[0.0, 1.0], [0.5, 0.0]]])]
        return Explanation(model="second", views=[(0.0, 0.0, 1.0, 1.0)], words=words)

    async def _rate(self, request: RatingRequest, http: Request) -> Rating:
        person = http.headers[PERSON_HEADER]
        rating = Rating(
            id=f"r-{request.answer_id}",
            person=person,
            created_at=NOW,
            updated_at=NOW,
            **request.model_dump(),
        )
        self.ratings[person, request.answer_id] = rating
        return rating

    async def _unrate(self, answer: str, http: Request) -> Response:
        self.ratings.pop((http.headers[PERSON_HEADER], answer), None)
        return Response(status_code=204)

    async def _image(self, sha256: str) -> Response:
        if sha256 not in self.pictures:
            raise NotFound("There is no such picture.")
        return Response(self.pictures[sha256], media_type="image/png")


async def _report(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StudioError)
    return JSONResponse(error.to_wire("req-1"), status_code=error.status)

"""The only way from the page to the controller."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from app.errors import StudioError, from_wire
from app.history import BranchRequest
from app.machines import MachineList, MachineStatus
from app.people import LoginRequest, Me, Session
from app.protocol import (
    PERSON_HEADER,
    ChatMessage,
    ChatRequest,
    Explanation,
    HeadRequest,
    ModelInfo,
    ModelList,
    Rating,
    RatingRequest,
    Sampling,
    StoredConversation,
)
from app.received import ReceivedPicture
from app.settings import Settings
from app.ui.events import AnswerEvent, read_events
from app.ui.language import PageError
from app.ui.visitor import VISITOR, headers_for

W = TypeVar("W", bound=BaseModel)

QUICK = httpx.Timeout(20.0, connect=3.0)
"""For everything but answers: the controller asks its database, no model. Longer than it waits for
a lock (15 s), so that it is heard when it gives up."""


class ControllerGone(PageError):
    """The controller does not answer."""

    code = "controller_gone"
    status = 503


@dataclass(frozen=True)
class Picture:
    """A stored picture's file."""

    data: bytes
    media_type: str


class ControllerClient:
    """The controller's HTTP interface as methods; every one raises :class:`StudioError`."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None):
        # A worker's longest silence, and some seconds for the controller to say so.
        silence = settings.answer_timeout_seconds + 15
        self._answering = httpx.Timeout(30.0, connect=3.0, read=silence)
        self._secret = settings.secret
        self._http = httpx.AsyncClient(
            base_url=settings.controller_address,
            timeout=QUICK,
            trust_env=False,
            transport=transport,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def list_models(self) -> list[ModelInfo]:
        """The models that can be asked now."""
        return (await self.call(ModelList, "GET", "/v1/models")).data

    async def machines(self) -> list[MachineStatus]:
        """The workers' machines, and what is being loaded there."""
        return (await self.call(MachineList, "GET", "/api/machines")).data

    def ask(
        self,
        person: str,
        message: ChatMessage,
        sampling: Sampling,
        *,
        model: str,
        conversation_id: str | None = None,
        parent_answer_id: str | None = None,
        edit_of: str | None = None,
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Ask a question and follow its answer; closing the iterator stops the model.

        ``edit_of``: the question whose place it takes, as a branch.
        """
        request = ChatRequest(
            model=model,
            messages=[message],
            stream=True,
            conversation_id=conversation_id,
            parent_answer_id=parent_answer_id,
            edit_of=edit_of,
            **_given(sampling),
        )
        return self.stream_chat(person, request)

    def regenerate(
        self, person: str, conversation_id: str, answer_id: str, sampling: Sampling, *, model: str
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Follow another answer to the question of this answer, which is kept."""
        request = ChatRequest(
            model=model,
            stream=True,
            conversation_id=conversation_id,
            regenerate_of=answer_id,
            **_given(sampling),
        )
        return self.stream_chat(person, request)

    async def stream_chat(
        self, person: str, request: ChatRequest
    ) -> AsyncGenerator[AnswerEvent, None]:
        """``POST /v1/chat/completions``: the events of a streamed answer, as they come."""
        lines = self.stream(person, "/v1/chat/completions", request)
        async with aclosing(lines), aclosing(read_events(lines)) as events:
            async for event in events:
                yield event

    async def stream(self, person: str, path: str, request: BaseModel) -> AsyncGenerator[str, None]:
        """The lines of a streamed reply, as they come; closing the iterator ends it."""
        try:
            async with self._http.stream(
                "POST",
                path,
                json=request.model_dump(mode="json", exclude_none=True),
                headers=self._headers(person),
                timeout=self._answering,
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise _error_in(response)
                async for line in response.aiter_lines():
                    yield line
        except httpx.TransportError as error:
            raise _gone(error) from error

    async def conversation(self, person: str, conversation_id: str) -> StoredConversation:
        """The conversation's current path, with the person's ratings."""
        path = f"/api/conversations/{conversation_id}"
        return await self.call(StoredConversation, "GET", path, person=person)

    async def set_head(
        self, person: str, conversation_id: str, answer_id: str | None
    ) -> StoredConversation:
        """Make this answer the end of the path; None: go back to before the first question."""
        path = f"/api/conversations/{conversation_id}/head"
        body = HeadRequest(answer_id=answer_id)
        return await self.call(StoredConversation, "POST", path, person=person, body=body)

    async def go_to_branch(
        self,
        person: str,
        conversation_id: str,
        *,
        question_id: str | None = None,
        answer_id: str | None = None,
    ) -> StoredConversation:
        """Make the newest end of a question's or an answer's branch the end of the path."""
        path = f"/api/conversations/{conversation_id}/branch"
        body = BranchRequest(question_id=question_id, answer_id=answer_id)
        return await self.call(StoredConversation, "POST", path, person=person, body=body)

    async def explanation(self, person: str, answer_id: str) -> Explanation:
        """Where a stored answer looked, word by word; takes as long as reading it does."""
        path = f"/api/answers/{answer_id}/explanation"
        return await self.call(Explanation, "GET", path, person=person, timeout=self._answering)

    async def rate(self, person: str, rating: RatingRequest) -> Rating:
        """Store or change the person's rating of an answer."""
        return await self.call(Rating, "POST", "/api/ratings", person=person, body=rating)

    async def unrate(self, person: str, answer_id: str) -> None:
        """Take the person's rating of an answer back."""
        await self.send("DELETE", f"/api/ratings/{answer_id}", person=person)

    async def picture(self, sha256: str) -> Picture:
        """A stored picture's file."""
        response = await self.send("GET", f"/api/images/{sha256}")
        return Picture(response.content, response.headers.get("content-type", "image/png"))

    async def received(self, sha256: str, model: str) -> ReceivedPicture:
        """A stored picture as a model receives it."""
        path = f"/api/images/{quote(sha256, safe='')}/received?model={quote(model, safe='')}"
        return await self.call(ReceivedPicture, "GET", path, timeout=self._answering)

    async def log_in(self, name: str, password: str) -> Session:
        """A session for somebody who knows their password."""
        body = LoginRequest(name=name[:200], password=password[:1000])
        return await self.call(Session, "POST", "/api/login", body=body)

    async def log_out(self) -> None:
        """End the visitor's session."""
        await self.send("POST", "/api/logout")

    async def me(self) -> Me:
        """Who the controller takes the visitor for."""
        return await self.call(Me, "GET", "/api/me")

    def _headers(self, person: str | None) -> dict[str, str]:
        claimed = {PERSON_HEADER: person} if person else {}
        return headers_for(VISITOR.get(), self._secret) | claimed

    async def call(self, kind: type[W], method: str, path: str, **how: Any) -> W:
        """A reply of the API as ``kind``; ``how``: ``person``, and ``body`` where there is one."""
        response = await self.send(method, path, **how)
        try:
            return kind.model_validate_json(response.content)
        except ValueError as error:
            raise PageError("refusals.reply_unreadable", request=f"{method} {path}") from error

    async def send(
        self,
        method: str,
        path: str,
        *,
        person: str | None = None,
        body: BaseModel | None = None,
        timeout: httpx.Timeout = QUICK,
    ) -> httpx.Response:
        """A successful reply, whatever it is; anything else is raised as an error."""
        headers = self._headers(person)
        content = body.model_dump(mode="json") if body else None
        try:
            response = await self._http.request(
                method, path, json=content, headers=headers, timeout=timeout
            )
        except httpx.TransportError as error:
            raise _gone(error) from error
        if response.is_error:
            raise _error_in(response)
        return response


def _given(sampling: Sampling) -> dict[str, Any]:
    return sampling.model_dump(exclude_none=True)


def _gone(error: httpx.TransportError) -> ControllerGone:
    if isinstance(error, httpx.ReadTimeout):
        return ControllerGone("refusals.controller_silent")
    return ControllerGone("refusals.controller_gone")


def _error_in(response: httpx.Response) -> StudioError:
    """The error that an unsuccessful reply reports."""
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return from_wire(body)
    return PageError("refusals.controller_refused", status=response.status_code)

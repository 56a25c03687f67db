"""An OpenAI-compatible endpoint on a free loopback port that behaves as a script says.

Slow, limited, cut off, of another form, with another key, out of order: each reply is a
:class:`Step`. :mod:`tests.scripted_teacher` starts one by hand.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

PIECES = 3
"""Chunks of a streamed reply."""


@dataclass(frozen=True)
class Asked:
    """One request: its body, how often the same has come (from 1), when, and with which key."""

    body: dict[str, Any]
    attempt: int
    number: int
    at: float
    key: str

    @property
    def question(self) -> str:
        """The text of the last message."""
        return text_of(self.body["messages"][-1])


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, whose content is text or a list of parts."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


@dataclass(frozen=True)
class Step:
    """How one request is answered.

    ``text`` None: what the endpoint's ``answer`` makes of the request. ``cut`` ends the connection
    in the middle of the reply, ``delay`` is silence before it, in seconds. ``usage`` False: as an
    endpoint that does not count tokens.
    """

    text: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    finish: str = "stop"
    code: str | None = None
    usage: bool = True


Script = Callable[[Asked], Step]
Answer = Callable[[Asked], str]


def echo(asked: Asked) -> str:
    """The question, answered with itself."""
    return f"You said: {asked.question}"


class ScriptedEndpoint:
    """Serves ``/v1/chat/completions`` in threads; use it with ``with``.

    ``asked`` has all requests, in the order in which they came. With a ``key``, others get 401.
    """

    def __init__(
        self,
        answer: Answer = echo,
        script: Script = lambda asked: Step(),
        key: str | None = None,
        port: int = 0,
    ) -> None:
        self.answer, self.script, self.key = answer, script, key
        self.asked: list[Asked] = []
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.endpoint = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ScriptedEndpoint:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def note(self, body: dict[str, Any], key: str) -> Asked:
        """Count a request."""
        with self._lock:
            content = json.dumps(body, sort_keys=True)
            self._counts[content] += 1
            number = len(self.asked) + 1
            asked = Asked(body, self._counts[content], number, time.monotonic(), key)
            self.asked.append(asked)
        return asked


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    endpoint: ScriptedEndpoint

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed in the middle of a reply are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        endpoint = self.server.endpoint
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.path != "/v1/chat/completions":
            self._refuse(Step(status=404), "there is no such path")
            return
        asked = endpoint.note(body, key)
        if endpoint.key is not None and key != endpoint.key:
            self._refuse(Step(status=401, code="invalid_api_key"), "Incorrect API key provided")
            return
        step = endpoint.script(asked)
        time.sleep(step.delay)
        if step.status != 200:
            self._refuse(step, step.text or "scripted")
            return
        text = step.text if step.text is not None else endpoint.answer(asked)
        self._stream(asked, step, text) if body.get("stream") else self._whole(asked, step, text)

    def _refuse(self, step: Step, message: str) -> None:
        self._send({"error": {"message": message, "type": "error", "code": step.code}}, step)

    def _whole(self, asked: Asked, step: Step, text: str) -> None:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": step.finish}
        self._send(
            {**_base(asked, "chat.completion"), "choices": [choice], **_usage(asked, step, text)},
            step,
        )

    def _send(self, body: dict[str, Any], step: Step) -> None:
        data = json.dumps(body).encode()
        self.send_response(step.status)
        for name, value in {**step.headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if step.cut else data)
        self.close_connection = self.close_connection or step.cut

    def _stream(self, asked: Asked, step: Step, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        base = _base(asked, "chat.completion.chunk")
        size = -(-len(text) // PIECES) or 1
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        events = [_choice(base, {"content": piece}, None) for piece in pieces]
        if step.cut:
            self._chunk(b"".join(map(_event, events[: len(events) // 2])))
            self.close_connection = True
            return
        last = [_choice(base, {}, step.finish)]
        if step.usage:
            last.append({**base, "choices": [], **_usage(asked, step, text)})
        data = b"".join(map(_event, [*events, *last])) + b"data: [DONE]\n\n"
        self._chunk(data)
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _base(asked: Asked, kind: str) -> dict[str, Any]:
    return {
        "id": f"scripted-{asked.number}",
        "object": kind,
        "created": 0,
        "model": asked.body["model"],
    }


def _choice(base: dict[str, Any], delta: dict[str, str], finish: str | None) -> dict[str, Any]:
    return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def _usage(asked: Asked, step: Step, text: str) -> dict[str, Any]:
    """Tokens are words here."""
    if not step.usage:
        return {}
    read = sum(len(text_of(message).split()) for message in asked.body["messages"])
    written = len(text.split())
    return {
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }
    }

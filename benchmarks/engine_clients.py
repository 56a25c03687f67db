"""The servers' clients: a question in each one's own words, and its answer as it comes in."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from benchmarks.engine_requests import Timing, Turn, Watch

ANSWER_SECONDS = 300.0
"""No answer may take longer."""


class _HttpPeer:
    """A server on this machine; answers come as server-sent events."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, turns: Sequence[Turn], tokens: int, watch: Watch | None = None) -> Timing:
        """See :class:`Peer`."""
        route, body = self.request(turns, tokens)
        pieces: list[str] = []
        first, number = 0.0, 0
        started = time.perf_counter()
        for event in _events(self.address + route, body):
            text, told = self.read(event)
            if text and not pieces:
                first = time.perf_counter() - started
                if watch:
                    watch.first()
            if text:
                pieces.append(text)
            number = told or number
        total = time.perf_counter() - started
        if watch:
            watch.done()
        return Timing(first, total, number, "".join(pieces))

    def request(self, turns: Sequence[Turn], tokens: int) -> tuple[str, dict[str, Any]]:
        """Route and body."""
        raise NotImplementedError

    def read(self, event: dict[str, Any]) -> tuple[str, int | None]:
        """An event's text, and the number of tokens so far where the event tells it."""
        raise NotImplementedError

    def figures(self) -> dict[str, float] | None:
        """See :class:`Peer`; from our worker's ``/metrics``."""
        with httpx.Client(trust_env=False, timeout=10) as client:
            reply = client.get(f"{self.address}/metrics")
        told = re.findall(r"(?m)^llava_studio_(\w+_seconds)_total{.*} (\S+)$", reply.text)
        return {name: float(value) for name, value in told} or None


class OpenAIPeer(_HttpPeer):
    """Chat completions: our worker, and transformers' server."""

    def __init__(self, address: str, model: str) -> None:
        super().__init__(address)
        self.model = model

    def request(self, turns: Sequence[Turn], tokens: int) -> tuple[str, dict[str, Any]]:
        """See :class:`_HttpPeer`."""
        messages: list[dict[str, Any]] = []
        for turn in turns:
            parts: list[dict[str, Any]] = [{"type": "text", "text": turn.question.words}]
            if turn.question.picture:
                url = f"data:image/jpeg;base64,{_base64(turn.question.picture)}"
                parts.insert(0, {"type": "image_url", "image_url": {"url": url}})
            messages.append({"role": "user", "content": parts})
            if turn.answer:
                messages.append({"role": "assistant", "content": turn.answer})
        body = {"model": self.model, "messages": messages, "max_tokens": tokens, "temperature": 0}
        stream = {"stream": True, "stream_options": {"include_usage": True}}
        return "/v1/chat/completions", body | stream

    def read(self, event: dict[str, Any]) -> tuple[str, int | None]:
        """See :class:`_HttpPeer`."""
        choices = event.get("choices") or [{}]
        usage = event.get("usage") or {}
        text = (choices[0].get("delta") or {}).get("content") or ""
        return text, usage.get("completion_tokens")


class LlamaPeer(_HttpPeer):
    """llama.cpp's own route, with our template written out.

    Where a picture stands in a prompt is marked by a text that the server chooses when it starts.
    """

    def __init__(self, address: str) -> None:
        super().__init__(address)
        with httpx.Client(trust_env=False, timeout=30) as client:
            told = client.get(f"{address}/props").json()
        self.marker = str(told.get("media_marker", "<__media__>"))

    def request(self, turns: Sequence[Turn], tokens: int) -> tuple[str, dict[str, Any]]:
        """See :class:`_HttpPeer`."""
        prompt = ""
        for turn in turns:
            picture = f"{self.marker}\n" if turn.question.picture else ""
            prompt += f"USER: {picture}{turn.question.words} ASSISTANT:"
            prompt += f" {turn.answer.strip()}</s>" if turn.answer else ""
        pictures = [_base64(turn.question.picture) for turn in turns if turn.question.picture]
        body = {
            "prompt": {"prompt_string": prompt, "multimodal_data": pictures},
            "n_predict": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        return "/completion", body

    def read(self, event: dict[str, Any]) -> tuple[str, int | None]:
        """See :class:`_HttpPeer`."""
        return event.get("content") or "", event.get("tokens_predicted")

    def figures(self) -> dict[str, float] | None:
        """None: llama.cpp tells others."""
        return None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _events(url: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of an answer as they come; raises ``RuntimeError`` where it is an error."""
    deadline = time.monotonic() + ANSWER_SECONDS
    with (
        # Without TLS: getting ready for it takes 20 ms, a part of a second turn's time.
        httpx.Client(trust_env=False, timeout=ANSWER_SECONDS, verify=False) as client,
        client.stream("POST", url, json=body) as response,
    ):
        if response.status_code != 200:
            response.read()
            raise RuntimeError(f"{url}: {response.status_code} {response.text[:500]}")
        for line in response.iter_lines():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{url}: no end after {ANSWER_SECONDS:.0f} s")
            if line.startswith("data: ") and line != "data: [DONE]":
                event = json.loads(line[6:])
                if "error" in event:
                    raise RuntimeError(f"{url}: {event['error']}")
                yield event

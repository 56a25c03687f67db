"""One request to a model behind a URL, and its reply."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

BYTES_PER_TOKEN = 3
"""For estimates before a tokenizer has counted: English has more bytes for each token."""
TOKENS_PER_PICTURE = 1500
TOKENS_PER_MESSAGE = 8

Message = dict[str, Any]
"""``{"role", "content"}`` of OpenAI's chat completions; content is text or a list of parts."""


@dataclass(frozen=True)
class Sampling:
    """How replies are drawn. ``max_tokens`` is their longest; ``extra`` goes into the request's
    body as it is, and a key whose value is None there is left out of the body."""

    max_tokens: int = 1024
    temperature: float | None = 0.7
    top_p: float | None = None
    seed: int | None = None
    extra: tuple[tuple[str, Any], ...] = ()

    def body(self) -> dict[str, Any]:
        """The keys of the request's body."""
        named = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
        }
        merged = {**named, **dict(self.extra)}
        return {name: value for name, value in merged.items() if value is not None}


@dataclass(frozen=True)
class Request:
    """What is asked, under an ``id`` that no other request of the job has."""

    id: str
    messages: tuple[Message, ...]

    def key(self, model: str, sampling: Sampling) -> str:
        """32 hexadecimal digits that stand for id, messages, model and sampling together.

        Whatever changes one of them is another request, with a reply of its own.
        """
        whole = [self.id, self.messages, model, sampling.body()]
        text = json.dumps(whole, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def tokens(self) -> int:
        """About how many tokens the endpoint reads, rather too many than too few."""
        return sum(_tokens(message["content"]) + TOKENS_PER_MESSAGE for message in self.messages)


def _tokens(content: str | list[dict[str, Any]]) -> int:
    if isinstance(content, str):
        return text_tokens(content)
    return sum(
        text_tokens(part["text"]) if part["type"] == "text" else TOKENS_PER_PICTURE
        for part in content
    )


def text_tokens(text: str) -> int:
    """About how many tokens a text has."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


@dataclass(frozen=True)
class Usage:
    """Tokens read and written; ``estimated`` where the endpoint did not count them."""

    read: int = 0
    written: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        estimated = self.estimated or other.estimated
        return Usage(self.read + other.read, self.written + other.written, estimated)


@dataclass(frozen=True)
class Reply:
    """What came back. ``finish`` is "stop", or "length" where ``max_tokens`` cut it, or another
    word of the endpoint's; ``model`` is what it calls the model that answered."""

    text: str
    finish: str = "stop"
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    seconds: float = 0.0

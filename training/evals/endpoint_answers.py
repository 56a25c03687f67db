"""Answers of a model behind an OpenAI-compatible endpoint, such as a worker of the app."""

from __future__ import annotations

import argparse
import base64
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from llava_core.conversation import Conversation, ImagePart, Message
from llava_core.training.records import DataError
from training.endpoint.flags import Job, add_flags
from training.endpoint.request import Request
from training.evals.replies import ask_all, job_from, journal_beside


class EndpointAnswerer:
    """Asks a job's endpoint; replies are kept in a journal from which answers are read."""

    def __init__(self, job: Job, replies: Path) -> None:
        self._job, self._replies = job, replies

    @property
    def name(self) -> str:
        """As it stands in ``model_id``."""
        return self._job.address.model

    def answers(
        self, asked: Iterable[tuple[str, Conversation]], total: int = 0
    ) -> Iterator[tuple[str, str]]:
        """(id, text) of each (id, conversation), once all have been asked.

        Raises :class:`DataError` where some came to nothing, after the others.
        """
        requests = (Request(name, messages_of(each)) for name, each in asked)
        replies = ask_all(self._job, self._replies, requests, "answering", total)
        for name, reply in replies.by_id.items():
            yield name, reply.text.strip()
        if replies.failures:
            first = replies.failures[0]
            raise DataError(
                f"{len(replies.failures)} questions came to nothing, the first, {first.id!r}, with "
                f"{first.reason}",
                "The other answers are kept; the same command asks for these again.",
            )


def add_endpoint_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of an endpoint in place of a checkpoint."""
    parser.add_argument("--endpoint", metavar="URL", help="ask the model behind this URL")
    add_flags(parser, temperature=0.0, max_tokens=512)
    parser.set_defaults(parser=parser)


def endpoint_of(options: argparse.Namespace) -> EndpointAnswerer:
    """The answerer of the flags; replies are kept beside the answers."""
    job = job_from(options, options.endpoint, options.model)
    print(f"replies are kept in {journal_beside(options.out)}", file=sys.stderr)
    return EndpointAnswerer(job, journal_beside(options.out))


def messages_of(conversation: Conversation) -> tuple[dict[str, Any], ...]:
    """A conversation in OpenAI's format; pictures are PNG ``data:`` URLs."""
    return tuple({"role": m.role, "content": _content(m)} for m in conversation.messages)


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.text
    return [
        {"type": "image_url", "image_url": {"url": data_url(part.image)}}
        if isinstance(part, ImagePart)
        else {"type": "text", "text": part.text}
        for part in message.parts
    ]


def data_url(picture: Image.Image) -> str:
    """The picture as PNG in a ``data:`` URL."""
    data = io.BytesIO()
    picture.save(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"

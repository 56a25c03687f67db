"""One conversation as files to take away: Markdown, JSON, LLaVA's training JSON."""

from __future__ import annotations

import asyncio
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.controller.requests import person_of
from app.db.store import Store
from app.pictures import Picture, data_url
from app.protocol import StoredAnswer, StoredConversation, StoredImage, StoredTurn

Format = Literal["markdown", "json", "llava"]
VERSION = 1
"""Of the JSON format; it goes up when a key changes its meaning."""
PLACEHOLDER = "<image>"
ZERO_WIDTH_SPACE = "\u200b"
_ENDINGS = {"image/jpeg": "jpg", "image/png": "png"}


@dataclass(frozen=True)
class Export:
    """A file to be saved."""

    name: str
    media_type: str
    data: bytes


def export_routes(store: Store) -> APIRouter:
    """``GET /api/conversations/{id}/export?format=markdown|json|llava``."""
    router = APIRouter(prefix="/api/conversations/{conversation_id}/export")

    @router.get("")
    async def export(conversation_id: str, request: Request, format: Format) -> Response:
        person = person_of(request)
        file = await asyncio.to_thread(export_of, store, person, conversation_id, format)
        attached = f"attachment; filename*=UTF-8''{quote(file.name)}"
        headers = {"Content-Disposition": attached, "X-Content-Type-Options": "nosniff"}
        return Response(file.data, media_type=file.media_type, headers=headers)

    return router


def export_of(store: Store, person: str, conversation_id: str, format: Format) -> Export:
    """The conversation's current path as a file; raises :class:`app.errors.NotFound`."""
    conversation = store.conversation(person, conversation_id)
    images = {image.sha256: image for turn in conversation.turns for image in turn.images}
    pictures = {sha256: store.picture(person, sha256) for sha256 in images}
    write: dict[Format, Callable[..., Export]] = {
        "markdown": _as_markdown,
        "json": _as_json,
        "llava": _as_llava,
    }
    return write[format](conversation, pictures)


def _as_json(conversation: StoredConversation, pictures: dict[str, Picture]) -> Export:
    """Everything that is known of the path, its other answers included, in one file."""
    whole = {
        "format": "llava-studio-conversation",
        "version": VERSION,
        "conversation": conversation.model_dump(mode="json"),
        "pictures": {sha: data_url(p.data, p.media_type) for sha, p in pictures.items()},
    }
    return Export(f"{_name(conversation)}.json", "application/json", _json(whole))


def _as_markdown(conversation: StoredConversation, pictures: dict[str, Picture]) -> Export:
    """``conversation.md`` and its pictures in ``images/``, as a zip archive."""
    lines = [f"# {conversation.title}", ""]
    for turn in conversation.turns:
        answer = _chosen(turn)
        lines += ["## Question", ""]
        for number, image in enumerate(turn.images, start=1):
            lines += [f"![Picture {number}]({_file(image)})", ""]
        lines += [turn.text, "", f"## {answer.model}", "", answer.text, ""]
    return _archive(conversation, "conversation.md", "\n".join(lines).encode(), pictures)


def _as_llava(conversation: StoredConversation, pictures: dict[str, Picture]) -> Export:
    """``conversation.json``, LLaVA's training format, and the pictures in ``images/``.

    A list of one record, as the released data sets are lists of records
    (https://github.com/haotian-liu/LLaVA, docs/Finetune_Custom_Data.md). Where people have typed
    the text ``<image>`` it is broken by a zero-width space: placeholders stand for pictures.
    """
    images = [_file(image) for turn in conversation.turns for image in turn.images]
    said: list[dict[str, str]] = []
    for turn in conversation.turns:
        marks = f"{PLACEHOLDER}\n" * len(turn.images)
        said.append({"from": "human", "value": marks + _plain(turn.text)})
        said.append({"from": "gpt", "value": _plain(_chosen(turn).text)})
    record: dict[str, Any] = {"id": conversation.id}
    if images:
        record["image"] = images[0] if len(images) == 1 else images
    record["conversations"] = said
    return _archive(conversation, "conversation.json", _json([record]), pictures)


def _archive(
    conversation: StoredConversation, name: str, text: bytes, pictures: dict[str, Picture]
) -> Export:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
        for turn in conversation.turns:
            for image in turn.images:
                if _file(image) not in archive.NameToInfo:
                    # Pictures are compressed already.
                    data = pictures[image.sha256].data
                    archive.writestr(_file(image), data, zipfile.ZIP_STORED)
    return Export(f"{_name(conversation)}.zip", "application/zip", buffer.getvalue())


def _chosen(turn: StoredTurn) -> StoredAnswer:
    return next(answer for answer in turn.answers if answer.id == turn.chosen)


def _file(image: StoredImage) -> str:
    return f"images/{image.sha256}.{_ENDINGS.get(image.media_type, 'png')}"


def _plain(text: str) -> str:
    return text.replace(PLACEHOLDER, f"<{ZERO_WIDTH_SPACE}image>")


def _name(conversation: StoredConversation) -> str:
    """A file name from the title: letters and digits of any language."""
    words = re.sub(r"[^\w]+", "-", conversation.title).strip("-")
    return words[:60] or "conversation"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()

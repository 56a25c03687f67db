"""Small pictures for tests, as files and as data: URLs."""

from __future__ import annotations

import base64
import io

from PIL import Image


def png(colour: str = "red", size: tuple[int, int] = (8, 6)) -> bytes:
    """A PNG file of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def as_data_url(data: bytes, media_type: str = "image/png") -> str:
    """A file as a data: URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def question(text: str, *pictures: bytes) -> dict[str, object]:
    """A user message in OpenAI's format, its pictures first."""
    parts: list[dict[str, object]] = [
        {"type": "image_url", "image_url": {"url": as_data_url(data)}} for data in pictures
    ]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}

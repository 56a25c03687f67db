"""Pictures inside of pages and requests: as ``data:`` URLs."""

from __future__ import annotations

import base64

from PIL import Image

from llava_core.images import encode_image

SIDE = 512
"""Pictures on pages are at most this wide and high, in pixels."""


def data_url(image: Image.Image) -> str:
    """The picture, at most :data:`SIDE` pixels wide and high: PNG if small, else JPEG."""
    kind = "image/png" if max(image.size) <= SIDE // 2 else "image/jpeg"
    return encoded_url(image, kind, SIDE)


def encoded_url(image: Image.Image, kind: str, side: int) -> str:
    """The picture, at most ``side`` pixels wide and high, in the format ``kind``."""
    small = image.copy()
    small.thumbnail((side, side))
    return f"data:{kind};base64,{base64.b64encode(encode_image(small, kind)).decode()}"

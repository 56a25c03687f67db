"""Pictures as they travel: ``data:`` URLs in, decoded pictures and clean files out.

Only ``data:`` URLs are accepted. A server that fetches an address or opens a path which a request
names would do so with its own rights, inside its own network.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from dataclasses import dataclass

from PIL import Image

from app.errors import BadPicture, BadRequest, StudioError, TooLarge
from app.settings import Settings
from llava_core.errors import PictureError
from llava_core.images import ImageLimits, decode_image, encode_image, sha256_of

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)
LARGE_PIXELS = 2_000_000
"""Above this many pixels a picture is kept as JPEG rather than PNG."""
THUMBNAIL_SIDE = 128
"""Pixels of a thumbnail's longer side."""
STORED = re.compile(r"stored:([0-9a-f]{64})")
"""A picture that the server has already, by its SHA-256."""


@dataclass(frozen=True)
class Picture:
    """A picture ready to be stored: its file without metadata, and what is in it."""

    data: bytes
    media_type: str
    width: int
    height: int
    sha256: str


def limits_of(settings: Settings) -> ImageLimits:
    """The limits that the settings give."""
    return ImageLimits(settings.max_upload_mb * 1_000_000, settings.max_pixels_millions * 1_000_000)


def decode_data_url(url: str, settings: Settings) -> Image.Image:
    """The RGB picture in a ``data:`` URL.

    Raises :class:`BadPicture` or :class:`TooLarge`, and :class:`BadRequest` for other schemes.
    """
    return decode_bytes(_bytes_of(url, settings), settings)


def decode_bytes(data: bytes, settings: Settings) -> Image.Image:
    """The RGB picture in a file's bytes; raises :class:`BadPicture` or :class:`TooLarge`."""
    try:
        return decode_image(data, limits_of(settings))
    except PictureError as error:
        kind: type[StudioError] = BadPicture
        if len(data) > limits_of(settings).max_bytes:
            kind = TooLarge
        raise kind(f"{error.message}.", error.remedy) from error


def picture_from_data_url(url: str, settings: Settings) -> Picture:
    """The picture in a ``data:`` URL, re-encoded without metadata; raises as decode_data_url."""
    image = decode_data_url(url, settings)
    large = image.width * image.height > LARGE_PIXELS
    media_type = "image/jpeg" if large else "image/png"
    data = encode_image(image, media_type)
    return Picture(data, media_type, image.width, image.height, sha256_of(data))


def as_jpeg(data: bytes, settings: Settings) -> bytes:
    """A picture's file as a JPEG without metadata; raises as :func:`decode_bytes`."""
    return encode_image(decode_bytes(data, settings), "image/jpeg")


def thumbnail(data: bytes) -> bytes:
    """A stored picture made small, its longer side 128 pixels, as a WebP file."""
    # It is one of ours, which was within the limits of its time.
    image = decode_image(data, ImageLimits(len(data), Image.MAX_IMAGE_PIXELS or 100_000_000))
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def data_url(data: bytes, media_type: str) -> str:
    """A file as a ``data:`` URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _bytes_of(url: str, settings: Settings) -> bytes:
    head = _DATA_URL.match(url)
    if head is None:
        scheme = url.split(":", 1)[0][:20] if ":" in url else "no scheme"
        raise BadRequest(
            f"Pictures are taken as data: URLs only, not by {scheme}; nothing is fetched.",
            "Send the picture itself: data:image/png;base64,...",
        )
    coded = url[head.end() :]
    if len(coded) * 3 // 4 > limits_of(settings).max_bytes + 3:
        raise TooLarge(
            f"The picture's file has {len(coded) * 0.75e-6:.1f} MB; "
            f"the limit is {settings.max_upload_mb} MB.",
            "Save it smaller, for example as JPEG, and send it again.",
        )
    try:
        return base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPicture("The picture's base64 text is damaged.") from error

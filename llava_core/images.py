"""The only place that decodes, checks and writes pictures.

Limits on bytes and pixels are checked on the file's header, before any pixel is decoded, so that a
decompression bomb costs nothing.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, UnidentifiedImageError

from llava_core.errors import PictureError

HEIF = "HEIF"
"""HEIC and HEIF, the format of phones' cameras. libheif turns such a picture itself, knows which of
several in a file is meant, and refuses to decode more pixels than the file's header names."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", HEIF)
"""File formats that are read; Pillow's other readers are never tried."""
KINDS = "PNG, JPEG, WebP, HEIC, GIF, BMP or TIFF"
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation; 1 is upright."""


@dataclass(frozen=True)
class ImageLimits:
    """The largest picture that is decoded: size of its file in bytes, and its pixels."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000


def decode_image(data: bytes, limits: ImageLimits | None = None) -> Image.Image:
    """The picture in a file's bytes, as RGB.

    The first frame of an animation, the main picture of a HEIC file; turned as its EXIF
    orientation says; transparent parts on white; palettes resolved; 16 bits scaled to 8. Raises
    :class:`PictureError` where the bytes are not a picture, are cut off, or exceed the limits.
    """
    limits = limits or ImageLimits()
    if len(data) > limits.max_bytes:
        raise PictureError(
            f"The picture's file has {len(data) / 1e6:.1f} MB; the limit is "
            f"{limits.max_bytes / 1e6:.0f} MB",
            "Save it smaller, for example as JPEG, and send it again.",
        )
    image = _open(data, limits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if image.format != HEIF:
                image.seek(0)
            image.load()
            turned = _upright(image)
    except Exception as error:  # what a decoder raises depends on where the damage is
        raise PictureError(
            "The picture is damaged or cut off, so it cannot be read to its end",
            "Send the file again, or save it anew from the program that made it.",
        ) from error
    return _to_rgb(turned)


def _open(data: bytes, limits: ImageLimits) -> Image.Image:
    """The picture with only its header read, its pixel count within the limits."""
    _add_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"The picture has more than {limits.max_pixels / 1e6:.0f} million pixels",
            "Make it smaller and send it again.",
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise PictureError(
            "This file is not a picture that can be read",
            f"Send a {KINDS} picture.",
        ) from error
    width, height = image.size
    if width < 1 or height < 1:
        raise PictureError("The picture has no pixels", "Send another picture.")
    if width * height > limits.max_pixels:
        raise PictureError(
            f"The picture has {width * height / 1e6:.0f} million pixels ({width} x {height}); "
            f"the limit is {limits.max_pixels / 1e6:.0f} million",
            "Make it smaller and send it again.",
        )
    return image


@cache
def _add_heif() -> None:
    """Teach Pillow to read HEIC, once."""
    pillow_heif.register_heif_opener()


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says; damaged EXIF turns nothing."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # EXIF is a file format of its own, with as many ways to be broken
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode in _SIXTEEN_BIT:
        image = _eight_bit(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        coloured = image.convert("RGBA")
        page = Image.new("RGBA", coloured.size, "white")
        page.alpha_composite(coloured)
        image = page
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey in 16 bits, 0..65535, as 0..255; wider types (I, F) only where they go beyond 255."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32), copy=False)
    if image.mode in _SIXTEEN_BIT or values.max() > 255:
        values *= 255 / 65535
    return Image.fromarray(np.clip(values, 0, 255, out=values).astype(np.uint8))


def encode_image(image: Image.Image, media_type: str = "image/png") -> bytes:
    """The picture's file without any metadata, as PNG (lossless) or JPEG (quality 92)."""
    buffer = io.BytesIO()
    clean = Image.new("RGB", image.size)
    clean.paste(image)
    if media_type == "image/jpeg":
        clean.save(buffer, "JPEG", quality=92, subsampling=0)
    else:
        clean.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def sha256_of(data: bytes) -> str:
    """The SHA-256 of some bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()

"""Decoded pictures of the last requests: every turn of a conversation brings its pictures again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from PIL import Image

from app.pictures import decode_data_url
from app.settings import Settings

LIMIT = 128_000_000
"""Bytes of decoded pictures: three photographs of 12 megapixels, or a hundred of screen size."""


class PictureCache:
    """Pictures by the ``data:`` URLs that they came in, the newest in ``limit`` bytes.

    The same URL gives the same object, by which what was made of it is found
    (:class:`llava_core.pixels.PixelCache`). May be used by several threads.
    """

    def __init__(self, settings: Settings, limit: int = LIMIT) -> None:
        self._settings = settings
        self._limit = limit
        self._kept: OrderedDict[bytes, Image.Image] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def picture(self, url: str) -> Image.Image:
        """The RGB picture; not to be changed. Raises as :func:`app.pictures.decode_data_url`."""
        key = hashlib.sha256(url.encode()).digest()
        with self._lock:
            if (known := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return known
        image = decode_data_url(url, self._settings)
        with self._lock:
            # Somebody else may have decoded it in the meantime: one object for all.
            if key not in self._kept:
                self._kept[key] = image
                self.bytes += _bytes(image)
            image = self._kept[key]
            while self.bytes > self._limit and self._kept:
                self.bytes -= _bytes(self._kept.popitem(last=False)[1])
        return image


def _bytes(image: Image.Image) -> int:
    return image.width * image.height * len(image.getbands())

"""The files of stored pictures: each once, under its SHA-256, written whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from app.errors import NotFound, StorageFailed
from app.pictures import Picture

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}


class PictureFiles:
    """A folder of picture files: ``ab/abcd....png``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make_folder(self) -> None:
        """Make the folder; raises :class:`StorageFailed` where that is not possible."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageFailed(
                f"The pictures' folder {self._folder} cannot be written: {error.strerror}."
            ) from error

    def write(self, picture: Picture) -> None:
        """Store the picture's file, unless it is there already.

        Raises :class:`StorageFailed` where the folder cannot be written or the disk is full.
        """
        path = self.path(picture.sha256, picture.media_type)
        if path.exists():
            return
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(picture.data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise StorageFailed(
                f"The picture could not be stored in {self._folder}: {error.strerror}."
            ) from error

    def read(self, sha256: str, media_type: str) -> bytes:
        """The bytes of a stored picture; raises :class:`NotFound` where its file is gone."""
        try:
            return self.path(sha256, media_type).read_bytes()
        except OSError as error:
            raise NotFound(f"The file of picture {sha256[:12]} is gone.") from error

    def path(self, sha256: str, media_type: str) -> Path:
        """Where the file lies; raises :class:`NotFound` for anything but a SHA-256."""
        if not _SHA256.fullmatch(sha256):
            raise NotFound("There is no such picture.")
        return self._folder / sha256[:2] / f"{sha256}.{_ENDINGS[media_type]}"

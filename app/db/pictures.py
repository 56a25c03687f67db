"""The files of stored pictures: each once, under its SHA-256, written whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.errors import NotFound, StorageFailed
from app.pictures import Picture, thumbnail

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}
_ASIDE = "deleted"


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
        self._write_whole(path, picture.data)

    def _write_whole(self, path: Path, data: bytes) -> None:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(data)
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

    def thumbnail(self, sha256: str, media_type: str) -> bytes:
        """The picture's thumbnail, a WebP file; made on the first request and kept.

        Raises :class:`NotFound` where the picture's file is gone. Where it cannot be kept it is
        made again the next time.
        """
        path = self.thumbnail_path(sha256)
        with suppress(OSError):
            return path.read_bytes()
        small = thumbnail(self.read(sha256, media_type))
        with suppress(StorageFailed):
            self._write_whole(path, small)
        return small

    @contextmanager
    def deleting(self) -> Iterator[Callable[[Iterable[tuple[str, str]]], None]]:
        """Delete files together with their rows: run the whole transaction inside the block.

        Yields a function that takes (sha256, media type) of pictures out of the folder; the files
        are deleted when the block ends, and put back where it fails.
        """
        aside: list[tuple[Path, Path]] = []

        def take_out(pictures: Iterable[tuple[str, str]]) -> None:
            for sha256, media_type in pictures:
                for path in (self.path(sha256, media_type), self.thumbnail_path(sha256)):
                    hidden = path.with_name(f".{path.name}.{_ASIDE}")
                    with suppress(FileNotFoundError):
                        os.replace(path, hidden)
                        aside.append((path, hidden))

        try:
            yield take_out
        except BaseException:
            for path, hidden in aside:
                os.replace(hidden, path)
            raise
        for _, hidden in aside:
            hidden.unlink()

    def tidy(self, is_stored: Callable[[str], bool]) -> None:
        """Finish deletions that a crash has interrupted: ``is_stored`` says whether a picture's
        row is still there, in which case its file comes back."""
        for hidden in self._folder.glob(f"*/.*.{_ASIDE}"):
            name = hidden.name[1:].removesuffix(f".{_ASIDE}")
            if is_stored(name.split(".")[0]):
                os.replace(hidden, hidden.with_name(name))
            else:
                hidden.unlink(missing_ok=True)

    def thumbnail_path(self, sha256: str) -> Path:
        """Where the picture's thumbnail lies."""
        return self.path(sha256, "image/png").with_suffix(".thumbnail.webp")

    def path(self, sha256: str, media_type: str) -> Path:
        """Where the file lies; raises :class:`NotFound` for anything but a SHA-256."""
        if not _SHA256.fullmatch(sha256):
            raise NotFound("There is no such picture.")
        return self._folder / sha256[:2] / f"{sha256}.{_ENDINGS[media_type]}"

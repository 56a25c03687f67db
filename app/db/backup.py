"""The whole data folder as one file, made while the app runs, and back again.

A backup is a tar archive: ``manifest.json``, ``studio.db`` (a consistent copy by SQLite's online
backup, https://www.sqlite.org/backup.html) and the pictures that this copy names. Pictures never
change, so they can be copied after the database. Both ways are whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from app.db.models import now
from app.db.pictures import PictureFiles
from app.errors import BadRequest, StorageFailed
from app.settings import Settings

FORMAT, VERSION = "llava-studio-backup", 1
DATABASE, PICTURES, MANIFEST = "studio.db", "images", "manifest.json"


@dataclass(frozen=True)
class Contents:
    """What a backup holds."""

    created_at: str
    conversations: int
    pictures: int
    bytes: int = 0


def back_up(settings: Settings, target: Path) -> Contents:
    """Write a backup to ``target``, which must not be there.

    Raises :class:`app.errors.StudioError` where the database is not SQLite, the file is there
    already, or cannot be written (a full disk, say); nothing is left behind then.
    """
    source = _sqlite_file(settings)
    if target.exists():
        raise BadRequest(f"{target} is there already.", "Give the backup another name.")
    if not source.exists():
        raise BadRequest(f"There is no database at {source}.", "Name the data folder: --data-dir.")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    with _disk_errors(f"The backup {target} could not be written"):
        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
                copy = Path(folder) / DATABASE
                _copy_database(source, copy)
                contents = _write_archive(copy, PictureFiles(settings.images_dir), draft)
            os.replace(draft, target)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
    return contents


def restore(settings: Settings, source: Path) -> Contents:
    """Put a backup into the data folder, which must not have a database yet.

    Raises :class:`app.errors.StudioError` where it has one, where the file is no backup or is
    damaged, or where the disk is full; the data folder is as before then.
    """
    target = _sqlite_file(settings)
    if target.exists():
        raise BadRequest(
            f"There is a database at {target} already; nothing is overwritten.",
            "Restore into a new folder with --data-dir, or move the old one away.",
        )
    with _disk_errors(f"{source} could not be restored to {settings.data_dir}"):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".restore-") as name:
            folder = Path(name)
            contents = _read_archive(source, folder)
            _check(folder)
            for picture in (folder / PICTURES).rglob("*.*"):
                place = settings.images_dir / picture.relative_to(folder / PICTURES)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(picture, place)
            # The database comes last: without it there is nothing that names the pictures.
            os.replace(folder / DATABASE, target)
    return contents


def _sqlite_file(settings: Settings) -> Path:
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite":
        raise BadRequest(
            f"The database is {url.get_backend_name()}, which has tools of its own.",
            f"Use pg_dump and pg_restore, and copy {settings.images_dir} after the dump.",
        )
    return Path(url.database or "")


def _copy_database(source: Path, copy: Path) -> None:
    """A consistent copy, whoever writes meanwhile."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reading,
        closing(sqlite3.connect(copy)) as writing,
    ):
        reading.backup(writing, pages=2000, sleep=0.01)
        writing.execute("PRAGMA journal_mode=DELETE")


def _write_archive(copy: Path, files: PictureFiles, draft: Path) -> Contents:
    with closing(sqlite3.connect(copy)) as database:
        pictures = database.execute("SELECT sha256, media_type FROM images").fetchall()
        (conversations,) = database.execute("SELECT count(*) FROM conversations").fetchone()
    found = [(sha256, files.path(sha256, media_type)) for sha256, media_type in pictures]
    # What has been deleted since the copy was made stays deleted.
    found = [(sha256, path) for sha256, path in found if path.exists()]
    contents = Contents(now(), conversations, len(found))
    with draft.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            manifest = {"format": FORMAT, "version": VERSION, **asdict(contents)}
            _add_bytes(archive, MANIFEST, json.dumps(manifest, indent=2).encode())
            archive.add(copy, DATABASE)
            for sha256, path in found:
                with suppress(FileNotFoundError):
                    _add_bytes(archive, f"{PICTURES}/{sha256[:2]}/{path.name}", path.read_bytes())
        file.flush()
        os.fsync(file.fileno())
        return Contents(contents.created_at, conversations, len(found), file.tell())


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def _read_archive(source: Path, folder: Path) -> Contents:
    damaged = BadRequest(
        f"{source} is no backup of LLaVA Studio, or is damaged.",
        "Give a file that python app.py backup has written.",
    )
    try:
        with tarfile.open(source, "r:") as archive:
            archive.extractall(folder, filter="data")
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest.pop("format") != FORMAT or not (folder / DATABASE).is_file():
            raise damaged
        if manifest.pop("version") > VERSION:
            raise BadRequest(f"{source} was written by a newer version.", "Restore it with that.")
        return Contents(**manifest | {"bytes": source.stat().st_size})
    except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise damaged from error
    except FileNotFoundError as error:
        raise damaged from error


def _check(folder: Path) -> None:
    """Raises :class:`BadRequest` where the database or a picture is damaged."""
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        try:
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            state = str(error)
    broken = [
        path.name
        for path in (folder / PICTURES).rglob("*.*")
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem
    ]
    if state != "ok" or broken:
        what = broken[0] if broken else f"the database ({state})"
        raise BadRequest(f"The backup is damaged: {what}.", "Take another backup.")


@contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"{what}: {error.strerror or error}.") from error
    except (sqlite3.Error, shutil.Error) as error:
        raise StorageFailed(f"{what}: {error}.") from error

"""Replies as they came, kept on disk before anything is made of them.

JSON lines, one for each reply and one for each reply that was cut off (it is asked for again, but
was paid for). A reply counts as kept when its line is on the disk: a process that is killed loses
at most what had not arrived. Half a last line, which a kill leaves, is taken away when the file is
opened.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from training.endpoint.errors import JournalError
from training.endpoint.request import Reply, Request, Sampling, Usage

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_ANOTHER = "Name another file, or move this one away."


@dataclass(frozen=True)
class _Place:
    """Where a line starts, and how long it is, in bytes."""

    start: int
    length: int


class Journal:
    """The replies of a job in ``path``, by the keys of their requests; use it with ``with``.

    Only where each one stands is kept in memory. ``usage`` is what all of them have cost, cut ones
    included. Raises :class:`training.endpoint.errors.JournalError` where a line is damaged or
    another process writes the file.
    """

    def __init__(self, path: Path, model: str, sampling: Sampling) -> None:
        self.path, self._model, self._sampling = path, model, sampling
        self._places: dict[str, _Place] = {}
        self.usage = Usage()
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    def __enter__(self) -> Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = self.path.open("ab+", buffering=0)
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """The number of whole replies."""
        return len(self._places)

    def __contains__(self, request: Request) -> bool:
        return self.key(request) in self._places

    def key(self, request: Request) -> str:
        """The key under which the reply to a request is kept."""
        return request.key(self._model, self._sampling)

    def get(self, request: Request) -> Reply | None:
        """The reply to a request, or None where there is none yet."""
        return self.at(self.key(request))

    def at(self, key: str) -> Reply | None:
        """The reply kept under a key, or None where there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        row = json.loads(os.pread(self._file.fileno(), place.length, place.start))
        return Reply(
            row["text"], row["finish"], Usage(**row["usage"]), row["model"], row["seconds"]
        )

    async def keep(self, request: Request, reply: Reply) -> None:
        """Return when the reply is on the disk. Raises ``OSError`` where it cannot be."""
        row = {"key": self.key(request), "id": request.id, **asdict(reply)}
        await self._append(row)

    async def keep_cut(self, request: Request, text: str, usage: Usage) -> None:
        """Keep what came of a reply that was cut off: it counts as paid, and not as a reply."""
        row = {"key": self.key(request), "id": request.id, "cut": text, "usage": asdict(usage)}
        await self._append(row)

    async def flush(self) -> None:
        """Return when all that came is on the disk, or has failed to be."""
        if self._writer is not None:
            await self._writer

    async def _append(self, row: dict[str, Any]) -> None:
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((line, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        """Write what waits, many lines at once: one visit to the disk for all that came since."""
        while self._waiting:
            lines, self._waiting = self._waiting, []
            start = self._file.seek(0, os.SEEK_END)
            try:
                await asyncio.to_thread(self._to_disk, b"".join(line for line, _ in lines), start)
            except OSError as error:
                for _, done in lines:
                    if not done.done():
                        done.set_exception(error)
                continue
            for line, done in lines:
                self._note(json.loads(line), _Place(start, len(line)))
                start += len(line)
                if not done.done():
                    done.set_result(None)

    def _to_disk(self, data: bytes, start: int) -> None:
        """All of ``data``, or nothing: a full disk leaves the file as it was."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(start)
            raise

    def _note(self, row: dict[str, Any], place: _Place) -> None:
        self.usage += Usage(**row["usage"])
        if "cut" not in row:
            self._places[row["key"]] = place

    def _lock(self) -> None:
        """One process at a time; a killed one lets go. No effect where there are no such locks."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalError(
                f"{self.path} is in use: another process adds replies to it",
                "Wait until it has ended, or end it, and start again.",
            ) from error

    def _read(self) -> None:
        start = 0
        for number, line in enumerate(self._lines(), 1):
            if not line.endswith(b"\n"):  # killed in the middle of it
                self._file.truncate(start)
                return
            try:
                self._note(json.loads(line), _Place(start, len(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise JournalError(
                    f"line {number} of {self.path} is no stored reply: {error!r}", _ANOTHER
                ) from error
            start += len(line)

    def _lines(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            yield from file

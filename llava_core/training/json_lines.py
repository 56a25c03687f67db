"""Large JSON files, read piece by piece: a list as lines, and where each line starts."""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int, int], None]
"""Is told how many bytes are read, and how many there are."""
_CHUNK = 1 << 16
_MARK = b"\xef\xbb\xbf"
"""What some editors put in front of UTF-8."""


class BrokenList(Exception):
    """A file that is no JSON list: how many items were whole, and where it stops being JSON."""

    def __init__(self, reason: str, items: int, line: int, byte: int) -> None:
        super().__init__(f"{reason} (line {line}, byte {byte})")
        self.reason, self.items, self.line, self.byte = reason, items, line, byte


def list_as_lines(path: Path, cache: Path, progress: Progress | None = None) -> Path:
    """A file in ``cache`` with one line for each item of the JSON list in ``path``.

    It is made once for each state of ``path`` (its size and time of change), under a temporary
    name until it is whole; copies of earlier states are removed. Raises :class:`BrokenList`.
    """
    state = path.stat()
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    target = cache / f"{path.stem}-{name}-{state.st_size}-{state.st_mtime_ns}.jsonl"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    draft = cache / f"{target.name}.{os.getpid()}.part"
    try:
        with draft.open("w", encoding="ascii") as lines:
            for item in list_items(path, progress):
                lines.write(json.dumps(item) + "\n")
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    for old in cache.glob(f"*-{name}-*.jsonl"):
        if old != target:
            old.unlink(missing_ok=True)
    return target


def list_items(path: Path, progress: Progress | None = None) -> Iterator[Any]:
    """The items of a JSON list, one in memory at a time. Raises :class:`BrokenList`."""
    count = 0
    with path.open("rb") as file:
        reader = _Reader(file, path.stat().st_size, progress)
        if reader.first() != b"[":
            raise BrokenList("it does not start with [, as a JSON list does", 0, 1, reader.done)
        try:
            for item in ijson.items(reader, "item", use_float=True, buf_size=_CHUNK):
                count += 1
                yield item
        except (ijson.JSONError, UnicodeDecodeError) as error:
            line, byte = _place(path, max(reader.done - _CHUNK, 0))
            raise BrokenList(_reason(error), count, line, byte) from error


def line_starts(path: Path) -> NDArray[np.int64]:
    """Where each line starts that holds anything, in bytes: (lines,)."""
    starts = array("q")
    position = 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                starts.append(position)
            position += len(line)
    return np.array(starts, dtype=np.int64)


def line_at(path: Path, start: int) -> bytes:
    """The line that starts at byte ``start``; one file is opened, so that processes may share."""
    with path.open("rb") as file:
        file.seek(start)
        return file.readline()


def line_number(path: Path, start: int) -> int:
    """The number, counted from 1, of the line that starts at byte ``start``."""
    number = 1
    with path.open("rb") as file:
        while start > 0 and (piece := file.read(min(_CHUNK, start))):
            number += piece.count(b"\n")
            start -= len(piece)
    return number


class _Reader:
    """A file that counts what is read of it; from ``careful`` on it gives one byte at a time."""

    def __init__(
        self, file: BinaryIO, total: int, progress: Progress | None, careful: int | None = None
    ) -> None:
        self.file, self.total, self.progress, self.careful = file, total, progress, careful
        self.done, self.line = 0, 1

    def first(self) -> bytes:
        """The first byte that says anything, and nothing read yet but a mark of UTF-8."""
        start = len(_MARK) if self.file.read(len(_MARK)) == _MARK else 0
        self.file.seek(start)
        byte = self.file.read(1)
        while byte.isspace():
            byte = self.file.read(1)
        self.file.seek(start)
        self.done = start
        return byte

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        if self.careful is not None and size:  # the parser asks for 0 bytes to see their type
            size = 1 if self.done >= self.careful else min(size, self.careful - self.done)
        piece = self.file.read(size)
        self.done += len(piece)
        self.line += piece.count(b"\n")
        if self.progress:
            self.progress(self.done, self.total)
        return piece


def _place(path: Path, careful: int) -> tuple[int, int]:
    """Line and byte, from 1 and 0, where the file stops being JSON: read again, byte by byte."""
    with path.open("rb") as file:
        reader = _Reader(file, path.stat().st_size, None, careful)
        reader.first()
        try:
            for _ in ijson.items(reader, "item", use_float=True, buf_size=_CHUNK):
                pass
        except (ijson.JSONError, UnicodeDecodeError):
            pass
        return reader.line, max(reader.done - 1, 0)


def _reason(error: Exception) -> str:
    """What the parser says, without its drawing of the place."""
    text = str(error).removeprefix("b'").split("\n")[0].split("\\n")[0]
    return text.strip(" '") or type(error).__name__

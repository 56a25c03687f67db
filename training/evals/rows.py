"""Files of rows that evaluation reads and writes: JSON lines or a JSON list, checked row by row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llava_core.training.records import DataError
from training.writing import whole_file

Row = dict[str, Any]


def read_rows(
    path: Path, columns: Sequence[str], what: str, key: str | None = None, unfinished: bool = False
) -> list[Row]:
    """All rows of a ``.jsonl`` file or of a JSON list.

    ``columns`` must be in each row, ``key`` must be different in each. ``unfinished`` allows half a
    last line, which a killed run leaves. ``what`` names a row in messages. Raises
    :class:`DataError` with the row's number, counted from 0.
    """
    rows = _parsed(path, what, unfinished)
    seen: dict[str, int] = {}
    for number, row in enumerate(rows):
        missing = [name for name in columns if name not in row]
        if missing:
            raise DataError(
                f"{path} has {a(what)} without {', '.join(map(repr, missing))}",
                f"{a(what).capitalize()} needs {', '.join(columns)}.",
                number,
            )
        if key is not None:
            former = seen.setdefault(str(row[key]), number)
            if former != number:
                raise DataError(
                    f"{path} has {key} {row[key]!r} twice, first in record {former}",
                    "Remove one of them.",
                    number,
                )
    return rows


def _parsed(path: Path, what: str, unfinished: bool) -> list[Row]:
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read: {reason}", "Name a file of rows.") from error
    if text.lstrip().startswith("["):
        rows = loads(text, path)
    else:
        lines = [line for line in text.splitlines() if line.strip()]
        whole = not unfinished or text.endswith("\n")
        if not whole and lines and not _is_json(lines[-1]):
            lines.pop()
        rows = [loads(line, path, number) for number, line in enumerate(lines)]
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(
                f"{path} has {json.dumps(row)[:40]} in place of {a(what)}",
                "Each row is a JSON object.",
                number,
            )
    return list(rows)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def loads(text: str, path: Path, number: int | None = None) -> Any:
    """What ``text`` of the file says. Raises :class:`DataError` where it is not JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(
            f"{path} is not JSON: {error}", "Correct or remove the line.", number
        ) from error


def a(what: str) -> str:
    """``what`` with its article."""
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write JSON lines, whole or not at all."""
    with whole_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value, whole or not at all."""
    with whole_file(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as it names data in results."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "Name an existing file.") from (
            error
        )
    return digest.hexdigest()


def same_ids(wanted: Iterable[str], given: Iterable[str], what: str, source: Path) -> None:
    """Check that ``given`` has no id that is not ``wanted``; missing ones are the caller's matter.

    Raises :class:`DataError` with the number of the first stranger in ``given``.
    """
    known = set(wanted)
    listed = list(given)
    strangers = [(number, name) for number, name in enumerate(listed) if name not in known]
    if strangers:
        number, name = strangers[0]
        raise DataError(
            f"{source} has {what} {name!r}, which is not asked for ({len(strangers)} of "
            f"{len(listed)} are not)",
            "Give files of the same data and split.",
            number,
        )

"""Exported rows as files: JSON lines or Parquet, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from app.errors import BadRequest, StorageFailed
from app.ratings.export import EXPORT_COLUMNS, Row

BATCH = 10_000
FORMATS = ("jsonl", "parquet")
_PARQUET = b"PAR1"


def write_rows(rows: Iterable[Row], path: Path, form: str) -> int:
    """Write ``jsonl`` or ``parquet``; returns the number of rows. A file of this name is replaced
    when the new one is complete. Raises :class:`StorageFailed` where it cannot be written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        number = (_write_parquet if form == "parquet" else _write_jsonl)(rows, draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StorageFailed(
            f"{path} cannot be written: {error.strerror or error}.",
            "Make space, or choose another file with --out.",
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return number


def _write_jsonl(rows: Iterable[Row], path: Path) -> int:
    number = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            number += 1
    return number


def _write_parquet(rows: Iterable[Row], path: Path) -> int:
    # Imported here: a large library that the other format does without.
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "text": pa.string(),
        "list": pa.list_(pa.string()),
    }
    schema = pa.schema([(name, types[holds]) for name, holds in EXPORT_COLUMNS.items()])
    number = 0
    with path.open("wb") as file, pq.ParquetWriter(file, schema) as writer:
        rest = iter(rows)
        while batch := list(islice(rest, BATCH)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            number += len(batch)
    return number


def read_rows(path: Path) -> Iterator[Any]:
    """The rows of an exported file, whichever its format. Raises :class:`BadRequest`."""
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == _PARQUET
        yield from _read_parquet(path) if is_parquet else _read_jsonl(path)
    except (OSError, ValueError) as error:
        raise BadRequest(
            f"{path} cannot be read: {error}.",
            "Give a file that python app.py export ratings has written.",
        ) from error


def _read_jsonl(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _read_parquet(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH):
            yield from batch.to_pylist()

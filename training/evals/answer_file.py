"""Answer files: one line for each question, written as answers come, complete and in order at last.

``{"question_id", "prompt", "text", "answer_id", "model_id", "metadata"}``, as LLaVA's evaluation
writes them. An ``answer_id`` follows from question, model and text, so that the same answers make
the same file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from training.evals.rows import Row, read_rows, write_rows


def answer_row(
    question_id: str, prompt: str, text: str, model: str, metadata: Mapping[str, Any]
) -> Row:
    """One line of an answer file."""
    content = json.dumps([question_id, model, text], ensure_ascii=False).encode()
    return {
        "question_id": question_id,
        "prompt": prompt,
        "text": text,
        "answer_id": hashlib.sha256(content).hexdigest()[:22],
        "model_id": model,
        "metadata": dict(metadata),
    }


class RowFile:
    """A file of rows that grows line by line and knows by ``key`` what it has already.

    Half a last line, left by a run that was killed, is cut off. Raises
    :class:`llava_core.training.records.DataError` where what is there cannot be read.
    """

    def __init__(self, path: Path, key: str = "question_id") -> None:
        self.path, self._key = path, key
        self.rows: dict[str, Row] = {}
        if path.exists():
            rows = read_rows(path, (key,), "row", key, unfinished=True)
            self.rows = {str(row[key]): row for row in rows}
            if not _ends_whole(path):
                write_rows(path, rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("a", encoding="utf-8")

    def add(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns."""
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows[str(row[self._key])] = row

    def finish(self, order: Iterable[str]) -> None:
        """Bring the rows into this order; rows that it does not name come last."""
        self.close()
        names = [name for name in order if name in self.rows]
        rest = sorted(self.rows.keys() - set(names))
        write_rows(self.path, (self.rows[name] for name in [*names, *rest]))

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._file.close()


def _ends_whole(path: Path) -> bool:
    data = path.read_bytes()
    return not data or data.endswith(b"\n")

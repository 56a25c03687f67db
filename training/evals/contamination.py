"""Whether pictures of a test were trained on: compared by the SHA-256 of their files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llava_core.training.records import DataError, RecordFile
from training.evals.rows import sha256_of


def digests_of(files: Iterable[Path]) -> list[str]:
    """The SHA-256 of each picture file, each once, sorted. Raises :class:`DataError`."""
    return sorted({sha256_of(path) for path in dict.fromkeys(files)})


def pictures_of(data: Path, images: Path, cache: Path) -> list[Path]:
    """The picture files that training JSON names, each once; those that are gone are left out."""
    file = RecordFile(data, cache)
    named: dict[Path, None] = {}
    for number in range(len(file)):
        for name in file[number].images:
            named[images / name] = None
    found = [path for path in named if path.is_file()]
    if named and not found:
        raise DataError(
            f"none of the {len(named)} pictures of {data} is in {images}",
            "Name their folder as --training-images.",
        )
    return found

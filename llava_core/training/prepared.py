"""Training records as token ids, rendered once, kept on disk and read without being loaded.

Each picture is one placeholder; it is expanded to its visual tokens when a sample is taken out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer

from llava_core.errors import TemplateError
from llava_core.templates import Renderer
from llava_core.training.locks import one_at_a_time
from llava_core.training.records import DataError, Record, RecordFile, conversation_of

CHUNK = 500
VERSION = 1
MOST_SHOWN = 5
Progress = Callable[[int, int], None]
"""Told how many records are done, of how many."""


@dataclass(frozen=True)
class Rendering:
    """How records become tokens; its fingerprint names the folder in the cache.

    ``tokenizer`` is a folder; ``template`` a Jinja chat template; ``visual_tokens`` how many places
    a picture takes; ``max_tokens`` the longest sample, visual tokens included.
    """

    tokenizer: str
    template: str
    image_token: str
    visual_tokens: int
    max_tokens: int

    def renderer(self) -> Renderer:
        """The one renderer, as in serving."""
        tokenizer = AutoTokenizer.from_pretrained(self.tokenizer)
        return Renderer(tokenizer, self.template, self.image_token)

    def fingerprint(self, data: Path) -> str:
        """Changes with the data, the tokenizer, the template and the lengths."""
        about = data.stat()
        settings = asdict(self) | {"tokenizer": _content_of(Path(self.tokenizer))}
        parts = [str(data.resolve()), about.st_size, about.st_mtime_ns, VERSION, settings]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _content_of(folder: Path) -> dict[str, str]:
    """The files of a folder, by name, as hashes: the same wherever it lies."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@dataclass(frozen=True)
class TokenSample:
    """``ids`` (T,) with visual tokens expanded; ``mask`` (T,) True on what is learnt; ``pictures``
    the numbers of its pictures among the set's names, in order."""

    ids: NDArray[np.int64]
    mask: NDArray[np.bool_]
    pictures: tuple[int, ...]


@dataclass
class Cut:
    """What did not fit into ``max_tokens``: samples cut, answer tokens lost, samples left out."""

    samples: int = 0
    answer_tokens: int = 0
    left_out: list[int] = field(default_factory=list)


class Prepared:
    """A rendered set. ``numbers[i]`` is the record of sample i, ``names`` its pictures' paths."""

    def __init__(self, folder: Path) -> None:
        about = json.loads((folder / "about.json").read_text())
        self.visual_tokens: int = about["visual_tokens"]
        self.image_token_id: int = about["image_token_id"]
        self.cut = Cut(**about["cut"])
        self.names: list[str] = json.loads((folder / "names.json").read_text())
        self._ids = _read(folder, "ids")
        self._mask = _read(folder, "mask")
        self._starts = np.load(folder / "starts.npy")
        self._pictures = _read(folder, "pictures")
        self._picture_starts = np.load(folder / "picture_starts.npy")
        self.numbers: NDArray[np.int64] = np.load(folder / "numbers.npy")
        self.answer_tokens: NDArray[np.int64] = np.load(folder / "answers.npy")
        self.lengths: NDArray[np.int64] = np.diff(self._starts) + np.diff(self._picture_starts) * (
            self.visual_tokens - 1
        )
        """Tokens of each sample, visual tokens included."""

    def __len__(self) -> int:
        return len(self.numbers)

    def sample(self, index: int) -> TokenSample:
        """Sample ``index`` with its visual tokens in place."""
        part = slice(self._starts[index], self._starts[index + 1])
        ids, mask = self._ids[part].astype(np.int64), self._mask[part]
        repeats = np.where(ids == self.image_token_id, self.visual_tokens, 1)
        at = slice(self._picture_starts[index], self._picture_starts[index + 1])
        pictures = tuple(int(number) for number in self._pictures[at])
        return TokenSample(np.repeat(ids, repeats), np.repeat(mask, repeats), pictures)


def prepare(
    data: Path, rendering: Rendering, cache: Path, progress: Progress | None = None
) -> Prepared:
    """The rendered set, from the cache where it is there.

    Raises :class:`DataError` for records that cannot be used, naming the first of them.
    """
    folder = cache / "tokens" / rendering.fingerprint(data)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(folder.parent / "lock"):
        if not folder.exists():
            _make(folder, RecordFile(data, cache / "records"), rendering, progress)
    return Prepared(folder)


def _make(folder: Path, file: RecordFile, rendering: Rendering, progress: Progress | None) -> None:
    """The folder appears when it is whole."""
    draft = folder.with_suffix(".tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        _write(file, rendering, draft, progress)
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def truncate(ids: Sequence[int], image_token_id: int, visual_tokens: int, most: int) -> int:
    """How many of ``ids`` (one placeholder a picture) fit into ``most`` tokens.

    A picture that does not fit whole is left out with all that follows it: visual tokens are never
    cut into.
    """
    costs = np.where(np.asarray(ids) == image_token_id, visual_tokens, 1)
    return int(np.searchsorted(np.cumsum(costs), most, side="right"))


# --- rendering ------------------------------------------------------------------------------------

_Row = tuple[int, list[int], list[bool], tuple[str, ...], int]
"""Record number, ids, mask, pictures, answer tokens lost."""
_Bad = tuple[int, str]
_renderer: Renderer | None = None
_rendering: Rendering | None = None


def _start_worker(rendering: Rendering) -> None:
    global _renderer, _rendering
    _renderer, _rendering = rendering.renderer(), rendering


def _render_chunk(records: list[Record | _Bad]) -> list[_Row | _Bad]:
    assert _renderer is not None and _rendering is not None
    return [
        _render(record, _renderer, _rendering) if isinstance(record, Record) else record
        for record in records
    ]


def _render(record: Record, renderer: Renderer, rendering: Rendering) -> _Row | _Bad:
    number = record.number or 0
    try:
        rendered = renderer.render(conversation_of(record), generation_prompt=False)
    except (DataError, TemplateError) as error:
        return number, str(error)
    ids, mask = rendered.token_ids, rendered.loss_mask
    kept = truncate(ids, renderer.image_token_id, rendering.visual_tokens, rendering.max_tokens)
    shown = ids[:kept].count(renderer.image_token_id)
    return number, ids[:kept], mask[:kept], record.images[:shown], sum(mask[kept:])


def _records(file: RecordFile) -> Iterator[Record | _Bad]:
    for number in range(len(file)):
        try:
            yield file[number]
        except DataError as error:
            yield number, str(error)


def _chunks(file: RecordFile) -> Iterator[list[Record | _Bad]]:
    records = _records(file)
    while chunk := list(islice(records, CHUNK)):
        yield chunk


def _rendered(file: RecordFile, rendering: Rendering) -> Iterator[list[_Row | _Bad]]:
    """All rows in order; on all cores where there are many."""
    cores = min(os.cpu_count() or 1, -(-len(file) // CHUNK))
    if cores == 1:
        _start_worker(rendering)
        yield from map(_render_chunk, _chunks(file))
        return
    with ProcessPoolExecutor(cores, initializer=_start_worker, initargs=(rendering,)) as pool:
        waiting = []
        for chunk in _chunks(file):
            waiting.append(pool.submit(_render_chunk, chunk))
            if len(waiting) > 2 * cores:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _write(file: RecordFile, rendering: Rendering, folder: Path, progress: Progress | None) -> None:
    places: dict[str, int] = {}
    bad: list[_Bad] = []
    cut = Cut()
    columns: dict[str, list[Any]] = {
        name: [] for name in ("starts", "picture_starts", "numbers", "answers")
    }
    totals = [0, 0]
    files = {name: (folder / f"{name}.bin").open("wb") for name in ("ids", "mask", "pictures")}
    done = 0
    for rows in _rendered(file, rendering):
        for row in rows:
            if len(row) == 2:
                bad.append(row)
                continue
            number, ids, mask, pictures, lost = row
            cut.samples += lost > 0
            cut.answer_tokens += lost
            if not any(mask[1:]):
                cut.left_out.append(number)
                continue
            numbers = [places.setdefault(name, len(places)) for name in pictures]
            files["ids"].write(np.asarray(ids, np.uint32).tobytes())
            files["mask"].write(np.asarray(mask, np.bool_).tobytes())
            files["pictures"].write(np.asarray(numbers, np.uint32).tobytes())
            columns["starts"].append(totals[0])
            columns["picture_starts"].append(totals[1])
            columns["numbers"].append(number)
            columns["answers"].append(sum(mask[1:]))
            totals[0] += len(ids)
            totals[1] += len(numbers)
        done += len(rows)
        if progress:
            progress(done, len(file))
    for opened in files.values():
        opened.close()
    _refuse(bad, len(file), file.path)
    columns["starts"].append(totals[0])
    columns["picture_starts"].append(totals[1])
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", np.asarray(column, np.int64))
    about = {
        "visual_tokens": rendering.visual_tokens,
        "image_token_id": rendering.renderer().image_token_id,
        "cut": asdict(cut),
    }
    (folder / "names.json").write_text(json.dumps(list(places)))
    (folder / "about.json").write_text(json.dumps(about))


def _refuse(bad: list[_Bad], number: int, path: Path) -> None:
    if not bad:
        return
    first = "; ".join(message for _, message in bad[:MOST_SHOWN])
    raise DataError(
        f"{len(bad)} of {number} records of {path} cannot be used: {first}",
        f"See all of them with: python -m training.check {path}; --fix writes the clean rest.",
    )


def _read(folder: Path, name: str) -> NDArray[Any]:
    path = folder / f"{name}.bin"
    kind: Any = np.bool_ if name == "mask" else np.uint32
    if not path.stat().st_size:
        return np.zeros(0, kind)
    return np.memmap(path, kind, "r")

"""Training records as token ids, rendered once and kept in flat arrays."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from llava_core.conversation import Conversation, Message, assistant
from llava_core.templates import Renderer
from training.instructions import Record, images_of, picture_index
from training.samples import Sample, placeholder_parts

CHUNK = 1000


@dataclass(frozen=True)
class TokenStore:
    """Records one after another: ``ids`` and ``mask`` (tokens,), ``starts`` (records + 1,).

    Each picture is one placeholder; it is expanded when a sample is taken out.
    """

    ids: NDArray[np.uint16]
    mask: NDArray[np.bool_]
    starts: NDArray[np.int64]
    kinds: list[tuple[str, ...]]
    pictures: list[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.kinds)

    def length(self, index: int, visual_tokens: int) -> int:
        """Tokens of a record with its visual tokens."""
        text = int(self.starts[index + 1] - self.starts[index])
        return text + len(self.pictures[index]) * (visual_tokens - 1)

    def sample(self, index: int, image_token_id: int, visual_tokens: int) -> Sample:
        """A record as a sample, each placeholder repeated ``visual_tokens`` times."""
        part = slice(self.starts[index], self.starts[index + 1])
        ids, mask = self.ids[part], self.mask[part]
        repeats = np.where(ids == image_token_id, visual_tokens, 1)
        return Sample(
            np.repeat(ids, repeats).tolist(),
            np.repeat(mask, repeats).tolist(),
            self.kinds[index],
            self.pictures[index],
        )

    def save(self, path: Path) -> None:
        """Write to ``path`` (npz), whole or not at all."""
        words = json.dumps([self.kinds, self.pictures]).encode()
        draft = path.with_suffix(".part.npz")
        np.savez(
            draft,
            ids=self.ids,
            mask=self.mask,
            starts=self.starts,
            words=np.frombuffer(words, np.uint8),
        )
        os.replace(draft, path)

    @classmethod
    def load(cls, path: Path) -> TokenStore:
        """What :meth:`save` wrote."""
        with np.load(path) as file:
            kinds, pictures = json.loads(file["words"].tobytes())
            return cls(
                file["ids"],
                file["mask"],
                file["starts"],
                [tuple(kind) for kind in kinds],
                [tuple(picture) for picture in pictures],
            )


def record_messages(record: Record) -> tuple[Message, ...]:
    """A LLaVA training record as messages."""
    messages = []
    for turn in record["conversations"]:
        if turn["from"] == "human":
            messages.append(Message("user", placeholder_parts(turn["value"])))
        else:
            messages.append(assistant(turn["value"]))
    return tuple(messages)


_Row = tuple[list[int], list[bool], tuple[str, ...], tuple[int, ...]]


def _render(work: tuple[str, Sequence[Record]]) -> list[_Row]:
    folder, records = work
    renderer = Renderer(PreTrainedTokenizerFast.from_pretrained(folder))
    rows = []
    for record in records:
        conversation = Conversation(record_messages(record))
        rendered = renderer.render(conversation, generation_prompt=False)
        pictures = tuple(picture_index(name) for name in images_of(record))
        rows.append((rendered.token_ids, rendered.loss_mask, tuple(record["kinds"]), pictures))
    return rows


def render_records(records: Sequence[Record], tokenizer: Path) -> Iterator[list[_Row]]:
    """Rendered records in order, in chunks, on all cores."""
    work = [(str(tokenizer), records[i : i + CHUNK]) for i in range(0, len(records), CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(_render, work)


def build_store(chunks: Iterable[list[_Row]]) -> TokenStore:
    """Put rendered records into flat arrays."""
    ids, mask, starts, kinds, pictures = [], [], [0], [], []
    for rows in chunks:
        for row_ids, row_mask, row_kinds, row_pictures in rows:
            ids.append(np.asarray(row_ids, np.uint16))
            mask.append(np.asarray(row_mask, np.bool_))
            starts.append(starts[-1] + len(row_ids))
            kinds.append(row_kinds)
            pictures.append(row_pictures)
    return TokenStore(
        np.concatenate(ids), np.concatenate(mask), np.asarray(starts), kinds, pictures
    )

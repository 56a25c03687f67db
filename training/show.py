"""Samples of a training set as the model reads them, on one page.

``python -m training.show DATA --images DIR`` writes an HTML file that needs nothing else: each
sample with its pictures and its text token by token, coloured by what is learnt. Ends with 0, or
with 2 where it cannot run.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_core.conversation import Conversation
from llava_core.errors import CoreError
from llava_core.training.records import DataError, RecordFile, conversation_of, open_picture
from training.data_urls import data_url
from training.entry import interruptible
from training.measure import BUNDLED, Measure, load_measure
from training.show_page import page
from training.writing import whole_file


@dataclass(frozen=True)
class Piece:
    """One token, or the visual tokens of one picture.

    ``text`` is what it adds to the text (empty for the later bytes of one character); ``visual``
    is the number of visual tokens, 0 for a token of text.
    """

    id: int
    text: str
    learnt: bool
    special: bool = False
    visual: int = 0


@dataclass(frozen=True)
class Shown:
    """One sample: its pictures as ``data:`` URLs, its pieces; or why it cannot be shown."""

    record: int
    id: str
    pictures: tuple[str, ...] = ()
    pieces: tuple[Piece, ...] = ()
    trouble: str = ""

    def count(self) -> tuple[int, int, int]:
        """Visual tokens, tokens of the prompt, and tokens that are learnt."""
        visual = sum(piece.visual for piece in self.pieces)
        learnt = sum(piece.learnt for piece in self.pieces)
        texts = sum(not piece.visual for piece in self.pieces)
        return visual, texts - learnt, learnt


def pieces_of(measure: Measure, conversation: Conversation) -> tuple[Piece, ...]:
    """The conversation token by token; the texts together are the rendered text.

    Raises :class:`llava_core.errors.TemplateError`.
    """
    rendered = measure.renderer.render(conversation, generation_prompt=False)
    tokenizer: Any = measure.renderer.tokenizer
    encoded = tokenizer(
        rendered.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    ends = [end for _, end in encoded["offset_mapping"]]
    ends = [0] * (len(rendered.token_ids) - len(ends)) + ends  # a first token of the tokenizer's
    special = set(tokenizer.all_special_ids)
    pieces, position = [], 0
    for token, learnt, end in zip(rendered.token_ids, rendered.loss_mask, ends, strict=True):
        text = rendered.text[position : max(end, position)]
        position = max(end, position)
        visual = measure.visual_tokens if token == measure.renderer.image_token_id else 0
        pieces.append(Piece(token, text, learnt, token in special, visual))
    return tuple(pieces)


def sample(file: RecordFile, images: Path, measure: Measure, number: int, seed: int) -> list[Shown]:
    """``number`` records of the file, drawn with ``seed``, in their order."""
    chosen = random.Random(seed).sample(range(len(file)), min(number, len(file)))
    return [_shown(file, images, measure, index) for index in sorted(chosen)]


def _shown(file: RecordFile, images: Path, measure: Measure, index: int) -> Shown:
    name = ""
    try:
        record = file[index]
        name = record.id
        conversation = conversation_of(record, lambda path: open_picture(images, path))
        pieces = pieces_of(measure, conversation)
    except (DataError, CoreError) as error:
        return Shown(index, name, trouble=str(error))
    pictures = tuple(data_url(image) for image in conversation.images)
    return Shown(index, name, pictures, pieces)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.show", description=__doc__)
    parser.add_argument("data", type=Path, help="LLaVA's training records, .json or .jsonl")
    parser.add_argument("--images", type=Path, help="folder of the pictures; default: DATA's")
    parser.add_argument("--model", type=Path, default=BUNDLED, help="checkpoint or tokenizer")
    parser.add_argument("--template", help="named chat template, instead of the checkpoint's own")
    parser.add_argument("--number", type=int, default=20, help="samples")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--output", type=Path, default=Path("show.html"), help="the page")
    parser.add_argument("--cache", type=Path, help="for a .json's lines; default: .cache there")
    options = parser.parse_args(arguments)
    if options.number < 1:
        parser.error(f"--number {options.number} shows nothing: give at least 1")
    if options.output.suffix != ".html":
        parser.error(f"--output {options.output} is no page: give it a name that ends with .html")
    options.images = options.images or options.data.parent
    options.cache = options.cache or options.data.parent / ".cache"
    return options


@interruptible("no page was written.")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parse(arguments)
    try:
        measure = load_measure(options.model, options.template)
        file = RecordFile(options.data, options.cache)
        shown = sample(file, options.images, measure, options.number, options.seed)
        with whole_file(options.output) as output:
            output.write(page(options.data.name, len(file), options.model.name, shown))
    except (DataError, CoreError, OSError) as error:
        print(f"training.show: {error}", file=sys.stderr)
        return 2
    print(f"{len(shown)} of {len(file):,} records in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

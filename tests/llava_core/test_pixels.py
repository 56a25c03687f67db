"""Processed pictures are kept for as long as the pictures are, in a limit of bytes."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from llava_core.conversation import Conversation, assistant, user
from llava_core.loading import load_checkpoint
from llava_core.pixels import PixelCache
from tests.tiny_checkpoint import make_tiny_checkpoint


class Processor:
    """Counts how often it is asked; a picture becomes its width, 100 bytes for each."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, images: list[Image.Image]) -> dict[str, Any]:
        self.asked += 1
        return {"pixel_values": torch.tensor([[image.width] * 25 for image in images]).float()}


def blank(width: int = 1) -> Image.Image:
    return Image.new("RGB", (width, 1))


def test_the_same_pictures_are_processed_once() -> None:
    cache, process, one, two = PixelCache(), Processor(), blank(1), blank(2)
    first = cache.processed([one, two], process)
    assert cache.processed([one, two], process) is first and process.asked == 1
    assert cache.processed([two, one], process)["pixel_values"][0, 0] == 2, "order counts"
    assert cache.processed([one], process)["pixel_values"].shape == (1, 25)
    assert process.asked == 3


def test_an_equal_picture_is_another_one() -> None:
    cache, process = PixelCache(), Processor()
    for _ in range(5):  # the first is gone when the next is made, perhaps at the same place
        made = cache.processed([blank(process.asked)], process)
        assert made["pixel_values"][0, 0] == process.asked - 1
    assert process.asked == 5


def test_the_longest_unused_go_and_the_bytes_are_counted() -> None:
    cache, process = PixelCache(limit=200), Processor()
    one, two, three = blank(), blank(), blank()
    for image in (one, two, one, three, one):
        cache.processed([image], process)
    assert process.asked == 3 and cache.bytes == 200
    cache.processed([two], process)
    assert process.asked == 4
    big = [blank() for _ in range(3)]
    cache.processed(big, process)
    assert cache.bytes == 0, "what does not fit is not kept"


def test_a_second_turn_processes_no_picture_again(tmp_path: Any, monkeypatch: Any) -> None:
    checkpoint = load_checkpoint(make_tiny_checkpoint(tmp_path / "tiny"), "32bit", "cpu")
    picture = Image.linear_gradient("L").convert("RGB")
    first = checkpoint.prepare(Conversation((user("What?", picture),)))
    monkeypatch.setattr(type(checkpoint.processor.image_processor), "__call__", None)
    longer = Conversation((user("What?", picture), assistant("A star."), user("And?")))
    again = checkpoint.prepare(longer)
    assert torch.equal(first.pictures["pixel_values"], again.pictures["pixel_values"])

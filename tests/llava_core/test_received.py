"""What a model receives of a picture, turned back into colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from llava_core.received import Received, received
from tests.llava_core.test_views import CROPPED, PADDED, STRETCHED, TILED


def seen(processor: Any, picture: Image.Image) -> Received:
    pixels = processor([picture], return_tensors="np")["pixel_values"]
    return received(processor, picture, pixels, 7)


@pytest.fixture
def halves() -> Image.Image:
    """Red at the left, blue at the right, twice as wide as high."""
    picture = Image.new("RGB", (256, 128), (200, 10, 20))
    picture.paste((10, 20, 200), (128, 0, 256, 128))
    return picture


@pytest.mark.parametrize("processor", [CROPPED, STRETCHED, PADDED])
def test_one_square_in_the_pictures_own_colours(processor: Any, halves: Image.Image) -> None:
    told = seen(processor, halves)
    (frame,) = told.frames
    assert (frame.size, told.columns, told.visual_tokens) == ((64, 64), 0, 7)
    assert frame.getpixel((5, 32)) == pytest.approx((200, 10, 20), abs=1)
    assert frame.getpixel((58, 32)) == pytest.approx((10, 20, 200), abs=1)


def test_what_is_padded_has_the_processors_mean_colour(halves: Image.Image) -> None:
    (frame,) = seen(PADDED, halves).frames
    mean = np.asarray(PADDED.image_mean) * 255
    assert frame.getpixel((32, 2)) == pytest.approx(mean, abs=2)


def test_tiles_follow_the_whole_picture_row_by_row(halves: Image.Image) -> None:
    told = seen(TILED, halves)
    whole, left, right = told.frames
    assert told.columns == 2
    assert whole.getpixel((5, 32))[0] > 190 and whole.getpixel((58, 32))[2] > 190
    assert left.getpixel((40, 32)) == pytest.approx((200, 10, 20), abs=1)
    assert right.getpixel((20, 32)) == pytest.approx((10, 20, 200), abs=1)

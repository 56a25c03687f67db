"""What a vision tower sees of a picture, by the pixels that its processor makes."""

from __future__ import annotations

from typing import Any

import pytest
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)

from llava_core.views import WHOLE, View, view_of

SIDE = {"height": 64, "width": 64}
SHORT = {"shortest_edge": 64}
CROPPED = CLIPImageProcessorPil(size=SHORT, crop_size=SIDE)
STRETCHED = CLIPImageProcessorPil(size=SIDE, do_center_crop=False, do_normalize=False)
PADDED = LlavaImageProcessorPil(size=SHORT, crop_size=SIDE, do_pad=True)
TILED = LlavaNextImageProcessorPil(size=SHORT, crop_size=SIDE, image_grid_pinpoints=[[64, 128]])


@pytest.mark.parametrize(
    ("processor", "width", "height", "expected"),
    [
        (CROPPED, 640, 480, (0.125, 0, 0.875, 1)),
        (CROPPED, 480, 640, (0, 0.125, 1, 0.875)),
        (STRETCHED, 640, 480, WHOLE),
        (PADDED, 640, 480, (0, -1 / 6, 1, 7 / 6)),
        (PADDED, 30, 120, (-1.5, 0, 2.5, 1)),
        (TILED, 640, 480, WHOLE),
    ],
)
def test_crop_padding_and_stretching_are_seen(
    processor: Any, width: int, height: int, expected: View
) -> None:
    size = max(right - left for left, right in ((expected[0], expected[2]), (0, 1)))
    assert view_of(processor, width, height) == pytest.approx(expected, abs=0.015 * size)


def test_a_picture_too_narrow_to_tell_counts_as_whole() -> None:
    assert view_of(PADDED, 1, 100_000) == WHOLE

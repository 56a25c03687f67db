"""The picture processor of a vision tower: the originals' exact pixels, made with Pillow.

Every tower's settings become a processor that transformers' LLaVA processor knows and that gives
``pixel_values`` alone: squares of one size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor, BaseImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from llava_core.errors import CheckpointError

_SHAPES = ((24, 40), (40, 24), (32, 32))
"""Width and height of the blank pictures by which a processor is tried."""


def load_image_processor(folder: Path) -> BaseImageProcessor:
    """The checkpoint's picture processor, with Pillow's arithmetic.

    Raises :class:`CheckpointError` where the folder has no settings for it.
    """
    load: Any = AutoImageProcessor.from_pretrained
    try:
        images = load(folder, backend="pil")
    except (ValueError, OSError, ImportError) as error:
        raise CheckpointError(
            f"{folder.name} has no settings of a picture processor that can be read: {error}",
            "Copy preprocessor_config.json beside the weights.",
        ) from error
    if isinstance(images, SamImageProcessorPil):
        return _without_masks(images)
    assert isinstance(images, BaseImageProcessor)
    return images


def _without_masks(sam: Any) -> CLIPImageProcessorPil:
    """SAM's preprocessing (Segment Anything, section A: longest side resized, padded to a square
    at the right and the bottom) by the processor that gives nothing but ``pixel_values``.

    SAM's own also gives the original sizes, for its masks; LLaVA has no use for them. The shorter
    side may differ by one pixel where its size falls between two.
    """
    side, padded = int(sam.size["longest_edge"]), dict(sam.pad_size)
    return CLIPImageProcessorPil(
        do_resize=sam.do_resize,
        size={"shortest_edge": side, "longest_edge": side},
        resample=sam.resample,
        do_center_crop=False,
        crop_size=padded,
        do_rescale=sam.do_rescale,
        rescale_factor=sam.rescale_factor,
        do_normalize=sam.do_normalize,
        image_mean=sam.image_mean,
        image_std=sam.image_std,
        do_pad=True,
        pad_size=padded,
        do_convert_rgb=sam.do_convert_rgb,
    )


def picture_size(images: BaseImageProcessor, name: str) -> int:
    """Pixels of a side of what the processor gives, for pictures of any shape.

    Raises :class:`CheckpointError` where it does not give squares of one size.
    """
    run: Any = images
    shapes = set()
    for width, height in _SHAPES:
        made = run(Image.new("RGB", (width, height)), return_tensors="np")["pixel_values"]
        shapes.add(np.asarray(made).shape[-2:])
    (height, width) = next(iter(shapes))
    if len(shapes) > 1 or height != width:
        raise CheckpointError(
            f"the picture processor of {name} gives pictures of different shapes, such as "
            f"{width} x {height} pixels",
            "Set do_center_crop and crop_size, or a size of height and width, in "
            "preprocessor_config.json.",
        )
    return int(height)


def with_size(images: BaseImageProcessor, old: int, new: int) -> BaseImageProcessor:
    """The same processor giving pictures of ``new`` instead of ``old`` pixels a side.

    What it cuts off keeps its share: DINOv2's 256 pixels cropped to 224 become 512 cropped to 448.
    """
    settings = images.to_dict()
    for name in ("size", "crop_size", "pad_size"):
        if settings.get(name):
            settings[name] = {k: round(v * new / old) for k, v in dict(settings[name]).items()}
    rebuilt: BaseImageProcessor = type(images).from_dict(settings)
    return rebuilt

"""A picture as a model receives it, as it travels."""

from __future__ import annotations

import io

from PIL import Image

from app.pictures import data_url
from app.received import ReceivedPicture
from llava_core.model import Checkpoint

FEW = 10
"""More frames than this travel as WebP of quality 90; fewer keep every pixel as it is."""


def received_picture(checkpoint: Checkpoint, model: str, picture: Image.Image) -> ReceivedPicture:
    """What the checkpoint's vision tower is given of the picture; takes as long as preparing it."""
    received = checkpoint.receives(picture)
    lossy = len(received.frames) > FEW
    return ReceivedPicture(
        model=model,
        width=picture.width,
        height=picture.height,
        side=received.frames[0].width,
        frames=[_url(frame, lossy) for frame in received.frames],
        columns=received.columns,
        view=received.view,
        visual_tokens=received.visual_tokens,
    )


def _url(frame: Image.Image, lossy: bool) -> str:
    buffer = io.BytesIO()
    if lossy:
        frame.save(buffer, "WEBP", quality=90)
        return data_url(buffer.getvalue(), "image/webp")
    frame.save(buffer, "PNG", compress_level=3)
    return data_url(buffer.getvalue(), "image/png")

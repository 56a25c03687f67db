"""A picture as a model receives it, as it travels from worker to page."""

from __future__ import annotations

from app.protocol import Wire


class ReceivedPicture(Wire):
    """The answer to a worker's ``POST /v1/received``, passed on by the controller.

    ``width``, ``height``: of the picture itself. ``frames``: ``data:`` URLs of the squares that
    the tower sees, ``side`` pixels each, the whole picture first, then its tiles row by row,
    ``columns`` in a row (0: no tiles). ``view``: what the first frame shows of the picture, as
    left, top, right, bottom in fractions of it; below 0 and above 1 where it is padded.
    """

    model: str
    width: int
    height: int
    side: int
    frames: list[str]
    columns: int = 0
    view: tuple[float, float, float, float]
    visual_tokens: int

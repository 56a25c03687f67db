"""What each patch of a picture shows: the dense labels on which the vision tower is prepared.

The canvas is divided into ``side`` x ``side`` patches. A patch shows the thing whose disc covers
its centre, or whose own centre lies in the patch; everything else is page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.scenes import COLOURS, KINDS, SIZES, Scene

PAGE = len(KINDS)
"""Label of a patch without a thing, on the scale of :data:`training.scenes.KINDS`."""
IGNORED = -100
ATTRIBUTES = {"kind": PAGE + 1, "colour": len(COLOURS), "size": len(SIZES), "row": 3, "column": 3}
"""Names of the labels with their numbers of classes; "centre" (2) is added by itself."""
LABELS = (*ATTRIBUTES, "centre")


@dataclass(frozen=True)
class Grid:
    """Labels of one picture's patches, in raster order.

    ``labels``: (patches, 6) int64 in the order of :data:`LABELS`; ``offset``: (patches, 2) float32,
    from the patch to its thing's centre in shares of the canvas; ``owner``: (patches,) index of the
    thing in the scene, -1 for page.
    """

    labels: NDArray[np.int64]
    offset: NDArray[np.float32]
    owner: NDArray[np.int64]


def grid_of(scene: Scene, side: int = 8) -> Grid:
    """The labels of all ``side * side`` patches of a scene."""
    patches = side * side
    labels = np.full((patches, len(LABELS)), IGNORED, np.int64)
    labels[:, 0] = PAGE
    labels[:, 5] = 0
    offset = np.zeros((patches, 2), np.float32)
    owner = np.full(patches, -1, np.int64)
    steps = (np.arange(side) + 0.5) / side
    xs, ys = np.tile(steps, side), np.repeat(steps, side)
    for index, thing in enumerate(scene.things):
        dx, dy = thing.x - xs, thing.y - ys
        covered = dx**2 + dy**2 < (0.9 * thing.radius) ** 2
        centre = min(int(thing.y * side), side - 1) * side + min(int(thing.x * side), side - 1)
        covered[centre] = True
        labels[covered, :5] = (
            KINDS.index(thing.kind),
            COLOURS.index(thing.colour),
            SIZES.index(thing.size),
            thing.row,
            thing.column,
        )
        labels[centre, 5] = 1
        offset[covered] = np.stack([dx, dy], 1)[covered]
        owner[covered] = index
    return Grid(labels, offset, owner)

"""Many scenes at once: drawn into one array, with their dense labels, on all cores."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from training.drawing import draw
from training.grid import grid_of
from training.scenes import Scene, Thing, sample_scene
from training.tower import TowerData

PIXELS = 96
CHUNK = 500


def sample_scenes(seed: int, number: int, crowded: bool = False) -> list[Scene]:
    """``number`` scenes; crowded ones hold about nine things (only for the vision tower)."""
    rng = random.Random(seed)
    return [sample_scene(rng, rng.randint(6, 11) if crowded else None) for _ in range(number)]


def clear_scenes(seed: int, number: int) -> list[Scene]:
    """``number`` scenes of two to five things whose places and order leave no doubt."""
    rng = random.Random(seed)
    return [sample_scene(rng, rng.randint(2, 5), clear=True) for _ in range(number)]


def scenes_with_nothings(seed: int, number: int, share: float) -> list[Scene]:
    """``number`` scenes, of which ``share`` show nothing that the world knows."""
    rng = random.Random(seed)
    return [sample_scene(rng, nothing_share=share) for _ in range(number)]


def _draw_chunk(scenes: list[Scene]) -> NDArray[np.uint8]:
    return np.stack([draw(scene, PIXELS) for scene in scenes])


def draw_pictures(scenes: list[Scene], path: Path) -> Iterator[int]:
    """Draw all scenes into ``path`` (npy, uint8 (N, 96, 96, 3)); yields how many are done.

    The file appears under its name only when it is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    array = open_memmap(draft, "w+", np.uint8, (len(scenes), PIXELS, PIXELS, 3))
    chunks = [scenes[start : start + CHUNK] for start in range(0, len(scenes), CHUNK)]
    done = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for pictures in pool.map(_draw_chunk, chunks):
            array[done : done + len(pictures)] = pictures
            done += len(pictures)
            yield done
    array.flush()
    os.replace(draft, path)


def dense_labels(scenes: list[Scene], pictures: NDArray[np.uint8], side: int = 8) -> TowerData:
    """Pictures together with the labels of their patches."""
    grids = [grid_of(scene, side) for scene in scenes]
    return TowerData(
        pictures, np.stack([g.labels for g in grids]), np.stack([g.offset for g in grids])
    )


def write_scenes(scenes: list[Scene], path: Path) -> None:
    """Scenes as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for scene in scenes:
            file.write(json.dumps(asdict(scene)) + "\n")


def read_scenes(path: Path) -> list[Scene]:
    """What :func:`write_scenes` wrote."""
    scenes = []
    with path.open() as file:
        for line in file:
            record = json.loads(line)
            record["things"] = tuple(Thing(**thing) for thing in record["things"])
            scenes.append(Scene(**record))
    return scenes

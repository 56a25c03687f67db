"""The page's example pictures: as committed, in the world's rules, with questions it can answer."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.examples import EXAMPLES, FOLDER, PIXELS, Example, write_examples
from training.questions import turn_of
from training.scenes import RADII

NAMES = [example.name for example in EXAMPLES]


def test_the_examples_cover_what_the_model_can_be_asked() -> None:
    kinds = {example.kind for example in EXAMPLES}
    assert kinds == {"colour", "count", "place", "describe", "larger", "nothing"}


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_each_question_is_one_that_has_a_right_answer(example: Example) -> None:
    rng = random.Random(0)
    kind = "list" if example.kind == "nothing" else example.kind
    turns = [turn_of(kind, example.scene, rng) for _ in range(3000)]
    assert example.question in {turn.question for turn in turns if turn is not None}


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_things_keep_to_the_sizes_and_distances_of_the_training_scenes(example: Example) -> None:
    things = example.scene.things
    for thing in things:
        low, high = RADII[thing.size]
        assert low <= thing.radius <= high and thing.clear
        assert thing.radius < min(thing.x, thing.y, 1 - thing.x, 1 - thing.y)
    for index, first in enumerate(things):
        for second in things[:index]:
            distance = np.hypot(first.x - second.x, first.y - second.y)
            assert distance > 1.05 * (first.radius + second.radius)


def test_the_committed_files_are_what_the_code_draws(tmp_path: Path) -> None:
    for fresh in write_examples(tmp_path):
        kept = FOLDER / fresh.name
        if fresh.suffix == ".json":
            assert json.loads(kept.read_text()) == json.loads(fresh.read_text())
            continue
        with Image.open(kept) as old, Image.open(fresh) as new:
            assert old.size == (PIXELS, PIXELS)
            difference = np.abs(np.asarray(old, float) - np.asarray(new, float))
        assert difference.mean() < 0.5, f"{kept.name} is out of date: python -m training.examples"

"""Shades and pages: every thing can be told from its page and by its colour's name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.scenes import COLOURS
from training.shades import LEAST_CONTRAST, SHADES, pick_page, pick_shade

SEEDS = st.integers(0, 2**31 - 1)

CSS = {
    "red": (255, 0, 0),
    "orange": (255, 165, 0),
    "yellow": (255, 255, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "purple": (128, 0, 128),
    "pink": (255, 182, 193),
    "black": (0, 0, 0),
}
"""https://www.w3.org/TR/css-color-4/#named-colors; "pink" is "lightpink"."""


def test_every_colour_has_shades() -> None:
    assert tuple(SHADES) == COLOURS


@pytest.mark.parametrize("name", COLOURS)
def test_the_named_colour_of_the_web_is_among_the_shades(name: str) -> None:
    rng = np.random.default_rng(0)
    nearest = min(math.dist(pick_shade(name, False, rng)[0], CSS[name]) for _ in range(4000))
    assert nearest < 20


def test_shades_of_two_colours_never_meet() -> None:
    rng = np.random.default_rng(0)
    samples = {
        name: np.array([pick_shade(name, dark, rng)[0] for dark in (False, True) * 400])
        for name in COLOURS
    }
    for first in COLOURS:
        for second in COLOURS:
            if first != second:
                gaps = np.linalg.norm(samples[first][:, None] - samples[second][None], axis=-1)
                assert gaps.min() > 25, (first, second)


@given(seed=SEEDS, dark=st.booleans(), names=st.lists(st.sampled_from(COLOURS), max_size=5))
def test_a_page_differs_from_all_things_on_it(seed: int, dark: bool, names: list[str]) -> None:
    rng = np.random.default_rng(seed)
    if dark:
        names = [name for name in names if name != "black"]
    inks = [pick_shade(name, dark, rng)[0] for name in names]
    page = pick_page(dark, inks, rng)
    assert all(math.dist(page, ink) >= 0.8 * LEAST_CONTRAST for ink in inks)
    assert max(page) < 100 if dark else min(page) > 170


@given(seed=SEEDS, name=st.sampled_from(COLOURS), dark=st.booleans())
def test_details_differ_from_the_thing(seed: int, name: str, dark: bool) -> None:
    main, detail = pick_shade(name, dark, np.random.default_rng(seed))
    assert math.dist(main, detail) > 40
    assert (sum(detail) > sum(main)) == (name == "black")

"""Scenes as pictures: the same each time, every kind and colour told apart, nothing cut off."""

from __future__ import annotations

import itertools
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from training.drawing import draw, draw_image, main
from training.scenes import BACKGROUNDS, COLOURS, FINISHES, KINDS, RADII, Scene, Thing, sample_scene
from training.shapes import SHAPES

Picture = NDArray[np.uint8]
SEEN_TOGETHER = [
    pair for pair in itertools.product(COLOURS, BACKGROUNDS) if pair != ("black", "dark")
]
"""Colours and backgrounds of sampled scenes: black things never stand on dark pages."""


def one(
    kind: str = "circle",
    colour: str = "black",
    size: str = "medium",
    filled: bool = True,
    background: str = "plain",
    finish: str = "sharp",
    seed: int = 0,
) -> Scene:
    """A scene with one thing in the middle."""
    thing = Thing(kind, colour, size, 0.5, 0.5, sum(RADII[size]) / 2, filled)
    return Scene((thing,), background, finish, seed)


def page_of(scene: Scene) -> Picture:
    """The same picture without its things: they are moved out of sight, the page stays."""
    things = tuple(replace(thing, x=-1.0, y=-1.0) for thing in scene.things)
    return draw(replace(scene, things=things))


def ink(scene: Scene, least: float = 60.0) -> NDArray[np.bool_]:
    """Where things stand, with at least this distance in RGB from the page: (96, 96)."""
    difference = draw(scene).astype(float) - page_of(scene)
    return np.asarray(np.linalg.norm(difference, axis=-1) > least)


# --- the same scene, the same pixels --------------------------------------------------------------


def test_the_same_scene_gives_the_same_pixels_again() -> None:
    rng = random.Random(7)
    for scene in [sample_scene(rng, nothing_share=0.3) for _ in range(60)]:
        assert np.array_equal(draw(scene), draw(replace(scene)))


def test_another_seed_gives_other_shades_of_the_same_scene() -> None:
    first, second = draw(one("house", "red")), draw(one("house", "red", seed=1))
    assert not np.array_equal(first, second)
    inked = [ink(one("house", "red", seed=seed)) for seed in (0, 1)]
    assert (inked[0] & inked[1]).sum() > 0.7 * (inked[0] | inked[1]).sum()


@pytest.mark.parametrize("pixels", [32, 96, 384])
def test_pictures_are_as_large_as_asked(pixels: int) -> None:
    for finish, nothing in itertools.product(FINISHES, (None, "photo", "scribble")):
        scene = replace(one(finish=finish), nothing=nothing)
        picture = draw(scene, pixels)
        assert picture.shape == (pixels, pixels, 3) and picture.dtype == np.uint8
    assert draw_image(one(), pixels).mode == "RGB"


def test_a_larger_picture_shows_the_same_scene() -> None:
    scene = one("cat", "purple", "large")
    small, large = draw_image(scene, 96), draw_image(scene, 384)
    difference = np.abs(np.asarray(small, float) - np.asarray(large.reduce(4), float))
    assert difference.mean() < 3


# --- things ---------------------------------------------------------------------------------------


def test_every_kind_has_a_shape() -> None:
    assert set(SHAPES) == set(KINDS)


@pytest.mark.parametrize("size", RADII)
@pytest.mark.parametrize("filled", [True, False])
def test_no_two_kinds_look_alike(size: str, filled: bool) -> None:
    inked = {kind: ink(one(kind, size=size, filled=filled, seed=3)) for kind in KINDS}
    for first, second in itertools.combinations(KINDS, 2):
        changed = (inked[first] ^ inked[second]).sum()
        union = (inked[first] | inked[second]).sum()
        assert changed > 0.12 * union, f"{first} and {second}: {changed} of {union} pixels differ"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ring"])
def test_only_filled_things_cover_their_middle(kind: str) -> None:
    for size, seed in itertools.product(("medium", "large"), range(8)):
        filled, outlined = (
            ink(one(kind, size=size, filled=filled, seed=seed))[48, 48] for filled in (True, False)
        )
        assert filled and not outlined, (size, seed)


def test_a_ring_holds_clearly_more_ink_than_an_outlined_circle() -> None:
    def darkness(scene: Scene) -> float:
        return float((page_of(scene).astype(float) - draw(scene)).sum())

    for size, seed in itertools.product(RADII, range(20)):
        ring, circle = (
            darkness(one(kind, size=size, filled=False, seed=seed)) for kind in ("ring", "circle")
        )
        assert ring > 1.6 * circle, (size, seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filled", [True, False])
def test_things_stay_within_their_radius_and_around_their_centre(kind: str, filled: bool) -> None:
    radius = 96 * sum(RADII["large"]) / 2
    for seed in range(12):
        rows, columns = np.nonzero(ink(one(kind, size="large", filled=filled, seed=seed)))
        for places in (rows, columns):
            assert places.max() - 47.5 < 1.1 * radius and 47.5 - places.min() < 1.1 * radius
            assert abs((places.max() + places.min()) / 2 - 47.5) < 0.25 * radius
        assert max(np.ptp(rows), np.ptp(columns)) > 1.5 * radius


def test_sizes_are_told_apart_by_extent() -> None:
    for kind in KINDS:
        extents = [np.ptp(np.nonzero(ink(one(kind, size=size)))[1]) for size in RADII]
        assert extents[0] * 1.2 < extents[1] and extents[1] * 1.2 < extents[2], kind


def test_things_stand_where_the_scene_says() -> None:
    things = tuple(
        Thing("circle", "black", "small", x, y, 0.07) for x, y in ((0.1, 0.2), (0.8, 0.5))
    )
    inked = ink(Scene(things, "plain", "sharp", 2))
    assert inked[19, 10] and inked[48, 77]
    assert not inked[19, 77] and not inked[48, 10] and not inked[10, 19]


# --- colours --------------------------------------------------------------------------------------


def colour_name(colour: NDArray[np.float64]) -> str:
    """What a person would call an RGB colour (0..255), by rules of thumb of their own."""
    red, green, blue = colour.tolist()
    image = Image.new("RGB", (1, 1), (int(red), int(green), int(blue)))
    hue, saturation, value = np.asarray(image.convert("HSV"))[0, 0] / 255.0
    if value < 0.3:
        return "black"
    bounds = ((0.035, "red"), (0.125, "orange"), (0.21, "yellow"), (0.45, "green"))
    named = (*bounds, (0.69, "blue"), (0.855, "purple"), (0.98, "pink"), (1.1, "red"))
    name = next(name for bound, name in named if hue < bound)
    return "pink" if name == "red" and saturation < 0.65 else name


@pytest.mark.parametrize(("colour", "background"), SEEN_TOGETHER)
def test_the_commonest_colour_of_a_thing_goes_by_its_name(colour: str, background: str) -> None:
    for seed, kind in enumerate(KINDS * 3):
        finish = FINISHES[seed % 3]
        scene = one(kind, colour, "large", True, background, finish, seed)
        inked = draw(scene)[ink(scene)].astype(float)
        assert colour_name(np.median(inked, axis=0)) == colour, (kind, seed)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_even_thin_outlines_stand_out_from_every_page(background: str) -> None:
    colours = [colour for colour in COLOURS if (colour, background) in SEEN_TOGETHER]
    for seed, colour in itertools.product(range(12), colours):
        scene = one("triangle", colour, "small", False, background, "jagged", seed)
        assert ink(scene).sum() >= 15, (seed, colour)


# --- backgrounds and finishes ---------------------------------------------------------------------


def test_a_jagged_picture_has_no_mixed_colours_and_a_sharp_one_has() -> None:
    jagged, sharp = (
        np.unique(draw(one("star", "blue", finish=finish)).reshape(-1, 3), axis=0)
        for finish in ("jagged", "sharp")
    )
    assert len(jagged) == 2
    assert len(sharp) > 10


def test_a_jpeg_picture_is_nearly_but_not_quite_the_sharp_one() -> None:
    sharp, jpeg = (
        draw(one("car", "red", "large", finish=finish)).astype(float)
        for finish in ("sharp", "jpeg")
    )
    assert 0 < np.abs(sharp - jpeg).mean() < 8


def page(background: str, seed: int) -> NDArray[np.float64]:
    return draw(Scene((), background, "sharp", seed)).astype(float)


def test_backgrounds_differ_in_what_they_do_to_the_page() -> None:
    for seed in range(10):
        plain, graded, noisy, dark = (page(name, seed) for name in BACKGROUNDS)
        assert np.ptp(plain, (0, 1)).max() == 0 and plain.mean() > 170
        steps = np.abs(np.diff(graded, axis=0)).max()
        assert steps <= 6 and graded.mean() > 170
        assert np.abs(np.diff(noisy, axis=0)).mean() > 1
        assert dark.mean() < 90
    assert any(np.ptp(page("graded", seed), (0, 1)).max() > 20 for seed in range(10))


# --- command line ---------------------------------------------------------------------------------


def test_the_contact_sheet_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "sheet.png"
    monkeypatch.setattr(sys, "argv", ["training.drawing", "--sheet", str(target)])
    main()
    with Image.open(target) as sheet:
        assert sheet.width == 96 * len(KINDS)
        tiles = np.asarray(sheet)[: 96 * 12].reshape(12, 96, len(KINDS), 96, 3)
    assert (np.ptp(tiles, axis=(1, 3)).max(-1) > 60).all(), "every tile shows something"

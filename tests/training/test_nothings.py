"""Pictures of nothing known: many different ones, and each sort what it says it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from training.nothings import draw_nothing
from training.scenes import NOTHINGS

SEEDS = range(24)


def picture(kind: str, seed: int, pixels: int = 96) -> NDArray[np.float64]:
    return np.asarray(draw_nothing(kind, pixels, np.random.default_rng(seed)), np.float64)


def roughness(values: NDArray[np.float64]) -> float:
    """Mean step between neighbours (0..255)."""
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())


@pytest.mark.parametrize("kind", NOTHINGS)
def test_pictures_of_nothing_repeat_by_seed_and_differ_between_seeds(kind: str) -> None:
    pictures = [picture(kind, seed) for seed in SEEDS]
    assert all(
        np.array_equal(a, picture(kind, seed)) for seed, a in zip(SEEDS, pictures, strict=True)
    )
    different = {values.tobytes() for values in pictures}
    assert len(different) >= (10 if kind == "blank" else len(SEEDS))


@pytest.mark.parametrize("kind", NOTHINGS)
@pytest.mark.parametrize("pixels", [48, 200])
def test_pictures_of_nothing_come_in_any_size(kind: str, pixels: int) -> None:
    for seed in SEEDS:
        assert picture(kind, seed, pixels).shape == (pixels, pixels, 3)


def test_an_unknown_sort_is_refused() -> None:
    with pytest.raises(KeyError, match="painting"):
        draw_nothing("painting", 96, np.random.default_rng(0))


def test_blank_pages_have_no_edges() -> None:
    for seed in SEEDS:
        values = picture("blank", seed)
        blocks = values.reshape(12, 8, 12, 8, 3).mean((1, 3))
        steps = [np.abs(np.diff(blocks, axis=axis)).max() for axis in (0, 1)]
        assert max(steps) < 45, seed


def test_noise_covers_the_whole_picture_alike() -> None:
    for seed in SEEDS:
        values = picture("noise", seed)
        quarters = [values[r : r + 48, c : c + 48] for r in (0, 48) for c in (0, 48)]
        deviations = [quarter.std() for quarter in quarters]
        assert min(deviations) > 0.5 * max(deviations), seed


def test_photos_have_soft_neighbourhoods_and_many_colours() -> None:
    for seed in range(60):
        values = picture("photo", seed)
        grey = values.mean(2)
        neighbours = np.corrcoef(grey[:-1].ravel(), grey[1:].ravel())[0, 1]
        assert neighbours > 0.35, seed
        assert len(np.unique(values.reshape(-1, 3), axis=0)) > 400, seed


def test_photos_lose_energy_with_frequency_as_natural_images_do() -> None:
    """Amplitude falls about as 1/f (Field 1987): each octave has less than the one before."""
    spectra = []
    for seed in range(40):
        grey = picture("photo", seed).mean(2)
        window = np.hanning(96)[:, None] * np.hanning(96)
        spectra.append(np.abs(np.fft.fft2((grey - grey.mean()) * window)))
    frequency = 96 * np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96)[None])
    mean = np.mean(spectra, axis=0)
    octaves = [mean[(frequency >= f) & (frequency < 2 * f)].mean() for f in (2, 4, 8, 16)]
    assert all(later < 0.75 * earlier for earlier, later in itertools.pairwise(octaves))


def test_scribbles_leave_most_of_the_page_free_but_show_something() -> None:
    for seed in range(60):
        values = picture("scribble", seed)
        page = np.median(values.reshape(-1, 3), axis=0)
        share = (np.linalg.norm(values - page, axis=-1) > 50).mean()
        assert 0.001 < share < 0.6, (seed, share)


def test_white_noise_is_rougher_than_a_photo() -> None:
    noise = max(roughness(picture("noise", seed)) for seed in SEEDS)
    photo = max(roughness(picture("photo", seed)) for seed in SEEDS)
    assert noise > 1.5 * photo

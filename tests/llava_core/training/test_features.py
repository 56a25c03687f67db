"""Kept features are the tower's own, bit for bit, and are found again or computed anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from llava_core.errors import PictureError
from llava_core.training.features import GROUP, Eyes, FeatureStore
from llava_core.training.task import TrainingError
from tests.tiny_checkpoint import VISUAL_TOKENS, make_model, make_processor, make_tokenizer

NUMBER = 20


class Counting(Eyes):
    """Counts the pictures that go through the tower, without the grey ones of a group."""

    def __init__(self, model: Any, image_processor: Any) -> None:
        super().__init__(model, image_processor)
        self.looked = 0

    def look(self, pixel_values: Tensor) -> Tensor:
        self.looked += len(pixel_values)
        return super().look(pixel_values)


def make_eyes(seed: int = 0) -> Counting:
    tokenizer = make_tokenizer()
    return Counting(make_model(tokenizer, seed), make_processor(tokenizer).image_processor)


@cache
def eyes() -> Counting:
    """The same for all tests that do not change them."""
    return make_eyes()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number}.png" for number in range(NUMBER)]
    for number, path in enumerate(paths):
        noise = torch.randint(256, (30 * (24 + number) * 3,), dtype=torch.uint8)
        Image.frombytes("RGB", (24 + number, 30), noise.numpy().tobytes()).save(path)
    return paths


def live(seeing: Eyes, paths: list[Path]) -> Tensor:
    return seeing.look(torch.stack([seeing.pixels(path) for path in paths]))


def kept(store: FeatureStore, paths: list[Path]) -> Tensor:
    return store.features(store.rows(paths))


def assert_right(folder: Path, seeing: Eyes, paths: list[Path]) -> None:
    """A store that is opened now gives what the tower gives."""
    assert torch.equal(kept(FeatureStore(folder, seeing), paths), live(seeing, paths))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_picture_gives_the_same_bits_in_any_company(
    pictures: list[Path], dtype: torch.dtype
) -> None:
    seeing = make_eyes()
    seeing.model.to(dtype)
    alone = [live(seeing, [path])[0] for path in pictures]
    assert alone[0].shape == (VISUAL_TOKENS, 32) and alone[0].dtype == dtype
    for number in (2, GROUP - 1, GROUP, GROUP + 1, NUMBER):
        for order in (range(number), torch.randperm(NUMBER)[:number].tolist()):
            together = live(seeing, [pictures[index] for index in order])
            assert all(torch.equal(z, alone[at]) for z, at in zip(together, order, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kept_ones_are_the_live_ones_bit_for_bit(
    pictures: list[Path], tmp_path: Path, dtype: torch.dtype
) -> None:
    seeing = make_eyes()
    seeing.model.to(dtype)
    store = FeatureStore(tmp_path, seeing)
    assert store.fill(pictures[:3]) == 3 and store.fill(pictures[::-1]) == NUMBER - 3
    order = torch.randperm(NUMBER).tolist()
    paths = [pictures[index] for index in order]
    assert torch.equal(kept(store, paths), live(seeing, paths))
    assert kept(store, paths).dtype == dtype
    assert_right(tmp_path, seeing, paths)


def test_they_are_what_the_model_computes_itself(pictures: list[Path], tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, eyes())
    store.fill(pictures[:2])
    pixel_values = torch.stack([eyes().pixels(path) for path in pictures[:2]])
    with torch.no_grad():
        found = eyes().model.model.get_image_features(pixel_values=pixel_values)
        mine = eyes().model.model.multi_modal_projector(kept(store, pictures[:2]))
    theirs = torch.stack([*getattr(found, "pooler_output", found)])
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_found_again_after_a_restart(pictures: list[Path], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    assert FeatureStore(tmp_path, eyes()).fill(pictures, lambda *at: told.append(at)) == NUMBER
    assert told == [(8, 20), (16, 20), (20, 20)]
    before = eyes().looked
    assert FeatureStore(tmp_path, eyes()).fill([*pictures, *pictures]) == 0
    assert eyes().looked == before
    assert FeatureStore(tmp_path, make_eyes()).fill(pictures) == 0, "equal weights, loaded again"


def test_gone_pictures_are_found_too(pictures: list[Path], tmp_path: Path) -> None:
    copy = Path(shutil.copy(pictures[0], tmp_path / "a.png"))
    FeatureStore(tmp_path, eyes()).fill([copy])
    copy.unlink()
    store = FeatureStore(tmp_path, eyes())
    assert store.fill([copy]) == 0
    assert torch.equal(kept(store, [copy]), live(eyes(), pictures[:1]))


def other_weight(seeing: Eyes) -> None:
    with torch.no_grad():
        list(seeing.tower.parameters())[-1][0] += 1e-3


def other_precision(seeing: Eyes) -> None:
    nn.Module.to(seeing.tower, torch.bfloat16)


def other_size(seeing: Eyes) -> None:
    seeing.processor.size = {"height": 16, "width": 32}


def other_normalisation(seeing: Eyes) -> None:
    seeing.processor.image_mean = [0.5, 0.5, 0.5]


def other_layer(seeing: Eyes) -> None:
    seeing.model.config.vision_feature_layer = -1


def other_tokens(seeing: Eyes) -> None:
    seeing.model.config.vision_feature_select_strategy = "full"


CHANGES: list[Callable[[Eyes], None]] = [
    *(other_weight, other_precision, other_size),
    *(other_normalisation, other_layer, other_tokens),
]


@pytest.mark.parametrize("change", CHANGES)
def test_another_tower_or_preprocessing_computes_anew(
    pictures: list[Path], tmp_path: Path, change: Callable[[Eyes], None]
) -> None:
    FeatureStore(tmp_path, eyes()).fill(pictures[:2])
    seeing = make_eyes()
    change(seeing)
    assert seeing.fingerprint() != eyes().fingerprint()
    store = FeatureStore(tmp_path, seeing)
    with pytest.raises(KeyError):
        store.rows(pictures[:2])


def test_several_layers_lie_side_by_side(pictures: list[Path], tmp_path: Path) -> None:
    seeing = make_eyes()
    seeing.model.config.vision_feature_layer = [-2, -1]
    store = FeatureStore(tmp_path, seeing)
    store.fill(pictures[:2])
    both = kept(store, pictures[:2])
    assert both.shape == (2, VISUAL_TOKENS, 64)
    assert torch.equal(both[..., :32], live(eyes(), pictures[:2]))


def test_one_picture_under_two_names_is_kept_once(pictures: list[Path], tmp_path: Path) -> None:
    copies = [Path(shutil.copy(pictures[0], tmp_path / f"{name}.png")) for name in "abc"]
    store = FeatureStore(tmp_path, eyes())
    assert store.fill([copies[0], *pictures[:9], copies[1]]) == 9
    assert store.fill([copies[2]]) == 0
    assert len(set(store.rows([*copies, pictures[0]]))) == 1
    assert_right(tmp_path, eyes(), [*copies, *pictures[:9]])


def test_a_changed_file_is_computed_anew(pictures: list[Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(pictures[0], tmp_path / "a.png"))
    FeatureStore(tmp_path, eyes()).fill([path, pictures[1]])
    shutil.copyfile(pictures[2], path)
    store = FeatureStore(tmp_path, eyes())
    assert store.fill([path, pictures[1]]) == 1
    assert torch.equal(kept(store, [path]), live(eyes(), [pictures[2]]))
    os.utime(path)
    assert FeatureStore(tmp_path, eyes()).fill([path]) == 0, "only its time has changed"
    assert_right(tmp_path, eyes(), [path, pictures[1]])


# --- interruptions --------------------------------------------------------------------------------


def files(folder: Path) -> tuple[Path, Path]:
    (index,), (data,) = folder.rglob("index.jsonl"), folder.rglob("features.bin")
    return index, data


@pytest.fixture(scope="module")
def filled(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of twelve pictures, written in two groups."""
    folder = tmp_path_factory.mktemp("filled")
    FeatureStore(folder, eyes()).fill(pictures[:12])
    return folder


@settings(max_examples=40)
@given(cut=st.integers(0, 4000), more=st.integers(0, 3000))
def test_a_fill_that_was_killed_anywhere_goes_on(
    pictures: list[Path],
    filled: Path,
    tmp_path_factory: pytest.TempPathFactory,
    cut: int,
    more: int,
) -> None:
    """The index ends anywhere, in the middle of a line too, and the data may go on after it."""
    folder = tmp_path_factory.mktemp("cut")
    shutil.copytree(filled, folder, dirs_exist_ok=True)
    index, data = files(folder)
    content = index.read_bytes()
    index.write_bytes(content[:cut])
    data.write_bytes(data.read_bytes() + bytes(more))
    store = FeatureStore(folder, eyes())
    assert 12 - store.fill(pictures[:12]) == max(content[:cut].count(b"\n") - 1, 0)
    assert_right(folder, eyes(), pictures[:12])
    assert FeatureStore(folder, eyes()).fill(pictures[:16]) == 4
    assert_right(folder, eyes(), pictures[:16])


def test_a_full_disk_keeps_what_is_there(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeatureStore(tmp_path, eyes())
    store.fill(pictures[:3])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TrainingError, match=r"No space left.*Free some disk space"):
            store.fill(pictures)
    assert torch.equal(kept(store, pictures[:3]), live(eyes(), pictures[:3]))
    assert_right(tmp_path, eyes(), pictures[:3])
    assert store.fill(pictures) == NUMBER - 3, "the same store can go on"
    assert_right(tmp_path, eyes(), pictures)


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_a_picture_that_cannot_be_read_is_named(
    pictures: list[Path], tmp_path: Path, damage: str
) -> None:
    bad = tmp_path / "bad.png"
    if damage == "broken":
        bad.write_bytes(pictures[0].read_bytes()[:60])
    store = FeatureStore(tmp_path, eyes())
    with pytest.raises(PictureError, match=r"bad\.png"):
        store.fill([*pictures[:9], bad])
    assert store.fill(pictures[:9]) == 1, "the first group is kept, and the second can be read"
    assert_right(tmp_path, eyes(), pictures[:9])


def test_two_runs_may_fill_one_store(pictures: list[Path], tmp_path: Path) -> None:
    """Both opened it when it was empty; neither writes over the other."""
    one, other = FeatureStore(tmp_path, eyes()), FeatureStore(tmp_path, eyes())
    assert one.fill(pictures[:10]) == 10
    assert other.fill(pictures[5:]) == 10
    assert one.fill(pictures) == 0
    for store in (one, other):
        store.fill(pictures)
        assert torch.equal(kept(store, pictures), live(eyes(), pictures))
    assert_right(tmp_path, eyes(), pictures)

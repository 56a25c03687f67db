"""Vision towers of each kind: loaded, described, encoding, at several sizes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoImageProcessor,
    AutoModel,
)

from llava_core.errors import CheckpointError
from llava_core.towers import Tower, load_tower
from tests.llava_core.joined import language
from tests.llava_core.tiny_towers import LAYERS, TOWERS, WIDTH, make_tower


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each kind."""
    base = tmp_path_factory.mktemp("towers")
    return {name: make_tower(name, base / name) for name in TOWERS}


@pytest.fixture(scope="module")
def towers(folders: dict[str, Path]) -> dict[str, Tower]:
    """The same, loaded. Tests that train load their own."""
    return {name: load_tower(folder) for name, folder in folders.items()}


def pixels(tower: Tower, number: int = 2) -> Tensor:
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (30, 50, 3), dtype=np.uint8)) for _ in range(number)
    ]
    values: Tensor = tower.image_processor(pictures, return_tensors="pt")["pixel_values"]
    return values


# --- towers ---


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_says_what_it_is_and_keeps_its_word(towers: dict[str, Tower], name: str) -> None:
    tower = towers[name]
    assert (tower.hidden_size, tower.layers) == (WIDTH, LAYERS)
    assert tower.visual_tokens == TOWERS[name][1]
    values = pixels(tower)
    assert values.shape == (2, 3, tower.image_size, tower.image_size)
    z_v = tower.encode(values)
    assert z_v.shape == (2, tower.visual_tokens, WIDTH)
    assert not torch.equal(z_v[0], z_v[1])


@pytest.mark.parametrize("name", TOWERS)
def test_features_are_the_hidden_states_of_the_layer(towers: dict[str, Tower], name: str) -> None:
    tower = towers[name]
    values = pixels(tower)
    with torch.no_grad():
        states = tower.model(values, output_hidden_states=True).hidden_states
        last, before = tower.encode(values, -1), tower.encode(values, -2)
        both = tower.encode(values, [-2, 1])
    flat = [state.reshape(2, -1, WIDTH) for state in states]
    dropped = 1 if tower.select_strategy == "default" else 0
    assert len(states) == LAYERS + 1
    assert torch.equal(last, flat[LAYERS][:, dropped:])
    assert torch.equal(before, flat[LAYERS - 1][:, dropped:])
    assert torch.equal(both, torch.cat([before, flat[1][:, dropped:]], -1))
    assert not torch.allclose(last, before)


@pytest.mark.parametrize("name", ["clip", "siglip", "sam"])
def test_weights_are_those_of_the_checkpoint(
    towers: dict[str, Tower], folders: dict[str, Path], name: str
) -> None:
    whole: Any = AutoModel.from_pretrained(folders[name])
    part = getattr(whole, "vision_encoder" if name == "sam" else "vision_model")
    values = pixels(towers[name])
    with torch.no_grad():
        theirs = part(values, output_hidden_states=True).hidden_states[-2]
        ours = towers[name].encode(values)
    assert torch.equal(theirs.flatten(1, -2)[:, -ours.shape[1] :], ours)


# --- another size of pictures ---


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_tower_for_another_size(
    towers: dict[str, Tower], folders: dict[str, Path], name: str, factor: float
) -> None:
    before = towers[name]
    patches = before.visual_tokens - max(before.leading_tokens - 1, 0)
    size = int(before.image_size * factor)
    tower = load_tower(folders[name], image_size=size)
    assert tower.image_size == size
    assert tower.visual_tokens - max(tower.leading_tokens - 1, 0) == int(patches * factor**2)
    values = pixels(tower)
    assert values.shape == (2, 3, size, size)
    assert tower.encode(values).shape == (2, tower.visual_tokens, WIDTH)


def test_the_same_size_changes_nothing(towers: dict[str, Tower], folders: dict[str, Path]) -> None:
    again = load_tower(folders["sam"], image_size=64)
    values = pixels(again)
    assert torch.equal(again.encode(values), towers["sam"].encode(values))


def test_sams_relative_positions_are_interpolated_as_its_own_code_does(
    towers: dict[str, Tower], folders: dict[str, Path]
) -> None:
    tower = load_tower(folders["sam"], image_size=128)
    values = pixels(tower)
    with torch.no_grad():
        ours = tower.encode(values, -1)
        for mine, original in zip(
            tower.model.get_submodule("vision_encoder.layers").children(),
            towers["sam"].model.get_submodule("vision_encoder.layers").children(),
            strict=True,
        ):
            # Left at their old length, SAM's attention interpolates them at every step.
            mine.attn.rel_pos_h = original.attn.rel_pos_h
            mine.attn.rel_pos_w = original.attn.rel_pos_w
        theirs = tower.encode(values, -1)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_clips_own_position_of_cls_stays_and_the_others_stay_in_place(
    towers: dict[str, Tower], folders: dict[str, Path]
) -> None:
    name = "embeddings.position_embedding.weight"
    before = towers["clip"].model.get_parameter(name).detach()
    after = load_tower(folders["clip"], image_size=64).model.get_parameter(name).detach()
    assert torch.equal(after[0], before[0])
    corners = after[1:].view(8, 8, -1)[[0, 0, -1, -1], [0, -1, 0, -1]]
    nearest = before[1:].view(4, 4, -1)[[0, 0, -1, -1], [0, -1, 0, -1]]
    closeness = torch.cosine_similarity(corners[:, None], before[None, 1:], dim=-1)
    assert closeness.argmax(1).tolist() == [0, 3, 12, 15]
    assert torch.cosine_similarity(corners, nearest, dim=-1).min() > 0.8


@pytest.mark.parametrize(("name", "size"), [("clip", 36), ("dinov2", 4), ("sam", 100)])
def test_sizes_that_are_no_whole_number_of_patches_are_refused(
    folders: dict[str, Path], name: str, size: int
) -> None:
    with pytest.raises(CheckpointError, match=rf"image_size is {size}.*Use a multiple of"):
        load_tower(folders[name], image_size=size)


# --- SAM's pictures ---


def test_sams_pictures_are_its_own_to_a_pixel(folders: dict[str, Path]) -> None:
    tower = load_tower(folders["sam"])
    own: Any = AutoImageProcessor.from_pretrained(folders["sam"], backend="pil")
    rng = np.random.default_rng(0)
    for width, height in [(64, 64), (128, 64), (30, 200), (96, 72), (300, 225), (7, 9)]:
        picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        theirs = own(picture, return_tensors="np")["pixel_values"]
        ours = tower.image_processor(picture, return_tensors="np")
        assert list(ours) == ["pixel_values"]
        assert np.array_equal(theirs, ours["pixel_values"])


# --- what does not fit ---


def changed(folder: Path, to: Path, name: str, **values: Any) -> Path:
    """A copy of a checkpoint with other settings in one of its files."""
    shutil.copytree(folder, to)
    settings = json.loads((to / name).read_text())
    (to / name).write_text(json.dumps({**settings, **values}))
    return to


def test_other_checkpoints_are_refused_with_a_list(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    language("llama", 300).save_pretrained(tmp_path / "llama")
    with pytest.raises(CheckpointError, match=r"'llama' checkpoint.*CLIP, SigLIP.*DINOv2.*SAM"):
        load_tower(tmp_path / "llama")
    naflex = changed(folders["siglip"], tmp_path / "naflex", "config.json", model_type="siglip2")
    with pytest.raises(CheckpointError, match=r"'siglip2'.*SigLIP2 at a fixed size"):
        load_tower(naflex)
    with pytest.raises(CheckpointError, match=r"there is no folder .*nowhere"):
        load_tower(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty has no config.json"):
        load_tower(tmp_path / "empty")


def test_a_folder_without_picture_settings_is_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(folders["clip"], tmp_path / "bare")
    (tmp_path / "bare" / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"bare .*Copy preprocessor_config.json"):
        load_tower(tmp_path / "bare")


def test_pictures_of_another_size_or_of_changing_shape_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    file = "preprocessor_config.json"
    large = changed(folders["siglip"], tmp_path / "a", file, size={"height": 40, "width": 40})
    with pytest.raises(CheckpointError, match=r"gives 40 pixels a side.*takes 32"):
        load_tower(large)
    loose = changed(folders["clip"], tmp_path / "b", file, do_center_crop=False)
    with pytest.raises(CheckpointError, match="different shapes"):
        load_tower(loose)


def test_missing_weights_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["dinov2"], tmp_path / "torn")
    weights = load_file(tmp_path / "torn" / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "encoder.layer.1." not in name}
    save_file(kept, tmp_path / "torn" / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks \d+ of the vision tower's weights"):
        load_tower(tmp_path / "torn")


@pytest.mark.parametrize("layer", [4, -5, [-2, 9], []])
def test_layers_that_are_not_there_are_refused(
    towers: dict[str, Tower], layer: int | list[int]
) -> None:
    with pytest.raises(CheckpointError, match=r"has 3 layers.*from -4 to 3"):
        towers["clip"].encode(pixels(towers["clip"]), layer)


def test_pickled_weights_are_read_as_tensors_and_nothing_else(tmp_path: Path) -> None:
    whole = make_tower("clip", tmp_path / "whole")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for path in whole.glob("*.json"):
        (pickled / path.name).write_bytes(path.read_bytes())
    torch.save(load_file(whole / "model.safetensors"), pickled / "pytorch_model.bin")
    pixels = torch.zeros(1, 3, load_tower(whole).image_size, load_tower(whole).image_size)
    with torch.no_grad():
        expected = load_tower(whole).encode(pixels)
        assert torch.equal(load_tower(pickled).encode(pixels), expected)
    marker = tmp_path / "ran"
    torch.save({"weight": _Runs(marker)}, pickled / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_tower(pickled)
    assert not marker.exists()


class _Runs:
    """A pickle that writes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)

"""LoRA adapters: found, put on their checkpoint, served merged and unmerged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from llava_core import loading
from llava_core.adapters import quietly
from llava_core.conversation import Conversation, user
from llava_core.engine.answer import Piece
from llava_core.engine.engine import Engine
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.errors import CheckpointError, CoreError
from llava_core.half import HalfLinear, has_half_products
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint
from tests.tiny_checkpoint import make_tiny_checkpoint

PARAMS = SamplingParams(max_tokens=12)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "tiny"
    make_tiny_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter and a projector that change the answers."""
    folder = tmp_path_factory.mktemp("run") / "adapter"
    model = load_checkpoint(base, "32bit", "cpu").model
    targets = r".*language_model.*\.(q_proj|v_proj|down_proj)"
    with quietly():
        adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.2)
    adapted.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(base)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    projector = model.model.multi_modal_projector.state_dict()
    shifted = {name: value + 0.05 for name, value in projector.items()}
    save_file(shifted, folder / "projector.safetensors")
    return folder


def conversation() -> Conversation:
    return Conversation((user("What is it?", Image.linear_gradient("L").convert("RGB")),))


def answer(checkpoint: Checkpoint) -> list[int | None]:
    return [piece.token_id for piece in generate(checkpoint, conversation(), PARAMS)]


def logits(checkpoint: Checkpoint) -> Tensor:
    inputs = checkpoint.prepare(conversation())
    with torch.inference_mode():
        found: Tensor = checkpoint.model(input_ids=inputs.input_ids, **inputs.pictures).logits
    return found[0, -1]


def engine_answer(checkpoint: Checkpoint) -> list[int | None]:
    engine, pieces = Engine(checkpoint), list[Piece | CoreError]()
    engine.submit(conversation(), PARAMS, pieces.append)
    while engine.running or engine.waiting:
        engine.step()
    return [piece.token_id for piece in pieces if isinstance(piece, Piece)]


def test_merged_and_unmerged_answer_alike_and_unlike_the_base(base: Path, adapter: Path) -> None:
    merged, beside = (load_checkpoint(adapter, "32bit", "cpu", merge=m) for m in (True, False))
    plain = load_checkpoint(base, "32bit", "cpu")
    expected = answer(merged)
    assert answer(beside) == expected != answer(plain)
    assert engine_answer(merged) == engine_answer(beside) == expected
    assert merged.revision == beside.revision != plain.revision


def test_the_projector_comes_along(base: Path, adapter: Path) -> None:
    adapted, plain = (load_checkpoint(f, "32bit", "cpu").model for f in (adapter, base))
    ours, theirs = (m.model.multi_modal_projector.linear_1.bias for m in (adapted, plain))
    assert torch.allclose(ours, theirs + 0.05)


def test_an_adapter_on_8_bits_stays_beside_them(adapter: Path) -> None:
    loaded = load_checkpoint(adapter, "8bit", "cpu", merge=True)
    layer = loaded.model.model.language_model.layers[0].self_attn.q_proj
    assert type(layer).__module__.startswith("peft")
    assert len(engine_answer(loaded)) == len(answer(load_checkpoint(adapter, "32bit", "cpu")))


@pytest.mark.skipif(not has_half_products(), reason="PyTorch without FBGEMM")
@pytest.mark.parametrize("merge", [True, False])
def test_an_adapter_on_16_bits_of_a_cpu(
    adapter: Path, merge: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "native_bfloat16", lambda device: False)
    theirs = logits(load_checkpoint(adapter, "32bit", "cpu"))
    loaded = load_checkpoint(adapter, "16bit", "cpu", merge=merge, serving=True)
    layer = loaded.model.model.language_model.layers[0].self_attn.q_proj
    assert (type(layer) is HalfLinear) == merge
    ours = logits(loaded)
    assert 0 < float((ours - theirs).norm() / theirs.norm()) < 0.01
    fresh = load_checkpoint(adapter, "16bit", "cpu", merge=merge, serving=True)
    assert len(engine_answer(fresh)) > 0


@pytest.mark.parametrize(
    ("config", "said"), [("{}", "base_model_name_or_path"), ("[", "cannot be read")]
)
def test_an_adapter_without_a_base_is_refused(tmp_path: Path, config: str, said: str) -> None:
    (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_checkpoint(tmp_path, "32bit", "cpu")
    assert caught.value.remedy


def test_an_adapter_without_weights_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
    with pytest.raises(CheckpointError, match="cannot be used"):
        load_checkpoint(tmp_path, "32bit", "cpu")


def test_a_base_is_also_found_beside_the_adapter(base: Path, adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "base").symlink_to(base)
    copy = tmp_path / "run" / "adapter"
    shutil.copytree(adapter, copy)
    config = json.loads((copy / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "../../base"
    (copy / "adapter_config.json").write_text(json.dumps(config))
    assert load_checkpoint(copy, "32bit", "cpu").parameters > 0

"""Checkpoints are loaded at a precision that fits, or refused with what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from llava_core.conversation import Conversation, user
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.errors import CheckpointError, ContextError, MemoryShortage
from llava_core.loading import (
    DEFAULT_SEES,
    HEADROOM,
    choose_precision,
    load_checkpoint,
    memory_words,
)
from llava_core.model import Checkpoint, Precision
from llava_core.weights import inspect_weights
from tests.tiny_checkpoint import (
    CONTEXT,
    VISUAL_TOKENS,
    make_model,
    make_tiny_checkpoint,
    make_tokenizer,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SEVEN_B = 7_000_000_000 * 4
TEXT = '{"suggestions": "Where?"}'
TALK = Conversation((user("What colour is the star?", Image.new("RGB", (50, 40), "red")),))


@pytest.mark.parametrize(
    ("device", "free_gb", "bfloat16", "expected"),
    [
        (CPU, 64, False, "32bit"),
        (CPU, 64, True, "32bit"),
        (CPU, 16, False, "8bit"),
        (CPU, 16, True, "16bit"),
        (CPU, 6, True, "4bit"),
        (GPU, 80, True, "16bit"),
        (GPU, 24, True, "16bit"),
        (GPU, 12, True, "8bit"),
        (GPU, 6, True, "4bit"),
    ],
)
def test_auto_takes_what_fits(
    device: torch.device, free_gb: int, bfloat16: bool, expected: Precision
) -> None:
    chosen = choose_precision(device, "auto", SEVEN_B, free=free_gb * 10**9, bfloat16=bfloat16)
    assert chosen == expected


def test_a_cpu_without_bfloat16_never_gets_16_bits_by_itself() -> None:
    for free in range(2, 60):
        try:
            chosen = choose_precision(CPU, "auto", SEVEN_B, free=free * 10**9, bfloat16=False)
        except MemoryShortage:
            continue
        assert chosen != "16bit"


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    with pytest.raises(MemoryShortage, match=r"28\.2 GB in 32bit, and 16\.0 GB are free") as caught:
        choose_precision(CPU, "32bit", SEVEN_B, free=16 * 10**9, bfloat16=False)
    assert "--precision 8bit" in caught.value.remedy, "16 bits are slow on this processor"
    with pytest.raises(MemoryShortage) as caught:
        choose_precision(GPU, "auto", SEVEN_B, free=HEADROOM, bfloat16=True)
    assert "smaller checkpoint" in caught.value.remedy


def test_facts_of_a_checkpoint(checkpoint: Checkpoint) -> None:
    assert checkpoint.name == "tiny" and checkpoint.precision == "32bit"
    assert checkpoint.context_length == CONTEXT and checkpoint.template_name == "vicuna_v1"
    assert checkpoint.parameters == sum(p.numel() for p in checkpoint.model.parameters())
    assert checkpoint.sees == DEFAULT_SEES and len(checkpoint.revision) == 16
    assert not checkpoint.model.training


def test_pictures_take_as_many_tokens_as_the_model_makes(checkpoint: Checkpoint) -> None:
    inputs = checkpoint.prepare(TALK)
    image = checkpoint.renderer.image_token_id
    assert int((inputs.input_ids == image).sum()) == VISUAL_TOKENS
    assert inputs.pictures["pixel_values"].shape == (1, 3, 32, 32)


def test_studio_json_tells_what_the_model_sees(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "told")
    about = {"name": "Told", "sees": "Stars.", "suggestions": ["Where?"]}
    (copy / "studio.json").write_text(json.dumps(about))
    loaded = load_checkpoint(copy, "32bit", "cpu")
    assert (loaded.name, loaded.sees, loaded.suggestions) == ("Told", "Stars.", ("Where?",))
    for wrong, said in (("{", "not valid JSON"), ("[]", "not an object"), (TEXT, "are a list")):
        (copy / "studio.json").write_text(wrong)
        with pytest.raises(CheckpointError, match=said):
            load_checkpoint(copy, "32bit", "cpu")


def test_a_checkpoint_without_template_gets_the_named_one(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "bare")
    (copy / "chat_template.jinja").unlink()
    (copy / "studio.json").write_text(json.dumps({"template": "chatml"}))
    assert load_checkpoint(copy, "32bit", "cpu").template_name == "chatml"


def test_the_revision_follows_the_weights(folder: Path, tmp_path: Path) -> None:
    other = make_tiny_checkpoint(tmp_path / "other", seed=1)
    first, second = (load_checkpoint(path, "32bit", "cpu").revision for path in (folder, other))
    assert first != second and first == load_checkpoint(folder, "32bit", "cpu").revision


@pytest.mark.parametrize("precision", ["16bit", "8bit", "4bit"])
def test_every_precision_answers(folder: Path, precision: Precision) -> None:
    loaded = load_checkpoint(folder, precision, "cpu")
    pieces = list(generate(loaded, TALK, SamplingParams(max_tokens=4)))
    assert pieces[-1].completion_tokens >= 1 and loaded.precision == precision
    if precision == "16bit":
        assert loaded.dtype == torch.bfloat16, "float16 is slower still on processors"
    projector = loaded.model.get_submodule("model.multi_modal_projector.linear_1")
    assert type(projector) is torch.nn.Linear, "the projector must not be quantised"


def test_a_qwen3_language_model_and_a_linear_projector(tmp_path: Path) -> None:
    folder = make_tiny_checkpoint(tmp_path / "qwen", language="qwen3", projector="linear")
    loaded = load_checkpoint(folder, "32bit", "cpu")
    assert list(generate(loaded, TALK, SamplingParams(max_tokens=3)))


def test_a_conversation_beyond_the_context_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(ContextError, match="tokens; the model has room for 256") as caught:
        checkpoint.prepare(Conversation((user("word " * 300),)))
    assert caught.value.needed > caught.value.available == CONTEXT


# --- refused --------------------------------------------------------------------------------------


def test_no_such_folder() -> None:
    with pytest.raises(CheckpointError, match=r"no folder '\./nowhere'"):
        load_checkpoint("./nowhere")


def test_a_hub_id_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr("llava_core.loading.snapshot_download", offline)
    with pytest.raises(CheckpointError, match="neither a folder nor could it be fetched"):
        load_checkpoint("somebody/model")


def test_a_hub_id_is_loaded_from_its_snapshot(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = shutil.copytree(folder, tmp_path / "snapshots" / "abc123")
    monkeypatch.setattr("llava_core.loading.snapshot_download", lambda *_, **__: str(snapshot))
    assert load_checkpoint("somebody/model", "32bit", "cpu").revision == "abc123"


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "pickled")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no safetensors weights") as caught:
        load_checkpoint(copy)
    assert "can run code" in caught.value.remedy


def test_the_original_format_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "original")
    save_file({"model.mm_projector.0.weight": torch.zeros(2, 2)}, copy / "model.safetensors")
    with pytest.raises(CheckpointError, match="original LLaVA format") as caught:
        load_checkpoint(copy)
    assert "llava-hf" in caught.value.remedy


def test_damaged_weights_and_missing_files(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "damaged")
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(copy)
    shards = {"weight_map": {"a": "one.safetensors", "b": "model.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(shards))
    with pytest.raises(CheckpointError, match=r"1 of 2 weight files are missing, such as one\."):
        load_checkpoint(copy)
    (copy / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"index\.json is damaged"):
        load_checkpoint(copy)
    (copy / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load_checkpoint(copy)


def test_weights_that_lack_a_part_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "partial")
    weights = load_file(copy / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "projector" not in name}
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="lacks 4 of the model's weights"):
        load_checkpoint(copy)


def test_a_second_copy_of_the_weights_is_not_counted(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "twice")
    shutil.copy(copy / "model.safetensors", copy / "consolidated.safetensors")
    index = {"weight_map": {"lm_head.weight": "model.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    assert inspect_weights(copy).parameters == inspect_weights(folder).parameters


def test_a_language_model_alone_is_refused(tmp_path: Path) -> None:
    make_model(make_tokenizer()).config.text_config.save_pretrained(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="cannot be loaded as an image-text model"):
        load_checkpoint(tmp_path)


def test_a_device_that_is_not_there(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot use device"):
        load_checkpoint(folder, "32bit", "cuda:7")


def test_what_each_precision_takes_is_told_before_loading() -> None:
    words = memory_words("llava-1.5-7b-hf", 7_000_000_000, 20_000_000_000)
    assert "28.2 GB in 32bit" in words and "5.8 GB in 4bit" in words and "20.0 GB are free" in words

"""Vision towers of each kind: loaded, joined to a language model, trained, saved and asked."""

from __future__ import annotations

import base64
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from app.settings import Settings
from app.worker.api import create_app
from app.worker.checkpoint import load_backend
from llava_core.assembling import (
    Projector,
    add_image_token,
    assemble,
    build_processor,
    freeze_for_stage,
)
from llava_core.conversation import Conversation, user
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.errors import CheckpointError
from llava_core.loading import load_checkpoint
from llava_core.towers import Tower, load_tower
from tests.llava_core.tiny_towers import KINDS, LAYERS, TOWERS, WIDTH, make_tower
from tests.servers import running
from tests.tiny_checkpoint import CONTEXT, make_tokenizer

QUESTION = Conversation((user("What is it?", Image.new("RGB", (50, 30), "red")),))
ANSWER = "The star is red.</s>"
FIVE = SamplingParams(max_tokens=5)


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


def language(kind: str, vocabulary: int, context: int = CONTEXT) -> Any:
    torch.manual_seed(2)
    shape: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "initializer_range": 0.3,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**shape))
    return Qwen3ForCausalLM(Qwen3Config(head_dim=32, **shape))


@dataclass(frozen=True)
class Joined:
    """A LLaVA in memory, as training holds it."""

    model: LlavaForConditionalGeneration
    processor: LlavaProcessor
    tokenizer: PreTrainedTokenizerFast
    tower: Tower

    def batch(self) -> dict[str, Tensor]:
        """One picture with a question and its answer; all tokens are learnt."""
        text = f"USER: <image>\nWhat is it? ASSISTANT: {ANSWER}"
        picture = Image.new("RGB", (50, 30), "red")
        made: Any = self.processor(images=[picture], text=text, return_tensors="pt")
        ids = made["input_ids"]
        labels = torch.where(ids == self.model.config.image_token_id, -100, ids)
        return {"input_ids": ids, "pixel_values": made["pixel_values"], "labels": labels}

    def train(self, steps: int = 3, rate: float = 1e-3) -> list[float]:
        """Losses of ``steps`` steps on one batch."""
        batch = self.batch()
        learnt = [p for p in self.model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(learnt, lr=rate)
        losses = []
        for _ in range(steps):
            loss = self.model(**batch).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses

    def save(self, folder: Path) -> Path:
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        return folder


def join(
    folder: Path,
    projector: Projector = "mlp2x_gelu",
    kind: str = "llama",
    layer: int | list[int] = -2,
) -> Joined:
    tower = load_tower(folder)
    tokenizer = make_tokenizer()
    text = language(kind, len(tokenizer))
    image_id = add_image_token(tokenizer, text)
    torch.manual_seed(3)
    model = assemble(
        tower, text, projector=projector, image_token_id=image_id, vision_feature_layer=layer
    )
    model.train(False)
    return Joined(model, build_processor(tower, tokenizer), tokenizer, tower)


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


# --- a LLaVA of each kind ---


def greedy(model: Any, inputs: dict[str, Tensor]) -> list[int]:
    made = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    ids: list[int] = made[0, inputs["input_ids"].shape[1] :].tolist()
    return ids


@pytest.mark.parametrize("projector", get_args(Projector))
@pytest.mark.parametrize("name", TOWERS)
def test_it_learns_and_answers_the_same_after_saving(
    folders: dict[str, Path], tmp_path: Path, name: str, projector: Projector
) -> None:
    joined = join(folders[name], projector, "llama" if projector == "linear" else "qwen3")
    freeze_for_stage(joined.model, 2)
    losses = joined.train()
    assert losses[0] > losses[1] > losses[2]
    loaded = load_checkpoint(joined.save(tmp_path / name), "32bit", "cpu")
    inputs = loaded.prepare(QUESTION)
    assert int((inputs.input_ids == loaded.renderer.image_token_id).sum()) == TOWERS[name][1]
    before = greedy(joined.model, {"input_ids": inputs.input_ids, **inputs.pictures})
    after = [p.token_id for p in generate(loaded, QUESTION, SamplingParams(max_tokens=8))]
    assert after == before and len(after) > 1


@pytest.mark.parametrize("name", KINDS)
def test_transformers_alone_reads_it_and_the_picture_counts(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    joined = join(folders[name])
    folder = joined.save(tmp_path / name)
    automatic: Any = AutoModelForImageTextToText
    model = automatic.from_pretrained(folder)
    processor: Any = AutoProcessor.from_pretrained(folder, backend="pil")
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    logits = []
    for picture in (Image.new("RGB", (50, 30), "red"), Image.fromarray(noise)):
        inputs = processor(images=[picture], text="USER: <image>\nWhat?", return_tensors="pt")
        with torch.no_grad():
            logits.append(model(**inputs).logits[0, -1])
            assert torch.equal(logits[-1], joined.model(**inputs).logits[0, -1])
        assert greedy(model, dict(inputs))
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize("name", KINDS)
def test_several_layers_lie_side_by_side(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    joined = join(folders[name], layer=[-2, -1])
    assert joined.model.model.multi_modal_projector.linear_1.in_features == 2 * WIDTH
    losses = joined.train()
    assert losses[-1] < losses[0]
    loaded = load_checkpoint(joined.save(tmp_path / name), "32bit", "cpu")
    assert loaded.model.config.vision_feature_layer == [-2, -1]
    assert list(generate(loaded, QUESTION, SamplingParams(max_tokens=2)))


@pytest.mark.parametrize("train_tower", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_the_tower_trains_only_when_asked(
    folders: dict[str, Path], name: str, train_tower: bool
) -> None:
    joined = join(folders[name], "linear")
    freeze_for_stage(joined.model, 1, train_tower)
    tower = joined.model.model.vision_tower
    before = {key: value.clone() for key, value in tower.state_dict().items()}
    identity = joined.model.model.multi_modal_projector.linear_2.weight.clone()
    joined.train()
    moved = [
        key for key, value in tower.state_dict().items() if not torch.equal(value, before[key])
    ]
    assert bool(moved) is train_tower
    assert torch.equal(joined.model.model.multi_modal_projector.linear_2.weight, identity)


@pytest.mark.parametrize("name", KINDS)
def test_a_worker_serves_it(folders: dict[str, Path], tmp_path: Path, name: str) -> None:
    folder = join(folders[name]).save(tmp_path / name)
    settings = Settings(data_dir=tmp_path, precision="32bit", device="cpu")
    backend = load_backend(str(folder), settings)
    buffer = io.BytesIO()
    Image.new("RGB", (50, 30), "red").save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    content = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "What is it?"},
    ]
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 5, "temperature": 0}
    with running(create_app(settings, [backend])) as address:
        reply = httpx.post(f"{address}/v1/chat/completions", json=body, trust_env=False).json()
    pieces = list(generate(load_checkpoint(folder, "32bit", "cpu"), QUESTION, FIVE))
    assert reply["choices"][0]["message"]["content"] == "".join(piece.text for piece in pieces)
    assert reply["usage"]["prompt_tokens"] == pieces[0].prompt_tokens > TOWERS[name][1]


# --- the tokenizer and its template ---


def without_image_token() -> PreTrainedTokenizerFast:
    """A language model's own tokenizer: it has never heard of pictures."""
    known = json.loads(make_tokenizer().backend_tokenizer.to_str())
    known["added_tokens"] = [t for t in known["added_tokens"] if t["content"] != "<image>"]
    last = max(known["model"]["vocab"].values())
    vocabulary = {k: v for k, v in known["model"]["vocab"].items() if k != "<image>"}
    moved = next(k for k, v in vocabulary.items() if v == last)
    known["model"]["vocab"] = {**vocabulary, moved: 3}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(known)),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
    )


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_a_tokenizer_learns_the_image_token(
    folders: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    tokenizer = without_image_token()
    size = len(tokenizer)
    text = language(kind, size)
    image_id = add_image_token(tokenizer, text)
    assert (image_id, len(tokenizer)) == (size, size + 1)
    for part in (text.get_input_embeddings().weight, text.lm_head.weight):
        assert len(part) == size + 1
        assert torch.allclose(part[-1], part[:-1].mean(0), atol=1e-6)
    assert add_image_token(tokenizer, text) == image_id and len(tokenizer) == size + 1
    tower = load_tower(folders["siglip"])
    processor = build_processor(tower, tokenizer, template="chatml")
    assemble(tower, text, image_token_id=image_id).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = load_checkpoint(tmp_path, "32bit", "cpu")
    assert loaded.template_name == "chatml"
    assert list(generate(loaded, QUESTION, FIVE))


def test_room_that_the_embeddings_already_have_is_used() -> None:
    tokenizer = without_image_token()
    text = language("llama", len(tokenizer) + 20)
    add_image_token(tokenizer, text)
    assert len(text.get_input_embeddings().weight) == len(tokenizer) + 19


def test_a_tokenizer_without_image_token_or_template_is_refused(towers: dict[str, Tower]) -> None:
    tokenizer = without_image_token()
    with pytest.raises(CheckpointError, match="add_image_token"):
        build_processor(towers["clip"], tokenizer, template="chatml")
    add_image_token(tokenizer, language("llama", len(tokenizer)))
    with pytest.raises(CheckpointError, match=r"no chat template.*vicuna_v1"):
        build_processor(towers["clip"], tokenizer)
    with pytest.raises(CheckpointError, match=r"'vicunna'.*vicuna_v1"):
        build_processor(towers["clip"], tokenizer, template="vicunna")


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
    with pytest.raises(CheckpointError, match="has 3 layers"):
        text = language("llama", 300)
        assemble(towers["clip"], text, image_token_id=3, vision_feature_layer=layer)


def test_a_picture_larger_than_the_context_is_refused(towers: dict[str, Tower]) -> None:
    with pytest.raises(CheckpointError, match=r"takes 16 visual tokens.*room for 16"):
        assemble(towers["sam"], language("llama", 300, context=16), image_token_id=3)


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

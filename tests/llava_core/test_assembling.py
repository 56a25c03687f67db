"""A LLaVA from a vision tower of each kind: trained, saved, loaded, asked and served."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any, get_args

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedTokenizerFast,
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
from llava_core.towers import load_tower
from llava_core.training.features import Eyes, FeatureStore
from llava_core.training.objective import AnswerLoss
from tests.llava_core.joined import join, language
from tests.llava_core.tiny_towers import KINDS, TOWERS, WIDTH, make_tower
from tests.servers import running
from tests.tiny_checkpoint import make_tokenizer

QUESTION = Conversation((user("What is it?", Image.new("RGB", (50, 30), "red")),))
FIVE = SamplingParams(max_tokens=5)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each kind."""
    base = tmp_path_factory.mktemp("towers")
    return {name: make_tower(name, base / name) for name in TOWERS}


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


@pytest.mark.parametrize("name", KINDS)
def test_a_tower_for_larger_pictures_is_kept_so(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    side = 128 if name == "sam" else 64
    joined = join(folders[name], image_size=side)
    loaded = load_checkpoint(joined.save(tmp_path / name), "32bit", "cpu")
    inputs = loaded.prepare(QUESTION)
    assert inputs.pictures["pixel_values"].shape == (1, 3, side, side)
    assert int((inputs.input_ids == loaded.renderer.image_token_id).sum()) == 64
    after = [p.token_id for p in generate(loaded, QUESTION, FIVE)]
    assert after == greedy(joined.model, {"input_ids": inputs.input_ids, **inputs.pictures})[:5]


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


def test_a_tokenizer_without_image_token_or_template_is_refused(folders: dict[str, Path]) -> None:
    tokenizer, tower = without_image_token(), load_tower(folders["clip"])
    with pytest.raises(CheckpointError, match="add_image_token"):
        build_processor(tower, tokenizer, template="chatml")
    add_image_token(tokenizer, language("llama", len(tokenizer)))
    with pytest.raises(CheckpointError, match=r"no chat template.*vicuna_v1"):
        build_processor(tower, tokenizer)
    with pytest.raises(CheckpointError, match=r"'vicunna'.*vicuna_v1"):
        build_processor(tower, tokenizer, template="vicunna")


# --- what does not fit ---


def test_a_picture_larger_than_the_context_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match=r"takes 16 visual tokens.*room for 16"):
        assemble(load_tower(folders["sam"]), language("llama", 300, context=16), image_token_id=3)


@pytest.mark.parametrize("layer", [4, [-2, 9], []])
def test_layers_that_the_tower_does_not_have_are_refused(
    folders: dict[str, Path], layer: int | list[int]
) -> None:
    with pytest.raises(CheckpointError, match="has 3 layers"):
        join(folders["clip"], layer=layer)


def test_a_model_without_an_output_layer_is_refused(folders: dict[str, Path]) -> None:
    body = language("llama", 300).model
    with pytest.raises(CheckpointError, match="LlamaModel has no output layer"):
        assemble(load_tower(folders["clip"]), body, image_token_id=3)


# --- in training ---


@pytest.mark.parametrize("name", KINDS)
def test_training_on_kept_features_is_training_on_pixels(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    joined = join(folders[name])
    eyes = Eyes(joined.model, joined.processor.image_processor)
    picture = tmp_path / "red.png"
    Image.new("RGB", (50, 30), "red").save(picture)
    store = FeatureStore(tmp_path, eyes)
    store.fill([picture])
    batch = joined.batch()
    ids, labels = batch["input_ids"], batch["labels"]
    positions = torch.arange(ids.shape[1])[None]
    losses = [
        AnswerLoss(joined.model, eyes.encode, trains)(ids, positions, labels, pictures).item()
        for trains, pictures in [
            (False, store.features(store.rows([picture]))),
            (True, batch["pixel_values"]),
        ]
    ]
    learnt = int((labels[:, 1:] != -100).sum())
    expected = joined.model(**batch).loss.item() * learnt
    assert losses == pytest.approx([expected, expected], rel=1e-4)

"""What trains in each stage, what a checkpoint keeps, and how it is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

from llava_core.assembling import assemble, freeze_for_stage
from llava_core.conversation import Conversation, user
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.loading import load_checkpoint
from training import checkpoint
from training.drawing import draw
from training.evaluation import evaluate, held_out_items, load_answerer, normalise_answer
from training.instructions import instruction_records
from training.language import LanguageTask, build_language_model
from training.questions import TYPES
from training.stages import StageTask, compute_features, initialise_projection
from training.store import TokenStore, build_store, render_records
from training.tokenizer import IMAGE, token_id, train_tokenizer
from training.tower import TowerTask, build_tower, normalise
from training.world import dense_labels, draw_pictures, sample_scenes

CPU = torch.device("cpu")
TOKENIZER = train_tokenizer(0, 300)
IMAGE_ID = token_id(TOKENIZER, IMAGE)


@pytest.fixture(scope="module")
def model() -> LlavaForConditionalGeneration:
    torch.manual_seed(0)
    tower, language = build_tower(), build_language_model(TOKENIZER, layers=2)
    return checkpoint.join(assemble, tower, language, IMAGE_ID)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("pictures") / "p.npy"
    assert list(draw_pictures(sample_scenes(3, 6), path)) == [6]
    array: np.ndarray = np.load(path)  # type: ignore[type-arg]
    return array


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    folder = tmp_path_factory.mktemp("tokenizer")
    TOKENIZER.save_pretrained(folder)
    scenes = sample_scenes(3, 6)
    records = list(instruction_records(list(range(6)), scenes, seed=1))
    return build_store(render_records(records, folder))


@pytest.fixture(scope="module")
def features(
    model: LlavaForConditionalGeneration,
    pictures: np.ndarray,  # type: ignore[type-arg]
    tmp_path_factory: pytest.TempPathFactory,
) -> np.ndarray:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("features") / "f.npy"
    list(compute_features(model.model.vision_tower, pictures, path, CPU))
    array: np.ndarray = np.load(path)  # type: ignore[type-arg]
    return array


def test_cached_features_are_the_live_ones(
    model: LlavaForConditionalGeneration,
    pictures: np.ndarray,  # type: ignore[type-arg]
    features: np.ndarray,  # type: ignore[type-arg]
) -> None:
    live = model.model.get_image_features(
        normalise(torch.from_numpy(pictures)), vision_feature_layer=-1
    ).pooler_output
    projected = model.model.multi_modal_projector(torch.from_numpy(features.astype(np.float32)))
    assert torch.allclose(torch.stack(list(live)), projected, atol=2e-2)
    assert features.shape == (6, 64, 192)


@pytest.mark.parametrize(
    ("stage", "trained"),
    [(1, {"projector"}), (2, {"projector", "language", "head"})],
)
def test_what_trains(
    model: LlavaForConditionalGeneration,
    features: np.ndarray,  # type: ignore[type-arg]
    store: TokenStore,
    stage: int,
    trained: set[str],
) -> None:
    initialise_projection(model, features)
    freeze_for_stage(model, stage)  # type: ignore[arg-type]
    task = StageTask(
        model,
        features,
        store,
        (features, store),
        pad_id=0,
        image_id=IMAGE_ID,
        batch_tokens=2000,
        muon_lr=0.02,
        adam_lr=1e-2,
    )
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for step in range(2):
        loss = task.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in task.optimisers:
            optimiser.step()
            optimiser.zero_grad()
    changed = {n for n, tensor in model.state_dict().items() if not torch.equal(tensor, before[n])}
    parts = {
        "projector": "multi_modal_projector.linear_1",
        "language": "language_model",
        "head": "lm_head",
        "tower": "vision_tower",
        "identity": "multi_modal_projector.linear_2",
    }
    touched = {part for part, name in parts.items() if any(name in n for n in changed)}
    assert touched == trained
    assert 0 <= task.evaluate()["mean"] <= 1


def test_the_projection_starts_at_the_scale_of_words(
    model: LlavaForConditionalGeneration,
    features: np.ndarray,  # type: ignore[type-arg]
) -> None:
    initialise_projection(model, features)
    z_v = torch.from_numpy(features.astype(np.float32))
    h_v = model.model.multi_modal_projector(z_v).detach()
    word = float(model.lm_head.weight.detach().std())
    assert float(h_v.mean().abs()) < word and word < float(h_v.std()) < 5 * word


def test_the_tower_learns_its_labels(pictures: np.ndarray) -> None:  # type: ignore[type-arg]
    torch.manual_seed(0)
    data = dense_labels(sample_scenes(3, 6), pictures)
    task = TowerTask(build_tower(layers=1), data, data, batch=6)
    losses = []
    for step in range(8):
        loss = task.loss(step)
        losses.append(loss.item())
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in task.optimisers:
            optimiser.step()
            optimiser.zero_grad()
    assert losses[-1] < 0.8 * losses[0]
    assert set(task.evaluate()) == {"kind", "colour", "size", "row", "column", "centre_errors"}


def test_the_language_task_repeats_its_batches() -> None:
    def losses() -> list[float]:
        torch.manual_seed(0)
        task = LanguageTask(build_language_model(TOKENIZER, layers=1), TOKENIZER, batch_tokens=500)
        return [task.loss(step).item() for step in (0, 1, 300, 0)]

    first = losses()
    assert first == losses() and first[0] == first[3] and len(set(first)) == 3


def test_a_saved_checkpoint_is_read_by_transformers_and_by_the_app(
    model: LlavaForConditionalGeneration, tmp_path: Path
) -> None:
    folder = checkpoint.export(model, TOKENIZER, tmp_path, 2)
    picture = Image.fromarray(draw(sample_scenes(9, 1)[0]))
    theirs = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder, backend="pil")  # type: ignore[no-untyped-call]
    question = "Describe the picture."
    prompt = f"USER: <image>\n{question} ASSISTANT:"
    inputs = processor(images=picture, text=prompt, return_tensors="pt")
    expected = theirs.generate(**inputs, max_new_tokens=8, do_sample=False)[0]
    ours = load_checkpoint(folder, "32bit", "cpu")
    pieces = list(
        generate(ours, Conversation((user(question, picture),)), SamplingParams(max_tokens=8))
    )
    tokens = [piece.token_id for piece in pieces]
    assert expected[inputs["input_ids"].shape[1] :].tolist() == tokens
    assert torch.equal(
        inputs["input_ids"][0], ours.prepare(Conversation((user(question, picture),))).input_ids[0]
    )


def test_answers_are_compared_exactly_after_normalising() -> None:
    assert normalise_answer(" At the  top left. ") == normalise_answer("at the top left")
    assert normalise_answer("Red.") != normalise_answer("Dark red.")


def test_held_out_questions(model: LlavaForConditionalGeneration, tmp_path: Path) -> None:
    items = held_out_items(1, 2)
    assert items == held_out_items(1, 2) and items != held_out_items(2, 2)
    assert {item.turn.kind for item in items} == set(TYPES)
    assert all(bool(item.before) == (item.turn.kind == "follow_up") for item in items)
    folder = checkpoint.export(model, TOKENIZER, tmp_path, 1)
    answerer = load_answerer(folder)
    *_, (done, table) = evaluate(answerer, items, checkpoint.draw_picture, batch=17)
    assert done == len(items) and set(table.matched) == set(table.mismatched) == set(TYPES)
    assert table.number == dict.fromkeys(TYPES, 2)

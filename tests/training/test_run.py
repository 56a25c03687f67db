"""A run from its recipe to a checkpoint that answers; and what happens when something is wrong."""

from __future__ import annotations

import json
import re
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from llava_core.adapters import with_adapter
from llava_core.conversation import Conversation, user
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.errors import PictureError
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint
from llava_core.training.records import DataError
from llava_core.training.state import load_trained
from llava_core.training.task import TrainingError
from tests.training import tiny_runs
from tests.training.tiny_runs import (
    Stage,
    make_data,
    make_pictures,
    make_world,
    metrics,
    record,
    trace,
    write_recipe,
)
from training.recipe_file import load_recipe
from training.run import run

LORA = {"train__language": "lora", "train__lora": {"r": 4, "alpha": 8}}
FROZEN = {"train__language": "frozen"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = make_world(tmp_path_factory.mktemp("run"))
    make_data(world / "held-out", 8)
    return world


@pytest.fixture(autouse=True)
def fresh_accelerate(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """accelerate keeps one state for a process; runs here want 32 bits."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    _forget_accelerate()
    yield
    _forget_accelerate()


def _forget_accelerate() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def go(
    world: Path,
    output: Path,
    stage: Stage = 2,
    report: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> Path:
    """Train in this process; a second call goes on."""
    recipe = write_recipe(world, output, **{"train__epochs": 1, **settings})
    return run(load_recipe(recipe, (), stage), stage, report)


def tensors(checkpoint: Path) -> dict[str, Tensor]:
    return load_file(checkpoint / "model.safetensors")


def changed(before: Path, after: Path) -> Counter[str]:
    """How many tensors of each part have changed."""
    old, new = tensors(before), tensors(after)
    assert old.keys() == new.keys()
    found: Counter[str] = Counter()
    for name in old:
        if not torch.equal(old[name], new[name]):
            part = next(p for p in ("vision_tower", "projector", "head", "language") if p in name)
            found[part] += 1
    return found


def ask(checkpoint: Checkpoint, tokens: int = 5) -> str:
    question = user("What is it?", Image.new("RGB", (30, 20), "red"))
    params = SamplingParams(temperature=0.0, max_tokens=tokens)
    return "".join(piece.text for piece in generate(checkpoint, Conversation((question,)), params))


def loaded(folder: Path) -> Checkpoint:
    return load_checkpoint(folder, "32bit", "cpu")


# --- the finished checkpoint ----------------------------------------------------------------------

TRAINED: dict[str, tuple[Stage, dict[str, Any], set[str]]] = {
    "pretrain": (1, FROZEN, {"projector"}),
    "full": (2, {}, {"projector", "language", "head"}),
    "language alone": (2, {"train__projector": False}, {"language", "head"}),
    "lora": (2, LORA, {"projector", "language"}),
    "qlora": (2, {**LORA, "model__precision": "4bit"}, {"projector", "language"}),
    "8 bits": (2, {**LORA, "model__precision": "8bit"}, {"projector", "language"}),
    "pretrain in 4 bits": (1, {**FROZEN, "model__precision": "4bit"}, {"projector"}),
    "tower": (
        2,
        {**FROZEN, "train__tower": True, "train__features": "live"},
        {"vision_tower", "projector"},
    ),
    "all": (
        2,
        {"train__tower": True, "train__features": "live", "train__gradient_checkpointing": True},
        {"vision_tower", "projector", "language", "head"},
    ),
    "lora and tower": (
        2,
        {**LORA, "train__tower": True, "train__features": "live"},
        {"vision_tower", "projector", "language"},
    ),
}


@pytest.mark.parametrize("mode", TRAINED)
def test_what_trains_changes_and_the_rest_stays_bit_for_bit(
    world: Path, tmp_path: Path, mode: str
) -> None:
    stage, settings, parts = TRAINED[mode]
    finished = go(world, tmp_path / "run", stage, **settings)
    assert finished == tmp_path / "run" / "checkpoint"
    assert set(changed(world / "tiny", finished)) == parts
    checkpoint = loaded(finished)
    assert checkpoint.name == "tiny" and checkpoint.template_name == "vicuna_v1"
    assert ask(checkpoint) != ""


def test_the_trained_weights_are_those_of_the_checkpoint(world: Path, tmp_path: Path) -> None:
    finished = go(world, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)["module"]
    saved = nn.ModuleDict({"model": loaded(finished).model})
    fresh = nn.ModuleDict({"model": loaded(world / "tiny").model})
    load_trained(fresh, state)
    for mine, theirs in zip(fresh.parameters(), saved.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@cache
def prompt() -> tuple[Tensor, Tensor]:
    """Token ids with a picture's places, and its pixels."""
    ids = torch.tensor([[1, *[3] * 16, *range(20, 60)]])
    return ids, torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def logits(model: Any) -> Tensor:
    ids, pixel_values = prompt()
    found: Tensor = model.eval()(input_ids=ids, pixel_values=pixel_values).logits
    return found


@pytest.mark.parametrize("precision", ["32bit", "4bit"])
def test_the_merged_checkpoint_answers_as_the_adapter_does(
    world: Path, tmp_path: Path, precision: str
) -> None:
    """The adapter on the original weights, with the trained projector beside it."""
    settings = {**LORA, "model__precision": precision, "train__learning_rate": 1e-2}
    finished = go(world, tmp_path / "run", **settings)
    base: Any = loaded(world / "tiny").model
    before = logits(base)
    adapter = tmp_path / "run" / "adapter"
    base.model.multi_modal_projector.load_state_dict(load_file(adapter / "projector.safetensors"))
    merged = logits(loaded(finished).model)
    torch.testing.assert_close(merged, logits(with_adapter(base, adapter)), rtol=0, atol=1e-3)
    assert (merged - before).abs().max() > 0.1, "it has learnt something"


def test_a_checkpoint_trains_with_its_template_and_keeps_it(world: Path, tmp_path: Path) -> None:
    finished = go(world, tmp_path / "chat", **FROZEN, model__template="mistral")
    assert loaded(finished).template_name == "mistral"
    finished = go(world, tmp_path / "plain", 1, **FROZEN, model__template="plain")
    assert loaded(finished).template_name == "vicuna_v1", "plain is for captions alone"


def test_a_template_that_only_studio_json_names_is_kept(own_world: Path, tmp_path: Path) -> None:
    tiny = own_world / "tiny"
    (tiny / "chat_template.jinja").unlink()
    (tiny / "studio.json").write_text('{"template": "mistral"}')
    assert loaded(tiny).template_name == "mistral"
    assert loaded(go(own_world, tmp_path / "run", **FROZEN)).template_name == "mistral"


def test_stage_1_and_then_stage_2(world: Path, tmp_path: Path) -> None:
    first = go(world, tmp_path / "one", 1, **FROZEN, model__fresh_projector=True)
    second = go(world, tmp_path / "two", 2, model__checkpoint=str(first))
    assert trace(tmp_path / "two")[-1][1] < trace(tmp_path / "one")[0][1]
    assert ask(loaded(second))


def test_a_part_with_a_tiny_learning_rate_hardly_moves(world: Path, tmp_path: Path) -> None:
    settings = {**LORA, "train__projector_learning_rate": 1e-12, "train__learning_rate": 1e-3}
    finished = go(world, tmp_path / "run", **settings)
    old, new = tensors(world / "tiny"), tensors(finished)
    moved = {name: float((new[name] - old[name]).abs().max()) for name in old}
    assert max(far for name, far in moved.items() if "projector" in name) < 1e-9
    assert max(far for name, far in moved.items() if "language" in name) > 1e-4
    assert {line["learning_rate"] for line in metrics(tmp_path / "run")} > {1e-5}


def test_the_tower_has_a_learning_rate_of_its_own(world: Path, tmp_path: Path) -> None:
    far = {}
    for rate in (1e-12, 1e-3):
        settings = {**FROZEN, "train__tower": True, "train__features": "live"}
        settings |= {"train__learning_rate": 1e-4, "train__tower_learning_rate": rate}
        old, new = tensors(world / "tiny"), tensors(go(world, tmp_path / str(rate), **settings))
        far[rate] = {
            part: max(float((new[n] - old[n]).abs().max()) for n in old if part in n)
            for part in ("vision_tower", "projector")
        }
    assert far[1e-12]["vision_tower"] < 1e-9 and far[1e-3]["vision_tower"] > 1e-3
    assert all(1e-5 < moved["projector"] < 1e-3 for moved in far.values())


def test_trained_weights_are_kept_in_32_bits(world: Path, tmp_path: Path) -> None:
    """16 would lose small updates; what does not train may have 16."""
    held_out = validation(world)
    for name, stage, settings in (("one", 1, FROZEN), ("lora", 2, LORA)):
        go(world, tmp_path / name, stage, **settings, model__precision="16bit", **held_out)
        state = torch.load(tmp_path / name / "state.pt", weights_only=True)["module"]
        assert {value.dtype for value in state.values()} == {torch.float32}
        assert ask(loaded(tmp_path / name / "checkpoint"))


# --- how it learns --------------------------------------------------------------------------------


def test_it_learns(world: Path, tmp_path: Path) -> None:
    go(world, tmp_path / "run", train__epochs=12, train__learning_rate=3e-3)
    losses = [loss for _, loss in trace(tmp_path / "run")]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_micro_batches_of_any_size_give_the_same_losses(
    world: Path, tmp_path: Path, layout: str
) -> None:
    found = []
    for tokens in (8, 200, 4096):
        output = tmp_path / str(tokens)
        go(world, output, train__micro_tokens=tokens, train__layout=layout)
        found.append([loss for _, loss in trace(output)])
    assert found[0] == pytest.approx(found[2], abs=1e-5)
    assert found[1] == pytest.approx(found[2], abs=1e-5)


def test_packed_and_padded_and_live_and_kept_are_the_same(world: Path, tmp_path: Path) -> None:
    found = []
    for layout in ("packed", "padded"):
        for features in ("kept", "live"):
            output = tmp_path / layout / features
            go(world, output, train__layout=layout, train__features=features)
            found.append([loss for _, loss in trace(output)])
    assert found[0] == found[1] and found[2] == found[3], "features are the same bits"
    assert found[0] == pytest.approx(found[2], abs=1e-5)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # Dynamo looks at all tensors
def test_compiled_it_is_the_same(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced as torch.compile traces it, without the minute that a C++ compiler takes then."""
    compiled: list[dict[str, Any]] = []

    def traced(module: nn.Module, **options: Any) -> None:
        compiled.append(options)
        module._compiled_call_impl = torch.compile(
            module._call_impl, backend="eager", fullgraph=False, **options
        )

    monkeypatch.setattr(nn.Module, "compile", traced)
    for name, wanted in (("plain", False), ("compiled", True)):
        go(world, tmp_path / name, train__compile=wanted)
    assert compiled == [{"dynamic": True}]
    mine, plain = trace(tmp_path / "compiled"), trace(tmp_path / "plain")
    assert [loss for _, loss in mine] == pytest.approx([loss for _, loss in plain], abs=1e-5)
    finished = (tmp_path / name / "checkpoint" for name in ("compiled", "plain"))
    weights, others = (tensors(folder) for folder in finished)
    assert weights.keys() == others.keys()
    assert all(torch.allclose(weights[name], others[name], atol=1e-4) for name in others)


@pytest.mark.parametrize("features", ["kept", "live"])
def test_text_alone_never_calls_the_vision_tower(
    world: Path, tmp_path: Path, features: str
) -> None:
    data = tmp_path / "text.json"
    data.write_text(json.dumps([record(number, None) for number in range(16)]))
    calls: Counter[str] = Counter()

    def count(module: nn.Module, *_: Any) -> None:
        calls[type(module).__name__] += 1

    handle = nn.modules.module.register_module_forward_pre_hook(count)
    try:
        go(world, tmp_path / "run", data=[{"path": str(data)}], train__features=features)
    finally:
        handle.remove()
    assert calls["LlamaModel"] >= 2 and not [name for name in calls if "CLIP" in name]
    assert set(changed(world / "tiny", tmp_path / "run" / "checkpoint")) == {"language", "head"}


def test_a_batch_of_several_sets_is_named(world: Path, tmp_path: Path) -> None:
    part = {"path": str(world / "data.json"), "images": str(world / "pictures")}
    with pytest.raises(TrainingError, match=r"records \d+ of data\.[01], .* of data\.0"):
        go(world, tmp_path / "run", data=[part, part], train__learning_rate=1e30)


def test_several_sets_by_their_weights(world: Path, tmp_path: Path) -> None:
    make_pictures(tmp_path / "more", 4)
    more = tmp_path / "more.jsonl"
    more.write_text("".join(json.dumps(record(n, f"{n}.png")) + "\n" for n in range(4)))
    first = {"path": str(world / "data.json"), "images": str(world / "pictures"), "weight": 0.5}
    second = {"path": str(more), "images": str(tmp_path / "more"), "weight": 3}
    said: list[str] = []
    go(world, tmp_path / "run", report=said.append, data=[first, second])
    assert any(line.startswith("32 samples an epoch, 4 steps") for line in said)


# --- what is told ---------------------------------------------------------------------------------


def validation(world: Path) -> dict[str, Any]:
    folder = world / "held-out"
    part = {"path": str(folder / "data.json"), "images": str(folder / "pictures"), "samples": 2}
    return {"validation": part}


def test_metrics_answers_and_tensorboard(world: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    settings = {**validation(world), "log__evaluate_every": 3, "log__tensorboard": True}
    go(world, output, **FROZEN, **settings)
    lines = metrics(output)
    assert [line["step"] for line in lines] == [1, 2, 3, 3, 4, 5, 5]
    told = {key for line in lines for key in line}
    assert told == {
        *("step", "minutes", "loss", "validation_loss", "learning_rate"),
        *("tokens_per_second", "waiting_share", "memory_gb"),
    }
    assert all(line["tokens_per_second"] > 0 for line in lines if "loss" in line)
    assert all(0 <= line["waiting_share"] <= 1 for line in lines if "loss" in line)
    answers = [json.loads(line) for line in (output / "answers.jsonl").read_text().split("\n")[:-1]]
    assert [(a["step"], a["record"]) for a in answers] == [
        (step, name) for step in (3, 5) for name in ("r0", "r1")
    ]
    assert answers[0]["question"] == "What is it?" and answers[0]["reference"] == "A red one. "
    assert [path for path in (output / "tensorboard").iterdir() if "tfevents" in path.name]


class Trackio(ModuleType):
    """As much of the library as training uses: it needs packages that change other servers, so it
    is not among the tests' requirements."""

    def __init__(self) -> None:
        super().__init__("trackio")
        self.begun: list[tuple[str, str, str]] = []
        self.figures: dict[int, dict[str, float]] = {}
        self.finished = 0

    def init(self, project: str, *, name: str, resume: str, embed: bool) -> Trackio:
        self.begun.append((project, name, resume))
        return self

    def log(self, figures: dict[str, float], *, step: int) -> None:
        self.figures[step] = figures

    def finish(self) -> None:
        self.finished += 1


def test_trackio_by_choice(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(TrainingError, match=r"pip install trackio.*metrics\.jsonl is written"):
        go(world, tmp_path / "run", **FROZEN, log__trackio=True)
    library = Trackio()
    monkeypatch.setitem(sys.modules, "trackio", library)
    go(world, tmp_path / "run", **FROZEN, log__trackio=True)
    assert library.begun == [("llava-studio", "run", "allow")] and library.finished == 1
    lines = metrics(tmp_path / "run")
    assert {s: f["loss"] for s, f in library.figures.items()} == {
        line["step"]: line["loss"] for line in lines
    }


def test_validation_is_the_loss_of_those_samples(world: Path, tmp_path: Path) -> None:
    """With nothing learnt it is the first training loss of the same records."""
    held_out = validation(world)["validation"]
    data = [{"path": held_out["path"], "images": held_out["images"]}]
    settings = {**validation(world), "train__learning_rate": 1e-30, "train__batch_size": 8}
    go(world, tmp_path / "run", data=data, **FROZEN, **settings)
    first, second = metrics(tmp_path / "run")
    assert first["loss"] == pytest.approx(second["validation_loss"], rel=1e-5)


def test_the_base_learning_rate_is_told(world: Path, tmp_path: Path) -> None:
    go(world, tmp_path / "run", **LORA, train__projector_learning_rate=1e-9)
    assert max(line["learning_rate"] for line in metrics(tmp_path / "run")) > 1e-4


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_ends_the_command(world: Path, tmp_path: Path) -> None:
    recipe = write_recipe(world, tmp_path / "run", train__learning_rate=1e30, log__save_steps=1)
    assert tiny_runs.run(2, recipe) == 1
    said = recipe.with_suffix(".log").read_text()
    assert re.search(
        r"error: tiny: the (loss|gradient.s norm) of step \d+ is .*\(records \d+, ", said
    )
    assert "Traceback" not in said and "lower the learning rate" in said
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["position"]["step"] >= 1
    assert all(value.isfinite().all() for value in state["module"].values())
    assert not (tmp_path / "run" / "done").exists()


class Losing:
    """Deletes pictures when training is about to begin."""

    def __init__(self, pictures: list[Path]) -> None:
        self.pictures = pictures

    def __call__(self, line: str) -> None:
        if "samples an epoch" in line:
            for picture in self.pictures:
                picture.unlink()


@pytest.fixture
def own_world(tmp_path: Path) -> Path:
    """One whose pictures may be deleted."""
    return make_world(tmp_path / "world")


@pytest.mark.parametrize("settings", [LORA, {"train__tower": True}])
def test_a_picture_that_disappears_is_left_out_and_counted(
    own_world: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    losing = Losing([own_world / "pictures" / "7.png"])
    output = tmp_path / "run"
    go(own_world, output, report=losing, **settings, train__features="live")
    assert metrics(output)[-1]["lost_pictures"] == 1
    assert ask(loaded(output / "checkpoint"))


def test_what_is_shown_with_a_lost_picture_is_not_learnt(own_world: Path, tmp_path: Path) -> None:
    """One record alone, without its picture: nothing is learnt from it."""
    data = own_world / "one.json"
    data.write_text(json.dumps([record(0, "0.png")]))
    part = {"path": str(data), "images": str(own_world / "pictures")}
    losing = Losing([own_world / "pictures" / "0.png"])
    finished = go(own_world, tmp_path / "run", report=losing, data=[part], train__features="live")
    assert not changed(own_world / "tiny", finished)
    assert trace(tmp_path / "run") == [(1, 0.0)]


def test_too_many_lost_pictures_end_the_run(own_world: Path, tmp_path: Path) -> None:
    losing = Losing(sorted((own_world / "pictures").iterdir())[:20])
    with pytest.raises(TrainingError, match=r"pictures could not be read.*\.png.*training\.check"):
        go(own_world, tmp_path / "run", report=losing, **LORA, train__features="live")
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_a_missing_picture_is_named_before_training(own_world: Path, tmp_path: Path) -> None:
    (own_world / "pictures" / "7.png").unlink()
    with pytest.raises(PictureError, match=r"7\.png cannot be read"):
        go(own_world, tmp_path / "run")


@pytest.mark.parametrize("weight", [1.0, 0.001])
def test_nothing_to_train_on(own_world: Path, tmp_path: Path, weight: float) -> None:
    """Every answer is cut off, or the weight leaves no sample."""
    part = {
        "path": str(own_world / "data.json"),
        "images": str(own_world / "pictures"),
        "weight": weight,
    }
    max_tokens = 8 if weight == 1.0 else 256
    with pytest.raises((TrainingError, DataError), match=r"no sample.*max_tokens"):
        go(own_world, tmp_path / "run", data=[part], train__max_tokens=max_tokens)


@contextmanager
def biggest_file(size: int) -> Iterator[None]:
    """No file may grow larger, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("settings", [FROZEN, LORA])
def test_a_full_disk_at_the_end_loses_nothing(
    world: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    output = tmp_path / "run"
    go(world, tmp_path / "whole", **settings)
    with (
        biggest_file(400_000),
        pytest.raises(TrainingError, match=r"could not be written.*free some disk space"),
    ):
        go(world, output, **settings)
    assert not (output / "checkpoint").exists()
    before = metrics(output)
    finished = go(world, output, **settings)
    assert metrics(output) == before, "nothing is trained again"
    theirs = tensors(tmp_path / "whole" / "checkpoint")
    assert all(torch.equal(value, theirs[name]) for name, value in tensors(finished).items())


def test_a_full_disk_in_the_middle_keeps_the_last_state(world: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    go(world, tmp_path / "before")  # renders and computes the features
    with (
        biggest_file(900_000),
        pytest.raises(TrainingError, match="the state could not be written"),
    ):
        go(world, output, log__save_steps=2)
    assert not list(output.glob("state*"))
    go(world, output, log__save_steps=2)
    assert trace(output) == trace(tmp_path / "before")


def test_another_recipe_does_not_go_on(world: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    go(world, output, **FROZEN)
    (output / "done").unlink()
    with pytest.raises(TrainingError, match=r"begun with another recipe: train changed.*another"):
        go(world, output, **FROZEN, train__learning_rate=0.5)
    go(world, output, **FROZEN, log__every=2, name="other")


def test_what_was_refused_leaves_nothing_behind(world: Path, tmp_path: Path) -> None:
    """Another checkpoint may be trained into the folder where a first start failed."""
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps({"id": "a", "conversations": []}) + "\n")
    with pytest.raises(DataError):
        go(world, tmp_path / "run", data=[{"path": str(bad)}])
    other = tiny_runs.make_world(tmp_path / "other")
    tokenizer = other / "tiny" / "tokenizer_config.json"
    tokenizer.write_text(tokenizer.read_text().replace('"</s>"', '"<pad>"'))
    go(other, tmp_path / "run", **FROZEN)
    kept = json.loads((tmp_path / "run" / "tokenizer" / "tokenizer_config.json").read_text())
    assert kept["eos_token"] == "<pad>"


def test_a_finished_run_is_not_run_again(world: Path, tmp_path: Path) -> None:
    finished = go(world, tmp_path / "run", **FROZEN)
    stamp = (finished / "config.json").stat().st_mtime_ns
    said: list[str] = []
    assert go(world, tmp_path / "run", report=said.append, **FROZEN) == finished
    assert len(said) == 1 and "is finished. Remove" in said[0]
    assert (finished / "config.json").stat().st_mtime_ns == stamp


def test_the_command_tells_mistakes_without_a_traceback(world: Path, tmp_path: Path) -> None:
    broken = write_recipe(world, tmp_path / "broken", train__speed=3)
    assert tiny_runs.run(2, broken) == 2
    assert "train.speed: there is no such key" in broken.with_suffix(".log").read_text()
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps({"id": "a", "conversations": []}) + "\n")
    records = write_recipe(world, tmp_path / "records", data=[{"path": str(bad)}])
    assert tiny_runs.run(2, records) == 1
    said = records.with_suffix(".log").read_text()
    assert "error: 1 of 1 records" in said and "Traceback" not in said
    inside = write_recipe(world, tmp_path / "inside")
    assert tiny_runs.run(2, inside, f"output={bad / 'run'}") == 1
    said = inside.with_suffix(".log").read_text()
    assert "Not a directory" in said and "Traceback" not in said

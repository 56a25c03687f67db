"""Two processes train as one does: the same losses, whatever the batches hold."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from llava_core.loading import load_checkpoint
from tests.training.tiny_runs import (
    SECONDS,
    as_rank,
    finish,
    free_port,
    make_data,
    make_parts,
    make_world,
    metrics,
    run,
    run_in_processes,
    start,
    start_command,
    trace,
    wait_for_step,
    write_recipe,
)

pytestmark = pytest.mark.timeout(900)  # for machines that do much else
LORA = {"train__language": "lora", "train__lora": {"r": 4, "alpha": 8, "dropout": 0.0}}
MODES: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": LORA,
    "frozen": {"train__language": "frozen"},
    "tower": {"train__tower": True, "train__features": "live"},
    "live": {**LORA, "train__features": "live"},
    "one sample a step": {"train__batch_size": 1, "train__epochs": 0.25},
    "checkpointing": {**LORA, "train__gradient_checkpointing": True},
    "muon": {"train__optimiser": "muon"},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A third of the records is text alone."""
    world = make_world(tmp_path_factory.mktemp("processes"), text_every=3)
    make_data(world / "held-out", 6)
    return world


def recipe_of(world: Path, output: Path, **more: Any) -> Path:
    """Micro-batches small enough that both processes have several a step."""
    settings = {"train__micro_tokens": 128, "train__epochs": 1, **more}
    return write_recipe(world, output, **settings)


def assert_near(one: Path, other: Path) -> None:
    mine, theirs = trace(one), trace(other)
    assert len(theirs) > 3 and [step for step, _ in mine] == [step for step, _ in theirs]
    assert [loss for _, loss in mine] == pytest.approx([loss for _, loss in theirs], abs=1e-5)


def weights_in(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for file in folder.glob("*.safetensors"):
        found |= load_file(file)
    assert found
    return found


@pytest.mark.parametrize("mode", MODES)
def test_two_processes_give_the_losses_of_one(world: Path, tmp_path: Path, mode: str) -> None:
    alone = recipe_of(world, tmp_path / "alone", **MODES[mode])
    together = recipe_of(world, tmp_path / "together", **MODES[mode])
    assert run(2, alone) == 0
    assert run_in_processes(2, together, 2) == [0, 0]
    assert_near(tmp_path / "together", tmp_path / "alone")


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_weights_spread_over_processes(world: Path, tmp_path: Path, mode: str) -> None:
    """FSDP 2: the losses and the checkpoint of one process, also after an interruption."""
    alone = recipe_of(world, tmp_path / "alone", **MODES[mode])
    together = recipe_of(world, tmp_path / "together", **MODES[mode])
    assert run(2, alone) == 0
    port = str(free_port())
    slowly = {"SPREAD": "1", "SLOW_FROM": "2"}
    ranks = [
        start(2, together, log=tmp_path / f"{rank}.log", **as_rank(rank, 2, port), **slowly)
        for rank in range(2)
    ]
    wait_for_step(tmp_path / "together", 2, ranks[0].is_alive)
    for rank in ranks:
        assert rank.pid
        os.kill(rank.pid, signal.SIGINT)
    assert [finish(rank) for rank in ranks] == [130, 130]
    assert (tmp_path / "together" / "state-spread").is_dir()
    assert run_in_processes(2, together, 2, SPREAD="1") == [0, 0]
    assert_near(tmp_path / "together", tmp_path / "alone")
    folder = "adapter" if mode == "lora" else "checkpoint"
    mine, theirs = (weights_in(tmp_path / name / folder) for name in ("together", "alone"))
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(mine[name], value, rtol=1e-4, atol=1e-5)


def test_text_alone_in_one_of_the_processes(world: Path, tmp_path: Path) -> None:
    """Two samples a step: often one process has a picture and the other has none."""
    settings = {**LORA, "train__batch_size": 2, "train__layout": "padded"}
    alone = recipe_of(world, tmp_path / "alone", **settings)
    together = recipe_of(world, tmp_path / "together", **settings)
    assert run(2, alone) == 0
    assert run_in_processes(2, together, 2) == [0, 0]
    assert_near(tmp_path / "together", tmp_path / "alone")


def test_a_run_of_two_processes_is_killed_and_goes_on_in_one(world: Path, tmp_path: Path) -> None:
    """A state fits any number of processes; validation and answers are told once."""
    held_out = {
        "path": str(world / "held-out" / "data.json"),
        "images": str(world / "held-out" / "pictures"),
        "samples": 1,
    }
    settings = {**LORA, "train__epochs": 2, "validation": held_out}
    alone = recipe_of(world, tmp_path / "alone", **settings)
    together = recipe_of(world, tmp_path / "together", **settings)
    assert run(2, alone) == 0
    port = str(free_port())
    ranks = [
        start(2, together, log=tmp_path / "log", SLOW_FROM="5", **as_rank(rank, 2, port))
        for rank in range(2)
    ]
    wait_for_step(tmp_path / "together", 5, ranks[0].is_alive)
    for process in ranks:
        process.kill()
        process.join(SECONDS)
    assert run(2, together) == 0
    assert "continues at step" in together.with_suffix(".log").read_text()
    assert_near(tmp_path / "together", tmp_path / "alone")
    validated = [
        line["validation_loss"]
        for name in ("together", "alone")
        for line in metrics(tmp_path / name)
        if "validation_loss" in line
    ]
    assert len(validated) == 2 and validated[0] == pytest.approx(validated[1], abs=1e-4)
    assert len((tmp_path / "together" / "answers.jsonl").read_text().splitlines()) == 1


def test_torchrun(world: Path, tmp_path: Path) -> None:
    """The command as people start it; both processes see the same finished checkpoint."""
    alone, together = recipe_of(world, tmp_path / "alone"), recipe_of(world, tmp_path / "together")
    assert run(2, alone) == 0
    launcher = ["torch.distributed.run", "--nproc_per_node", "2", "--master_port"]
    command = [*launcher, str(free_port()), "-m", "training.finetune", together]
    assert start_command(command, tmp_path / "log").wait(SECONDS) == 0
    assert_near(tmp_path / "together", tmp_path / "alone")
    assert (tmp_path / "log").read_text().count("finished:") == 1
    models = [
        load_checkpoint(tmp_path / n / "checkpoint", "32bit", "cpu").model
        for n in ("alone", "together")
    ]
    for mine, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)


def test_a_tower_and_a_language_model_are_joined_once(world: Path, tmp_path: Path) -> None:
    make_parts(tmp_path)
    parts = {"tower": str(tmp_path / "clip"), "language": str(tmp_path / "llama")}
    settings = {"model": parts, "train__language": "frozen"}
    alone = recipe_of(world, tmp_path / "alone", **settings)
    together = recipe_of(world, tmp_path / "together", **settings)
    assert run(1, alone) == 0
    assert run_in_processes(1, together, 2) == [0, 0]
    assert_near(tmp_path / "together", tmp_path / "alone")


def test_all_processes_stop_when_one_is_interrupted(world: Path, tmp_path: Path) -> None:
    output = tmp_path / "cut"
    recipe = recipe_of(world, output, train__epochs=20)
    port = str(free_port())
    ranks = [start(2, recipe, log=tmp_path / "log", **as_rank(rank, 2, port)) for rank in range(2)]
    wait_for_step(output, 3, ranks[0].is_alive)
    assert ranks[1].pid is not None
    os.kill(ranks[1].pid, signal.SIGTERM)
    assert [finish(process) for process in ranks] == [130, 130]
    state = torch.load(output / "state.pt", weights_only=True)
    assert state["position"]["step"] == trace(output)[-1][0] and len(state["random"]) == 2

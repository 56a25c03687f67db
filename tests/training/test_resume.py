"""A run that is killed, or interrupted, goes on as if nothing had happened: bit for bit."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tiny_runs import (
    SECONDS,
    Stage,
    finish,
    make_data,
    make_world,
    metrics,
    run,
    start,
    start_command,
    trace,
    wait_for_step,
    write_recipe,
)

pytestmark = pytest.mark.timeout(900)  # for machines that do much else
LORA = {"r": 4, "alpha": 8, "dropout": 0.05}
MODES: dict[str, tuple[Stage, dict[str, Any]]] = {
    "pretrain": (1, {"train__language": "frozen"}),
    "full": (2, {}),
    "lora": (2, {"train__language": "lora", "train__lora": LORA}),
    "tower": (2, {"train__tower": True, "train__features": "live"}),
    "muon": (2, {"train__optimiser": "muon"}),
    "answers": (2, {"train__language": "lora", "train__lora": LORA, "log__evaluate_every": 10}),
}
STEPS = 25


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint, 40 records, and 12 held-out ones of which one is answered."""
    world = make_world(tmp_path_factory.mktemp("resume"), text_every=5)
    make_data(world / "held-out", 12)
    return world


def recipe_of(world: Path, mode: str, output: Path, **more: Any) -> Path:
    """With a validation in the last mode alone: answers take the most time."""
    held_out = world / "held-out"
    validation = {"path": str(held_out / "data.json"), "images": str(held_out / "pictures")}
    if mode == "answers":
        more["validation"] = {**validation, "samples": 1}
    return write_recipe(world, output, train__epochs=5, **MODES[mode][1], **more)


@pytest.fixture(scope="module")
def whole(world: Path) -> dict[str, Path]:
    """The folders of uninterrupted runs, by mode; empty at first."""
    return {}


def uninterrupted(whole: dict[str, Path], world: Path, mode: str) -> Path:
    """A run of this mode from start to end."""
    if mode not in whole:
        output = world / "whole" / mode
        assert run(MODES[mode][0], recipe_of(world, mode, output)) == 0
        whole[mode] = output
    return whole[mode]


def weights(output: Path) -> dict[str, torch.Tensor]:
    state = torch.load(output / "state.pt", weights_only=True)
    trained: dict[str, torch.Tensor] = state["module"]
    return trained


def figures(output: Path) -> list[tuple[int, Any, Any]]:
    return [
        (line["step"], line.get("loss"), line.get("validation_loss")) for line in metrics(output)
    ]


def assert_same_run(one: Path, other: Path) -> None:
    """The same losses, the same answers, the same weights."""
    assert [step for step, _ in trace(one)] == list(range(1, STEPS + 1))
    assert figures(one) == figures(other)
    if (other / "answers.jsonl").exists():
        assert (one / "answers.jsonl").read_text() == (other / "answers.jsonl").read_text()
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_run_goes_on_bit_for_bit(
    whole: dict[str, Path], world: Path, tmp_path: Path, mode: str
) -> None:
    stage, output = MODES[mode][0], tmp_path / "cut"
    recipe = recipe_of(world, mode, output)
    step = 10 if mode == "answers" else 8
    process = start(stage, recipe, log=tmp_path / "log", SLOW_FROM=str(step))
    wait_for_step(output, step, process.is_alive)
    process.kill()
    assert finish(process) == -signal.SIGKILL
    assert not (output / "done").exists()
    assert run(stage, recipe) == 0
    assert_same_run(output, uninterrupted(whole, world, mode))


def test_killed_again_and_again(whole: dict[str, Path], world: Path, tmp_path: Path) -> None:
    output = tmp_path / "cut"
    recipe = recipe_of(world, "lora", output)
    for step in (2, 8, 16):
        process = start(2, recipe, log=tmp_path / "log", SLOW_FROM=str(step))
        wait_for_step(output, step, process.is_alive)
        process.kill()
        finish(process)
    assert run(2, recipe) == 0
    assert_same_run(output, uninterrupted(whole, world, "lora"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_where_it_is_and_goes_on(
    whole: dict[str, Path], world: Path, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "cut"
    recipe = recipe_of(world, "lora", output)
    process = start(2, recipe, log=tmp_path / "log", SLOW_FROM="7")
    wait_for_step(output, 7, process.is_alive)
    assert process.pid is not None
    os.kill(process.pid, number)
    assert finish(process) == 130
    assert "The same command goes on" in (tmp_path / "log").read_text()
    done = torch.load(output / "state.pt", weights_only=True)["position"]["step"]
    assert done == trace(output)[-1][0], "nothing that was done is lost"
    assert run(2, recipe) == 0
    assert f"continues at step {done}" in recipe.with_suffix(".log").read_text()
    assert_same_run(output, uninterrupted(whole, world, "lora"))


def test_the_command_itself(whole: dict[str, Path], world: Path, tmp_path: Path) -> None:
    """Killed and started again, with an interpreter of its own as people start it."""
    output, log = tmp_path / "cut", tmp_path / "log"
    command = ["training.pretrain", recipe_of(world, "pretrain", output)]
    first = start_command(command, log)
    wait_for_step(output, 5, lambda: first.poll() is None)
    first.kill()
    assert first.wait(SECONDS) == -signal.SIGKILL
    assert start_command(command, log).wait(SECONDS) == 0
    assert_same_run(output, uninterrupted(whole, world, "pretrain"))


@pytest.mark.parametrize("step", [STEPS - 1, STEPS])
def test_killed_at_the_very_end(
    whole: dict[str, Path], world: Path, tmp_path: Path, step: int
) -> None:
    """Wherever the kill falls, the last figures are there once and the checkpoint is whole."""
    output = tmp_path / "cut"
    recipe = recipe_of(world, "full", output)
    process = start(2, recipe, log=tmp_path / "log")
    wait_for_step(output, step, process.is_alive)
    process.kill()
    finish(process)
    assert run(2, recipe) == 0
    assert (output / "checkpoint" / "config.json").exists()
    assert_same_run(output, uninterrupted(whole, world, "full"))


def test_the_seed_decides(whole: dict[str, Path], world: Path, tmp_path: Path) -> None:
    first = uninterrupted(whole, world, "lora")
    for name, seed in (("same", 0), ("other", 1)):
        assert run(2, recipe_of(world, "lora", tmp_path / name, train__seed=seed)) == 0
    assert_same_run(tmp_path / "same", first)
    pairs = zip(trace(tmp_path / "other"), trace(first), strict=True)
    assert sum(mine == theirs for mine, theirs in pairs) < STEPS / 4


def test_half_a_line_of_metrics_is_forgotten(world: Path, tmp_path: Path) -> None:
    """A power cut may leave one; the run goes on and every line is whole."""
    output = tmp_path / "cut"
    recipe = recipe_of(world, "pretrain", output)
    process = start(1, recipe, log=tmp_path / "log", SLOW_FROM="7")
    wait_for_step(output, 7, process.is_alive)
    process.kill()
    finish(process)
    with (output / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    assert run(1, recipe) == 0
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, STEPS + 1))

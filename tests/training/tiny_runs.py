"""Runs of the training commands on a tiny checkpoint: data, recipes, and processes to be killed.

The processes come from a server that has imported everything once, and so start in a moment; they
are clean otherwise. :func:`start_command` starts the real command instead.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from accelerate import Accelerator, FullyShardedDataParallelPlugin, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from PIL import Image
from transformers import LlamaForCausalLM

import training.run
from llava_core.training.metrics import Metrics
from tests.forks import become_a_command, forks
from tests.tiny_checkpoint import make_model, make_processor, make_tiny_checkpoint, make_tokenizer
from training.command import main

ROOT = Path(__file__).resolve().parents[2]
COLOURS = ["red", "green", "blue", "white", "black", "orange", "purple", "yellow"]
SECONDS = 300.0
"""Until a process is taken for hung; on a quiet machine none needs ten."""
Stage = Literal[1, 2]
Settings = dict[str, Any]
QUIET = {"OMP_NUM_THREADS": "1", "ACCELERATE_MIXED_PRECISION": "no"}


def record(number: int, picture: str | None) -> dict[str, Any]:
    """A record of one or two questions; longer and shorter ones alternate."""
    colour = COLOURS[number % len(COLOURS)]
    image = "<image>\n" if picture else ""
    said = [(f"{image}What is it?", f"A {colour} one. " * (1 + number % 3))]
    if number % 4 == 0:
        said.append(("Where is it?", f"At {number}."))
    turns = [
        turn
        for question, answer in said
        for turn in ({"from": "human", "value": question}, {"from": "gpt", "value": answer})
    ]
    return {"id": f"r{number}", "conversations": turns, **({"image": picture} if picture else {})}


def make_pictures(folder: Path, number: int) -> list[str]:
    """Small PNG files of different sizes and colours."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{index}.png" for index in range(number)]
    for index, name in enumerate(names):
        picture = Image.new("RGB", (20 + index % 7, 24), COLOURS[index % len(COLOURS)])
        picture.putpixel((0, 0), (index, 2 * index, 255 - index))
        picture.save(folder / name)
    return names


def make_data(folder: Path, number: int = 40, text_every: int = 0) -> Path:
    """``data.json`` with its ``pictures``; every ``text_every``-th record is text alone."""
    names = make_pictures(folder / "pictures", number)
    records = [
        record(index, None if text_every and index % text_every == 0 else name)
        for index, name in enumerate(names)
    ]
    (folder / "data.json").write_text(json.dumps(records))
    return folder / "data.json"


def make_world(folder: Path, number: int = 40, text_every: int = 0) -> Path:
    """A folder with a checkpoint ``tiny`` and data."""
    make_tiny_checkpoint(folder / "tiny")
    make_data(folder, number, text_every)
    return folder


def make_parts(folder: Path) -> Path:
    """A vision tower in ``clip`` and a language model in ``llama``, each in its own format."""
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    model.model.vision_tower.save_pretrained(folder / "clip")
    make_processor(tokenizer).image_processor.save_pretrained(folder / "clip")
    language = LlamaForCausalLM(model.config.text_config)
    language.model.load_state_dict(model.model.language_model.state_dict())
    language.save_pretrained(folder / "llama")
    tokenizer.save_pretrained(folder / "llama")
    return folder


def write_recipe(world: Path, output: Path, **settings: Any) -> Path:
    """A recipe for the world's checkpoint; ``settings`` such as ``train__seed=3``."""
    recipe: Settings = {
        "name": "tiny",
        "output": str(output),
        "cache": str(world / "cache"),
        "model": {"checkpoint": str(world / "tiny")},
        "data": [{"path": str(world / "data.json"), "images": str(world / "pictures")}],
        "train": {"learning_rate": 1e-3, "batch_size": 8, "micro_tokens": 256, "epochs": 2},
        "log": {"every": 1, "save_seconds": 1000, "save_steps": 3},
    }
    for key, value in settings.items():
        *above, last = key.split("__")
        place = recipe
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    output.parent.mkdir(parents=True, exist_ok=True)
    path = output.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def metrics(output: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``, without one that is half written."""
    path = output / "metrics.jsonl"
    whole = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in whole if line.endswith("\n")]


def trace(output: Path) -> list[tuple[int, float]]:
    """(step, loss) of every line that has a loss."""
    return [(line["step"], line["loss"]) for line in metrics(output) if "loss" in line]


# --- processes ------------------------------------------------------------------------------------


def _command(stage: Stage, arguments: list[str], log: str, environment: dict[str, str]) -> None:
    os.environ.update(QUIET | environment)
    if step := os.environ.pop("SLOW_FROM", None):
        _slow_from(int(step))
    torch.set_num_threads(1)
    if os.environ.pop("SPREAD", None):
        _spread()
    become_a_command(log)
    sys.argv = ["train", *arguments]
    raise SystemExit(main(stage, "train", None))


def _slow_from(step: int) -> None:
    """From this step on each one takes a tenth of a second longer: whoever waits for it to kill
    the run comes in time, on a busy machine too. Where in a step the kill falls stays chance."""
    write = Metrics.write

    def slowly(self: Metrics, at: int, *figures: Any) -> None:
        write(self, at, *figures)
        if at >= step:
            time.sleep(0.1)

    Metrics.write = slowly  # type: ignore[method-assign, assignment]


def _spread() -> None:
    """Weights, gradients and optimiser states spread over the processes by FSDP 2.

    accelerate gives that to GPUs alone, so its answer to what it has found is changed afterwards.
    """

    def spread(device: torch.device) -> Accelerator:
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=["LlamaDecoderLayer"],
            state_dict_type="SHARDED_STATE_DICT",
            cpu_ram_efficient_loading=False,
        )
        accelerator = Accelerator(
            cpu=True, mixed_precision="no", step_scheduler_with_optimizer=False, fsdp_plugin=plugin
        )
        for state in (PartialState, AcceleratorState):
            state._shared_state["distributed_type"] = DistributedType.FSDP
        accelerator.state.fsdp_plugin = plugin
        return accelerator

    training.run.make_accelerator = spread


def start(stage: Stage, *arguments: str | Path, log: Path, **environment: str) -> BaseProcess:
    """``python -m training.pretrain`` or ``finetune`` in a process of its own; ``SLOW_FROM=8`` lets
    whoever wants to kill it at step 8 come in time."""
    words = [str(argument) for argument in arguments]
    process = forks.Process(target=_command, args=(stage, words, str(log), environment))
    process.start()
    return process


def finish(process: BaseProcess) -> int:
    """Its exit status, once it has ended."""
    process.join(SECONDS)
    assert process.exitcode is not None, "the run does not end"
    return process.exitcode


def run(stage: Stage, recipe: Path, *settings: str) -> int:
    """The command from start to end; what it says is in ``<recipe>.log``."""
    return finish(start(stage, recipe, *settings, log=recipe.with_suffix(".log")))


def run_in_processes(
    stage: Stage, recipe: Path, number: int, *settings: str, **environment: str
) -> list[int]:
    """The same in several processes that know of each other, as torchrun starts them."""
    port = str(free_port())
    running = [
        start(
            stage,
            recipe,
            *settings,
            log=recipe.with_suffix(f".{rank}.log"),
            **as_rank(rank, number, port),
            **environment,
        )
        for rank in range(number)
    ]
    return [finish(process) for process in running]


def as_rank(rank: int, number: int, port: str) -> dict[str, str]:
    """The environment of one process of several."""
    mine, all_of_us = str(rank), str(number)
    return {
        "RANK": mine,
        "LOCAL_RANK": mine,
        "WORLD_SIZE": all_of_us,
        "LOCAL_WORLD_SIZE": all_of_us,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }


def start_command(arguments: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
    """``python -m ...`` with an interpreter of its own."""
    words = [str(argument) for argument in arguments]
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=os.environ | QUIET,
            stdout=file,
            stderr=file,
        )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_step(output: Path, step: int, alive: Callable[[], bool]) -> None:
    """Return once the metrics have the step."""
    end = time.monotonic() + SECONDS
    while not any(line["step"] >= step for line in metrics(output)):
        assert alive(), f"the run ended before step {step}"
        assert time.monotonic() < end, f"step {step} does not come"
        time.sleep(0.002)

"""Samples and useful tokens per second of training: ours against transformers' Trainer.

``python benchmarks/training_speed.py`` measures both stages with the bundled tiny LLaVA, ``--model
small`` stage 1 with a large tower on a small language model: SigLIP-so400m/14-384 and SmolLM2-135M
at a quarter of their widths, random weights. Same model, records and picture files, same batch,
precision and number of threads; each measurement in a process of its own, the sides in turns,
medians over ``--repeats``. The Trainer decodes pictures and runs the frozen tower at every step
and pads its batches, as LLaVA's own training does; ours keeps features and packs rows. Useful
tokens are those of the records with their visual tokens; padding does not count.

``--clock processor`` counts the processor time of each side instead of the time on the wall: for a
machine that does other work at the same time. It is meant for one thread (``OMP_NUM_THREADS=1``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
BUNDLED = ROOT / "assets" / "checkpoints" / "llava-tiny-stage1"
SIDES = {
    "ours": "ours",
    "ours_compiled": "ours, compile: true",
    "trainer": "Trainer",
    "trainer_grouped": "Trainer, group_by_length",
}
WARM_UP_STEPS = int(os.environ.get("WARM_UP_STEPS", "6"))
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
PIXELS = 640
"""Pictures as wide as those of COCO, saved as JPEG."""


def make_data(folder: Path, number: int, seed: int = 0) -> None:
    """Captions for stage 1 and conversations of one to twelve turns for stage 2."""
    from training.drawing import draw_image
    from training.instructions import caption_record
    from training.questions import dialogue, sample_kinds
    from training.scenes import sample_scene

    rng = random.Random(seed)
    (folder / "pictures").mkdir(parents=True)
    captions, conversations = [], []
    for index in range(number):
        scene = sample_scene(rng)
        draw_image(scene, PIXELS).save(folder / "pictures" / f"{index}.jpg", quality=90)
        caption = caption_record(index, scene)
        captions.append(caption | {"image": f"{index}.jpg"})
        turns = dialogue(scene, rng, sample_kinds(rng, "conversation", rng.randint(1, 12)))
        if turns:
            conversations.append(_record(index, turns))
    for name, records in (("stage1", captions), ("stage2", conversations)):
        (folder / f"{name}.json").write_text(json.dumps(records))


def checkpoint_for(data: Path) -> Path:
    """The bundled checkpoint, or the one that was made for this comparison."""
    made = data / "checkpoint"
    return made if made.exists() else BUNDLED


def make_small(folder: Path) -> None:
    """SigLIP-so400m/14-384 with SmolLM2-135M, both at a quarter of their widths, random weights."""
    import torch
    from transformers import (
        AutoTokenizer,
        LlamaConfig,
        LlamaForCausalLM,
        SiglipVisionConfig,
        SiglipVisionModel,
    )
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    from llava_core.assembling import add_image_token, assemble, build_processor
    from llava_core.towers import load_tower

    torch.manual_seed(0)
    tower = SiglipVisionConfig(
        hidden_size=288,
        intermediate_size=1076,
        num_hidden_layers=27,
        num_attention_heads=4,
        image_size=384,
        patch_size=14,
    )
    SiglipVisionModel(tower).save_pretrained(folder / "tower")
    size = {"height": 384, "width": 384}
    SiglipImageProcessorPil(size=size).save_pretrained(folder / "tower")
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED)
    language = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=49152,
            hidden_size=144,
            intermediate_size=384,
            num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    loaded = load_tower(folder / "tower")
    model = assemble(
        loaded,
        language,
        projector="mlp2x_gelu",
        image_token_id=add_image_token(tokenizer, language),
    )
    model.save_pretrained(folder / "checkpoint")
    build_processor(loaded, tokenizer).save_pretrained(folder / "checkpoint")


def _record(index: int, turns: list[Any]) -> dict[str, Any]:
    said = []
    for at, turn in enumerate(turns):
        said.append({"from": "human", "value": ("<image>\n" if at == 0 else "") + turn.question})
        said.append({"from": "gpt", "value": turn.answer})
    return {"id": str(index), "image": f"{index}.jpg", "conversations": said}


# --- ours -----------------------------------------------------------------------------------------


def run_ours(
    data: Path, stage: int, batch: int, steps: int, clock: str, compiled: bool = False
) -> dict[str, float]:
    """Figures of our loop, with features that were kept before."""
    from accelerate.state import AcceleratorState

    from llava_core.training.loop import LoopConfig, make_accelerator, train
    from training.models import build_model
    from training.recipe import Recipe
    from training.run import _Assembly

    recipe = Recipe.model_validate(_recipe(data, stage, batch, compiled))
    recipe.output.mkdir(parents=True, exist_ok=True)
    import torch

    accelerator = make_accelerator(torch.device("cpu"))
    checkpoint = build_model(recipe, accelerator.device)
    started = time.perf_counter()
    task = _Assembly(recipe, checkpoint, accelerator, _silent).task()
    prepared = time.perf_counter() - started
    times: list[float] = []
    on_the_wall: list[float] = []
    parts = task.part_losses

    def timed(step: int) -> Iterator[Any]:
        times.append(CLOCKS[clock]())
        on_the_wall.append(time.perf_counter())
        if step == WARM_UP_STEPS:
            task.figures()
        yield from parts(step)

    task.part_losses = timed  # type: ignore[method-assign]
    config = LoopConfig(steps=steps, save_seconds=1e9, log_every=10**9)
    train(task, config, recipe.output, _silent, "ours", accelerator)
    waited = task.figures()["waited"]
    samples = [task.steps.samples(step) for step in range(WARM_UP_STEPS, steps - 1)]
    seconds = times[steps - 1] - times[WARM_UP_STEPS]
    tokens = sum(int(task.mixture.lengths[each].sum()) for each in samples)
    AcceleratorState._reset_state()
    return {
        "samples_per_second": sum(map(len, samples)) / seconds,
        "tokens_per_second": tokens / seconds,
        "waiting_share": waited / (on_the_wall[steps - 1] - on_the_wall[WARM_UP_STEPS]),
        "prepare_seconds": prepared,
    }


def _recipe(data: Path, stage: int, batch: int, compiled: bool) -> dict[str, Any]:
    return {
        "name": "bench",
        "output": tempfile.mkdtemp(dir=data),
        "cache": data / "cache",
        "model": {"checkpoint": str(checkpoint_for(data))},
        "data": [{"path": data / f"stage{stage}.json", "images": data / "pictures"}],
        "train": {
            "language": "frozen" if stage == 1 else "full",
            "learning_rate": 1e-4,
            "batch_size": batch,
            "epochs": 1000,
            "compile": compiled,
        },
    }


def _silent(line: str) -> None:
    """Nothing is printed while it is measured."""


# --- transformers' Trainer ------------------------------------------------------------------------


def run_trainer(
    data: Path, stage: int, batch: int, steps: int, clock: str, option: str
) -> dict[str, float]:
    """Figures of ``Trainer`` on the same records, with its usual collator for LLaVA."""
    import torch
    from torch.utils.data import Dataset
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from llava_core.assembling import freeze_for_stage
    from llava_core.devices import native_bfloat16
    from llava_core.images import decode_image
    from llava_core.loading import load_checkpoint
    from llava_core.templates import expand_image_tokens
    from llava_core.training.records import RecordFile, conversation_of

    checkpoint = load_checkpoint(str(checkpoint_for(data)), "32bit", "cpu")
    model: Any = checkpoint.model
    freeze_for_stage(model, 1 if stage == 1 else 2)
    file = RecordFile(data / f"stage{stage}.json", data / "cache")
    processor: Any = checkpoint.processor
    image_id = checkpoint.renderer.image_token_id
    visual = int(model.config.image_seq_length)
    seen: list[int] = []
    times: list[float] = []

    class Records(Dataset[dict[str, Any]]):
        def __init__(self) -> None:
            self.rows = []
            for index in range(len(file)):
                record = file[index]
                rendered = checkpoint.renderer.render(
                    conversation_of(record), generation_prompt=False
                )
                rendered = expand_image_tokens(rendered, image_id, [visual])
                self.rows.append((rendered.token_ids, rendered.loss_mask, record.images[0]))

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, index: int) -> dict[str, Any]:
            ids, mask, name = self.rows[index]
            picture = decode_image((data / "pictures" / name).read_bytes())
            pixels = processor.image_processor(picture, return_tensors="pt")["pixel_values"][0]
            labels = [i if learnt else -100 for i, learnt in zip(ids, mask, strict=True)]
            return {"input_ids": ids, "labels": labels, "pixel_values": pixels, "length": len(ids)}

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        width = max(row["length"] for row in rows)
        seen.append(sum(row["length"] for row in rows))
        ids = torch.tensor([r["input_ids"] + [0] * (width - r["length"]) for r in rows])
        labels = torch.tensor([r["labels"] + [-100] * (width - r["length"]) for r in rows])
        mask = torch.tensor([[1] * r["length"] + [0] * (width - r["length"]) for r in rows])
        pixels = torch.stack([r["pixel_values"] for r in rows])
        return {"input_ids": ids, "labels": labels, "attention_mask": mask, "pixel_values": pixels}

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.append(CLOCKS[clock]())

    options: dict[str, Any] = {
        "grouped": {"train_sampling_strategy": "group_by_length"},
    }.get(option, {})
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(dir=data),
        per_device_train_batch_size=batch,
        max_steps=steps,
        learning_rate=1e-4,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        bf16=native_bfloat16(torch.device("cpu")),
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
        **options,
    )
    records = Records()
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=records,
        data_collator=collate,
        callbacks=[Clock()],
    )
    trainer.train()
    seconds = times[steps - 1] - times[WARM_UP_STEPS]
    done = steps - 1 - WARM_UP_STEPS
    mean = statistics.mean(len(ids) for ids, _, _ in records.rows)
    return {
        "samples_per_second": done * batch / seconds,
        "tokens_per_second": done * batch * mean / seconds,
    }


# --- in turns -------------------------------------------------------------------------------------


def measure(
    side: str, data: Path, stage: int, batch: int, steps: int, clock: str
) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--data", str(data)]
    command += ["--stage", str(stage), "--batch", str(batch), "--steps", str(steps)]
    command += ["--clock", clock]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def compare(stage: int, arguments: argparse.Namespace, data: Path) -> dict[str, Any]:
    """All sides in turns; medians, and how many times faster ours is."""
    clock = arguments.clock
    if stage == 1:
        first = measure("ours", data, stage, arguments.batch, WARM_UP_STEPS + 2, clock)
        print(f"threads: {os.environ.get('OMP_NUM_THREADS', os.cpu_count())}")
        print(
            f"keeping the features of {arguments.pictures} pictures once, with start-up: "
            f"{first['prepare_seconds']:.1f} s",
            flush=True,
        )
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(arguments.repeats):
        for side in SIDES:
            found[side].append(measure(side, data, stage, arguments.batch, arguments.steps, clock))
    key = "samples_per_second" if stage == 1 else "tokens_per_second"
    medians = {side: statistics.median(one[key] for one in found[side]) for side in SIDES}
    words = key.replace("_", " ").replace("second", f"{clock} second")
    print(f"stage {stage}, {words}, median of {arguments.repeats}:")
    for side, value in medians.items():
        values = ", ".join(f"{one[key]:.0f}" for one in found[side])
        print(
            f"  {SIDES[side]:26} {value:9.1f}  ({values})  ours {medians['ours'] / value:.2f}x, "
            f"compiled {medians['ours_compiled'] / value:.2f}x"
        )
    waiting = statistics.median(one["waiting_share"] for one in found["ours"])
    print(f"  ours waits for data {100 * waiting:.2f}% of the time", flush=True)
    return {"stage": stage, "unit": key, "medians": medians, "waiting_share": waiting}


def main() -> None:
    """Command line; without ``--side`` all is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("tiny", "small"), default="tiny")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--stage", type=int, choices=(1, 2))
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    if arguments.side:
        sizes = (arguments.data, arguments.stage, arguments.batch, arguments.steps, arguments.clock)
        who, _, option = arguments.side.partition("_")
        if who == "ours":
            print(json.dumps(run_ours(*sizes, compiled=bool(option))))
        else:
            print(json.dumps(run_trainer(*sizes, option)))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        make_data(data, arguments.pictures)
        if arguments.model == "small":
            make_small(data)
        stages = (1, 2) if arguments.model == "tiny" else (1,)
        results = [compare(stage, arguments, data) for stage in stages]
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

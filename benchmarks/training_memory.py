"""The most memory that training takes: stage 1, full, LoRA and QLoRA, in processes of their own.

``python benchmarks/training_memory.py`` joins a small CLIP-type tower with a Llama of 110 million
parameters (random weights), trains each way for some steps on the same records, and prints the
highest resident memory (Linux's VmHWM) between the second step and the last, on a CPU: loading,
quantising and merging are over or have not begun. A process that has only loaded the libraries is
the floor.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
BUNDLED = ROOT / "assets" / "checkpoints" / "llava-tiny-stage1"
WAYS: dict[str, dict[str, Any]] = {
    "nothing but the libraries": {},
    "stage 1 (projector alone)": {"language": "frozen"},
    "full": {"language": "full"},
    "full, gradient checkpointing": {"language": "full", "gradient_checkpointing": True},
    "LoRA r 16, weights in 32 bits": {"language": "lora", "lora": {"r": 16, "alpha": 32}},
    "QLoRA r 16, weights in 4 bits": {
        "language": "lora",
        "lora": {"r": 16, "alpha": 32},
        "precision": "4bit",
    },
    "QLoRA, gradient checkpointing": {
        "language": "lora",
        "lora": {"r": 16, "alpha": 32},
        "precision": "4bit",
        "gradient_checkpointing": True,
    },
    "LoRA, gradient checkpointing": {
        "language": "lora",
        "lora": {"r": 16, "alpha": 32},
        "gradient_checkpointing": True,
    },
}


def make_checkpoint(folder: Path) -> None:
    """A tower of 2 layers and a Llama of 12, joined."""
    import torch
    from transformers import (
        AutoTokenizer,
        CLIPVisionConfig,
        CLIPVisionModel,
        LlamaConfig,
        LlamaForCausalLM,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    from llava_core.assembling import add_image_token, assemble, build_processor
    from llava_core.towers import load_tower

    torch.manual_seed(0)
    tower = CLIPVisionConfig(hidden_size=192, num_hidden_layers=2, image_size=96, patch_size=12)
    tower.intermediate_size, tower.num_attention_heads = 768, 3
    CLIPVisionModel(tower).save_pretrained(folder / "tower")
    size = {"height": 96, "width": 96}
    CLIPImageProcessorPil(size=size, crop_size=size).save_pretrained(folder / "tower")
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED)
    language = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=32000,
            hidden_size=768,
            intermediate_size=2048,
            num_hidden_layers=12,
            num_attention_heads=12,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    loaded = load_tower(folder / "tower")
    image_id = add_image_token(tokenizer, language)
    assemble(loaded, language, image_token_id=image_id).save_pretrained(folder / "checkpoint")
    build_processor(loaded, tokenizer).save_pretrained(folder / "checkpoint")


def train_one(way: str, folder: Path) -> None:
    """A few steps, then the peak in MB on the last line."""
    from training.recipe import Recipe
    from training.run import run

    options = dict(WAYS[way])
    if options:
        precision = options.pop("precision", "32bit")
        recipe = {
            "name": "memory",
            "output": folder / f"run-{os.getpid()}",
            "cache": folder / "cache",
            "model": {"checkpoint": str(folder / "checkpoint"), "precision": precision},
            "data": [{"path": folder / "conversations.json", "images": folder / "pictures"}],
            "train": {"learning_rate": 1e-4, "batch_size": 8, "micro_tokens": 256, **options},
            "log": {"every": 1},
        }
        peaks = [0.0]

        def watch(line: str) -> None:
            if line.startswith("[memory] step 2 "):
                ctypes.CDLL("libc.so.6").malloc_trim(0)  # gives back what loading had taken
                Path("/proc/self/clear_refs").write_text("5")  # forgets the highest so far
            elif line.startswith("[memory] step"):
                peaks.append(peak_megabytes())

        run(Recipe.model_validate(recipe), 2, watch)
        print(f"{max(peaks):.0f}")
        return
    import peft  # noqa: F401

    import training.run  # noqa: F401

    print(f"{peak_megabytes():.0f}")


def peak_megabytes() -> float:
    """The highest resident memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=list(WAYS))
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.way:
        train_one(arguments.way, arguments.folder)
        return
    from training.picture_set import make_set

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_set(folder, 40, 1, seed=0)
        make_checkpoint(folder)
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{way} failed:\n{done.stderr[-2000:]}")
            print(f"{way:32} {done.stdout.split()[-1]:>6} MB", flush=True)


if __name__ == "__main__":
    main()

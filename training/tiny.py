"""``make tiny``: from nothing to the two bundled checkpoints, by the paper's two stages.

Parts: draw the pictures and write the training JSON; prepare a vision tower (dense labels) and,
beside it, a language model (text alone); compute the frozen tower's features once; stage 1 trains W
on captions; stage 2 trains W and the language model on instructions; ask held-out questions.

Every part saves as it goes and is skipped when done, so that the command can be interrupted at any
time and started again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from llava_core.assembling import assemble, freeze_for_stage
from llava_core.training.loop import LoopConfig, TrainingError, load_weights, train
from training import checkpoint
from training.instructions import (
    FIRST,
    SECOND,
    Mix,
    caption_record,
    instruction_records,
    read_json,
    write_json,
)
from training.language import LanguageTask, build_language_model
from training.plan import Plan, full_plan, quick_plan
from training.scenes import Scene
from training.stages import StageTask, compute_features, initialise_projection
from training.store import TokenStore, build_store, render_records
from training.tokenizer import IMAGE, token_id, train_tokenizer
from training.tower import TowerTask, build_tower
from training.world import dense_labels, draw_pictures

ROOT = Path(__file__).resolve().parent.parent


class Tiny:
    """The parts of the recipe, each a method that does nothing when its result is there."""

    def __init__(self, plan: Plan, output: Path) -> None:
        self.plan, self.output = plan, output
        self.folder = plan.folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    # --- data ---

    def draw(self) -> None:
        """Pictures of all sets, and the LLaVA-format JSON of both stages."""
        sets = {
            "tower": self.plan.tower_scenes,
            "instructions": self.plan.instruction_scenes,
            "further": self.plan.further_scenes,
            "held_out": self.plan.held_out_scenes,
        }
        for name, scenes in sets.items():
            path = self.pictures_path(name)
            if not path.exists():
                drawn = scenes()
                done = draw_pictures(drawn, path)
                for _ in track(done, f"drawing {name}", total=-(-len(drawn) // 500)):
                    pass
        self._write_records("instructions", self.plan.instruction_scenes)
        self._write_records("further", self.plan.further_scenes, SECOND)
        self._write_records("held_out", self.plan.held_out_scenes)

    def _write_records(
        self, name: str, scenes: Callable[[], list[Scene]], mix: Mix = FIRST
    ) -> None:
        captions, instructions = self.json_path(name, "captions"), self.json_path(name, "turns")
        if instructions.exists():
            return
        drawn = scenes()
        seed = self.plan.seed * 1000 + 5 + len(name)
        write_json([caption_record(i, scene) for i, scene in enumerate(drawn)], captions)
        records = instruction_records(list(range(len(drawn))), drawn, seed, mix)
        number = write_json(records, instructions)
        print(f"{number} records in {instructions}", flush=True)

    def pictures_path(self, name: str) -> Path:
        return self.folder / "pictures" / f"{name}.npy"

    def json_path(self, name: str, what: str) -> Path:
        return self.folder / "json" / f"{name}_{what}.json"

    def pictures(self, name: str) -> NDArray[np.uint8]:
        array: NDArray[np.uint8] = np.load(self.pictures_path(name), mmap_mode="r")
        return array

    # --- the parts that exist before LLaVA begins ---

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Trained once, then read from the folder."""
        folder = self.folder / "tokenizer"
        if not (folder / "tokenizer.json").exists():
            train_tokenizer(self.plan.seed).save_pretrained(folder)
        tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
        return tokenizer

    def tower(self) -> None:
        """Prepare the vision tower."""
        torch.manual_seed(self.plan.seed)
        tower = build_tower()
        data = dense_labels(self.plan.tower_scenes(), self.pictures("tower"))
        held_out = dense_labels(self.plan.held_out_scenes(), self.pictures("held_out"))
        task = TowerTask(tower, data, held_out, batch=self.plan.tower_batch, device=self.device)
        config = self._config("tower")
        train(task, config, self.folder / "tower", _say, "tower")

    def language(self) -> None:
        """Prepare the language model on text alone."""
        torch.manual_seed(self.plan.seed)
        tokenizer = self.tokenizer()
        task = LanguageTask(
            build_language_model(tokenizer),
            tokenizer,
            batch_tokens=self.plan.language_tokens,
            seed=self.plan.seed,
            device=self.device,
        )
        config = self._config("language")
        train(task, config, self.folder / "language", _say, "language")

    def features(self) -> None:
        """Z_v of all pictures, by the frozen tower, once."""
        tower = build_tower()
        holder = torch.nn.ModuleDict({"tower": tower})
        state = torch.load(
            self.folder / "tower" / "state.pt", map_location="cpu", weights_only=True
        )["module"]
        holder.load_state_dict({k: v for k, v in state.items() if k.startswith("tower.")})
        for name in ("instructions", "further", "held_out"):
            path = self.features_path(name)
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                pictures = self.pictures(name)
                done = compute_features(tower, pictures, path, self.device)
                for _ in track(done, f"features of {name}", total=-(-len(pictures) // 200)):
                    pass

    def features_path(self, name: str) -> Path:
        return self.folder / "features" / f"{name}.npy"

    def stores(self) -> None:
        """Render the records once."""
        self.tokenizer()
        for name in ("instructions", "further", "held_out"):
            for what in ("captions", "turns"):
                path = self.store_path(name, what)
                path.parent.mkdir(exist_ok=True)
                if not path.exists():
                    records = read_json(self.json_path(name, what))
                    chunks = render_records(records, self.folder / "tokenizer")
                    total = -(-len(records) // 1000)
                    build_store(track(chunks, f"rendering {name}", total=total)).save(path)

    def store_path(self, name: str, what: str) -> Path:
        return self.folder / "stores" / f"{name}_{what}.npz"

    # --- the paper's two stages ---

    def stage1(self) -> None:
        """Feature alignment: only W."""
        task = self._stage_task(1, "instructions")
        config = self._config("stage1")
        train(task, config, self.folder / "stage1", _say, "stage 1")

    def stage2(self) -> None:
        """End to end: W and the language model."""
        task = self._stage_task(2, "instructions")
        if not (self.folder / "stage2" / "state.pt").exists():
            load_weights(task.module, self.folder / "stage1")
        config = self._config("stage2")
        train(task, config, self.folder / "stage2", _say, "stage 2")

    def stage2b(self) -> None:
        """Stage 2 goes on, at half the learning rate, with new pictures and harder questions."""
        task = self._stage_task(2, "further", rate=0.5)
        if not (self.folder / "stage2b" / "state.pt").exists():
            load_weights(task.module, self.folder / "stage2")
        train(task, self._config("stage2b"), self.folder / "stage2b", _say, "stage 2, second part")

    def _config(self, part: str) -> LoopConfig:
        """Steps and minutes of a part, from the plan."""
        return LoopConfig(
            getattr(self.plan, f"{part}_steps"),
            getattr(self.plan, f"{part}_minutes"),
            evaluate_every=4 * self.plan.log_every,
            log_every=self.plan.log_every,
        )

    def model(self) -> LlavaForConditionalGeneration:
        """Tower, W and language model joined, with the weights prepared so far."""
        torch.manual_seed(self.plan.seed)
        tokenizer = self.tokenizer()
        tower, language = build_tower(), build_language_model(tokenizer)
        holder = torch.nn.ModuleDict({"tower": tower})
        state = torch.load(
            self.folder / "tower" / "state.pt", map_location="cpu", weights_only=True
        )["module"]
        holder.load_state_dict({k: v for k, v in state.items() if k.startswith("tower.")})
        load_weights(language, self.folder / "language")
        image_id = token_id(tokenizer, IMAGE)
        return checkpoint.join(assemble, tower, language, image_id)

    def _stage_task(self, stage: Literal[1, 2], name: str, rate: float = 1.0) -> StageTask:
        """The stage on the pictures ``name``, at ``rate`` times the usual learning rates."""
        tokenizer = self.tokenizer()
        model = self.model()
        features = np.load(self.features_path(name), mmap_mode="r")
        initialise_projection(model, features)
        freeze_for_stage(model, stage)
        what = "captions" if stage == 1 else "turns"
        held_out = (
            np.load(self.features_path("held_out"), mmap_mode="r"),
            TokenStore.load(self.store_path("held_out", "turns")),
        )
        return StageTask(
            model,
            features,
            TokenStore.load(self.store_path(name, what)),
            held_out,
            pad_id=token_id(tokenizer, "<pad>"),
            image_id=token_id(tokenizer, IMAGE),
            batch_tokens=self.plan.stage1_tokens if stage == 1 else self.plan.stage2_tokens,
            muon_lr=0.02 * rate,
            adam_lr=2e-3 * rate,
            seed=self.plan.seed,
            device=self.device,
        )

    def finish(self) -> None:
        """Both checkpoints in transformers format, and the table of held-out accuracy."""
        for stage, part in ((1, "stage1"), (2, "stage2b")):
            model = self.model()
            load_weights(model, self.folder / part)
            checkpoint.export(model, self.tokenizer(), self.output, stage)
        checkpoint.write_results(self.plan, self.output)


def _say(line: str) -> None:
    print(line, flush=True)


PARTS = (
    ("draw",),
    ("tower", "language"),
    ("features",),
    ("stores",),
    ("stage1",),
    ("stage2",),
    ("stage2b",),
)


def run_all(arguments: argparse.Namespace) -> int:
    """Run all parts in order, those of one group side by side on a CPU; then finish."""
    beside = not torch.cuda.is_available() and (os.cpu_count() or 1) > 1
    for group in PARTS:
        groups = [group] if beside else [(part,) for part in group]
        for parts in groups:
            code = _run_parts(parts, arguments)
            if code:
                return code
    return _run_parts(("finish",), arguments)


def _run_parts(parts: tuple[str, ...], arguments: argparse.Namespace) -> int:
    threads = max((os.cpu_count() or 1) // len(parts), 1)
    command = [sys.executable, "-m", "training.tiny", "--folder", str(arguments.folder)]
    command += ["--output", str(arguments.output), *(["--quick"] if arguments.quick else [])]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    children = [
        subprocess.Popen([*command, "--part", part], cwd=ROOT, env=environment) for part in parts
    ]
    try:
        return max(abs(child.wait()) for child in children)
    except KeyboardInterrupt:
        for child in children:
            child.wait()
        print("Interrupted; everything so far is kept. The same command continues.", flush=True)
        return 130


def main() -> int:
    """Command line: ``python -m training.tiny [--quick]``."""
    parser = argparse.ArgumentParser(prog="python -m training.tiny", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same path in ten minutes")
    parser.add_argument("--folder", type=Path, help="where to work (default: runs/tiny)")
    parser.add_argument("--output", type=Path, help="where the two checkpoints go")
    parser.add_argument("--part", choices=[*(p for g in PARTS for p in g), "finish"])
    arguments = parser.parse_args()
    name = "tiny-quick" if arguments.quick else "tiny"
    arguments.folder = arguments.folder or ROOT / "runs" / name
    default_output = arguments.folder / "checkpoints"
    arguments.output = arguments.output or default_output
    if arguments.part is None:
        return run_all(arguments)
    plan = (quick_plan if arguments.quick else full_plan)(arguments.folder)
    try:
        getattr(Tiny(plan, arguments.output), arguments.part)()
    except KeyboardInterrupt:
        return 130
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

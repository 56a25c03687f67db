"""From a recipe to a finished checkpoint: the parts of a run, put together."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from torch import nn

from llava_core.devices import pick_device
from llava_core.errors import CoreError
from llava_core.model import Checkpoint
from llava_core.training.attention import attend_as_before, attend_in_float32
from llava_core.training.batching import Mixture, Shape, Steps
from llava_core.training.features import Eyes, FeatureStore
from llava_core.training.inspection import questions_of, validation_loss, write_answers
from llava_core.training.loop import LoopConfig, make_accelerator, train
from llava_core.training.metrics import Board
from llava_core.training.objective import AnswerLoss
from llava_core.training.prepared import Prepared, Rendering, prepare
from llava_core.training.records import RecordFile
from llava_core.training.state import REPLICATED, has_state
from llava_core.training.task import TrainingError
from llava_core.training.tuning import Lora, Rates, Trains, count_parameters, optimisers, set_up
from llava_core.training.tuning_task import Pictures, TuningTask
from training.models import build_model, save_model
from training.recipe import DataPart, Recipe, ValidationPart

Report = Callable[[str], None]
FINISHED = "checkpoint"


@dataclass(frozen=True)
class Sets:
    """Rendered data with the paths of its pictures."""

    prepared: list[Prepared]
    paths: list[list[Path]]


def run(recipe: Recipe, stage: Literal[1, 2], report: Report = print) -> Path:
    """Train as the recipe says, or go on with it; returns the finished checkpoint's folder.

    Raises :class:`llava_core.training.records.DataError`, :class:`llava_core.errors.CoreError` and
    :class:`TrainingError`; ``KeyboardInterrupt`` after saving.
    """
    torch.manual_seed(recipe.train.seed)
    accelerator = make_accelerator(pick_device("auto"))
    said = report if accelerator.is_main_process else _silent
    finished = recipe.output / FINISHED
    if (recipe.output / "done").exists() and finished.exists():
        said(f"{finished} is finished. Remove {recipe.output} to train it again.")
        return finished
    _same_recipe(recipe, accelerator)
    with accelerator.main_process_first():
        checkpoint = build_model(recipe, accelerator.device)
    task = _Assembly(recipe, checkpoint, accelerator, said).task()
    config = _loop_config(recipe, task.steps.total)
    train(task, config, recipe.output, said, recipe.name, accelerator)
    accelerator.wait_for_everyone()
    model = _in_one_piece(recipe, task, accelerator)
    if accelerator.is_main_process:
        attend_as_before(_bare(model).model.language_model)
        try:
            save_model(recipe, checkpoint, model, finished)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"the checkpoint could not be written to {finished} ({error}). The trained state "
                "is kept: free some disk space and start the same command again."
            ) from error
        said(f"finished: {finished}\nTalk to it: python app.py --model {finished}")
    accelerator.wait_for_everyone()
    return finished


def _in_one_piece(recipe: Recipe, task: TuningTask, accelerator: Accelerator) -> Any:
    """The trained model; weights that are spread over processes (FSDP, DeepSpeed) are gathered in
    the main process, in a model built anew on the CPU, and None elsewhere."""
    if accelerator.distributed_type in REPLICATED:
        return task.objective.model
    state = accelerator.get_state_dict(task.module)
    if not accelerator.is_main_process:
        return None
    built = build_model(recipe, torch.device("cpu"))
    whole = AnswerLoss(_what_trains(recipe, built.model), None)
    whole.load_state_dict(state)
    return whole.model


def _what_trains(recipe: Recipe, model: Any) -> Any:
    """The model with what the recipe trains set to train, and adapters where it has them."""
    train, lora = recipe.train, None
    if part := train.lora:
        lora = Lora(part.r, part.alpha, part.dropout, tuple(part.targets))
    torch.manual_seed(train.seed)
    return set_up(model, Trains(train.language, train.tower, train.projector), lora)


def _loop_config(recipe: Recipe, steps: int) -> LoopConfig:
    train, log = recipe.train, recipe.log
    wished: dict[Board, bool] = {"tensorboard": log.tensorboard, "trackio": log.trackio}
    return LoopConfig(
        steps=steps,
        clip=train.clip,
        warm_up=train.warm_up,
        floor=0.0,
        save_seconds=log.save_seconds,
        save_steps=log.save_steps,
        log_every=log.every,
        evaluate_every=log.evaluate_every,
        boards=tuple(board for board, yes in wished.items() if yes),
    )


def _same_recipe(recipe: Recipe, accelerator: Accelerator) -> None:
    """A run goes on with the recipe that it began with; what is only told may change."""
    path = recipe.output / "recipe.json"
    kept = json.loads(recipe.model_dump_json(exclude={"log", "cache", "name"}))
    if path.exists() and has_state(recipe.output):
        former = json.loads(path.read_text())
        changed = sorted(key for key in kept if kept[key] != former.get(key))
        if changed:
            raise TrainingError(
                f"{recipe.output} was begun with another recipe: {', '.join(changed)} changed. "
                "Choose another output folder, or remove this one to begin anew."
            )
    if accelerator.is_main_process:
        recipe.output.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(kept, indent=2) + "\n")
        os.replace(draft, path)
    accelerator.wait_for_everyone()


class _Assembly:
    """Data, pictures, objective and optimisers of a run."""

    def __init__(
        self, recipe: Recipe, checkpoint: Checkpoint, accelerator: Accelerator, report: Report
    ) -> None:
        self.recipe, self.checkpoint, self.accelerator = recipe, checkpoint, accelerator
        self.report = report
        self.device = accelerator.device
        self.eyes = Eyes(checkpoint.model, _image_processor(checkpoint))
        self.pad_id = _pad_id(checkpoint)

    def task(self) -> TuningTask:
        """Everything, ready for the loop."""
        recipe, train = self.recipe, self.recipe.train
        with self.accelerator.main_process_first():
            sets = self._sets(recipe.data)
            held_out = self._sets([recipe.validation]) if recipe.validation else None
        store = self._store([sets, held_out])
        pictures = Pictures(self.eyes, sets.paths, store, train.tower)
        mixture = Mixture(sets.prepared, [part.weight for part in recipe.data], train.seed)
        if not len(mixture):
            raise TrainingError(
                "no sample is left to train on. Raise train.max_tokens, so that answers fit into "
                "it, or the weights of the data."
            )
        model = self._what_trains()
        objective = AnswerLoss(model, self.eyes.encode, train.tower)
        attend_in_float32(objective.parts.language_model, self.device)
        if train.compile:
            objective.parts.language_model.compile(dynamic=True)
        trains, whole = count_parameters(objective)
        steps = Steps(mixture, train.batch_size, train.epochs)
        self.report(
            f"{len(mixture)} samples an epoch, {steps.total} steps, "
            f"{trains:,} of {whole:,} parameters train"
        )
        return TuningTask(
            objective,
            optimisers(objective, _rates(recipe), train.optimiser),
            steps,
            self._shape(),
            pictures,
            pad_id=self.pad_id,
            evaluate_with=self._evaluation(held_out, store) if held_out else None,
        )

    def _sets(self, parts: list[DataPart] | list[ValidationPart]) -> Sets:
        rendering = Rendering(
            tokenizer=self._tokenizer_folder(),
            template=self.checkpoint.renderer.chat_template,
            image_token=self.checkpoint.renderer.image_token,
            visual_tokens=_visual_tokens(self.checkpoint),
            max_tokens=min(self.recipe.train.max_tokens, self.checkpoint.context_length),
        )
        prepared, paths = [], []
        for part in parts:
            one = prepare(part.path, rendering, self.recipe.cache, self._progress("rendering"))
            self._tell_cut(part.path, one)
            prepared.append(one)
            paths.append([part.images / name for name in one.names])
        return Sets(prepared, paths)

    def _tokenizer_folder(self) -> str:
        """The tokenizer as it is trained with, kept in the run's folder."""
        folder = self.recipe.output / "tokenizer"
        if self.accelerator.is_main_process:
            self.checkpoint.tokenizer.save_pretrained(folder)
        return str(folder)

    def _tell_cut(self, path: Path, prepared: Prepared) -> None:
        cut = prepared.cut
        if cut.samples:
            self.report(
                f"{path}: {cut.samples} samples are longer than max_tokens; {cut.answer_tokens} "
                f"answer tokens are cut off, {len(cut.left_out)} samples left out whole"
            )

    def _store(self, sets: list[Sets | None]) -> FeatureStore | None:
        if self.recipe.train.features == "live":
            return None
        with self.accelerator.main_process_first():
            store = FeatureStore(self.recipe.cache, self.eyes)
            paths = [path for each in sets if each for part in each.paths for path in part]
            store.fill(paths, self._progress("features"))
        return store

    def _what_trains(self) -> Any:
        train = self.recipe.train
        model = _what_trains(self.recipe, self.checkpoint.model)
        if train.tower:
            self.eyes.freeze_unused()
        if train.gradient_checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
        return model

    def _shape(self) -> Shape:
        train = self.recipe.train
        return Shape(train.layout, train.row_tokens, train.micro_tokens)

    def _evaluation(
        self, held_out: Sets, store: FeatureStore | None
    ) -> Callable[[nn.Module, int], dict[str, float]]:
        part = self.recipe.validation
        assert part is not None
        pictures = Pictures(self.eyes, held_out.paths, store, self.recipe.train.tower)
        file = RecordFile(part.path, self.recipe.cache / "records")
        records = [file[number] for number in range(min(part.samples, len(file)))]
        questions = [questions_of(record, part.images, self._open)[0] for record in records]
        loss = partial(
            validation_loss,
            held_out=held_out.prepared[0],
            pictures=pictures,
            shape=Shape("padded", 0, self.recipe.train.micro_tokens),
            pad_id=self.pad_id,
            limit=part.limit,
            device=self.device,
        )

        def evaluate(objective: nn.Module, step: int) -> dict[str, float]:
            assert isinstance(objective, AnswerLoss)
            figures = {"validation_loss": loss(objective)}
            in_one_piece = self.accelerator.distributed_type in REPLICATED
            if questions and in_one_piece and self.accelerator.is_main_process:
                now = replace(self.checkpoint, model=_bare(objective.model))
                write_answers(now, objective, questions, self.recipe.output, step)
            return figures

        return evaluate

    def _open(self, path: Path) -> Any:
        return self.eyes.open(path)

    def _progress(self, what: str) -> Callable[[int, int], None]:
        last = [-1]

        def tell(done: int, total: int) -> None:
            tenth = 10 * done // max(total, 1)
            if tenth > last[0]:
                last[0] = tenth
                self.report(f"[{what}] {done} of {total}")

        return tell


def _rates(recipe: Recipe) -> Rates:
    train = recipe.train
    return Rates(
        train.learning_rate,
        train.projector_learning_rate,
        train.tower_learning_rate,
        train.weight_decay,
    )


def _bare(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _image_processor(checkpoint: Checkpoint) -> Any:
    processor: Any = checkpoint.processor
    return processor.image_processor


def _visual_tokens(checkpoint: Checkpoint) -> int:
    """Places of a picture. Raises :class:`CoreError` where they change from picture to picture."""
    if checkpoint.model.config.model_type != "llava":
        raise CoreError(
            f"a {checkpoint.model.config.model_type} checkpoint takes other numbers of visual "
            "tokens for other pictures, which training does not know yet",
            "Use a LLaVA 1.5 checkpoint, or a tower and a language model.",
        )
    number: int = checkpoint.model.config.image_seq_length
    return number


def _pad_id(checkpoint: Checkpoint) -> int:
    tokenizer = checkpoint.tokenizer
    for candidate in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0):
        if candidate is not None:
            return int(candidate)
    return 0


def _silent(line: str) -> None:
    """What other processes than the first say."""

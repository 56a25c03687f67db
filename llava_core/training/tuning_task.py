"""Instruction tuning as a task of the loop: both stages, in full or with adapters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from llava_core.errors import PictureError
from llava_core.training.batching import Batch, Mixture, Shape, Steps, collate, lay_out
from llava_core.training.features import Eyes, FeatureStore
from llava_core.training.objective import AnswerLoss
from llava_core.training.task import Task, TrainingError

Evaluate = Callable[[nn.Module, int], dict[str, float]]
MOST_LOST = 0.01
"""The share of pictures that may be lost on the way before the run stops."""


class Pictures:
    """What the objective takes for pictures: kept features, or pixels for the tower."""

    def __init__(
        self,
        eyes: Eyes,
        paths: Sequence[Sequence[Path]],
        store: FeatureStore | None,
        tower_trains: bool,
        readers: int = 4,
    ) -> None:
        self._eyes, self._paths, self._store = eyes, paths, store
        self.tower_trains = tower_trains
        self._pool = ThreadPoolExecutor(readers, "pictures")
        self._rows = [store.rows(each) for each in paths] if store else []
        self.seen = 0
        self.lost: dict[Path, str] = {}

    def load(self, pictures: Sequence[tuple[int, int]]) -> tuple[Tensor | None, list[bool]]:
        """From the disk: Z_v or pixel values, and which pictures could not be read.

        A lost picture is grey; its answers are not learnt.
        """
        if not pictures:
            return None, []
        if self._store:
            rows = [self._rows[which][number] for which, number in pictures]
            return self._store.features(rows), [False] * len(rows)
        pixels = list(self._pool.map(self._pixels, pictures))
        self.seen += len(pixels)
        some = next((each for each in pixels if each is not None), None)
        if some is None:
            some = self._eyes.grey()
        filled = [torch.zeros_like(some) if each is None else each for each in pixels]
        return torch.stack(filled), [each is None for each in pixels]

    def see(self, loaded: Tensor | None, device: torch.device) -> Tensor | None:
        """What :meth:`load` gave, as the objective takes it, on ``device``."""
        if loaded is None or self._store or self.tower_trains:
            return None if loaded is None else loaded.to(device)
        return self._eyes.look(loaded.to(device))

    def close(self) -> None:
        """End the threads that read."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _pixels(self, picture: tuple[int, int]) -> Tensor | None:
        which, number = picture
        path = self._paths[which][number]
        try:
            return self._eyes.pixels(path)
        except PictureError as error:
            self.lost[path] = str(error)
            return None


@dataclass(frozen=True)
class _Loaded:
    """A micro-batch whose pictures have been read."""

    batch: Batch
    pictures: Tensor | None


class TuningTask(Task):
    """Steps over a mixture of prepared sets, split over processes, read one step ahead.

    ``evaluate_with`` gives figures for the log between steps; it gets the bare objective and
    how many steps are done.
    """

    def __init__(
        self,
        objective: AnswerLoss,
        optimisers: list[torch.optim.Optimizer],
        steps: Steps,
        shape: Shape,
        pictures: Pictures,
        *,
        pad_id: int,
        evaluate_with: Evaluate | None = None,
    ) -> None:
        self.module: nn.Module = objective
        self.objective, self.optimisers = objective, optimisers
        self.steps, self.shape, self.pictures, self.pad_id = steps, shape, pictures, pad_id
        self._evaluate_with = evaluate_with
        self._processes, self._rank = 1, 0
        self._device = next(objective.parameters()).device
        self._ahead: dict[int, Future[list[_Loaded]]] = {}
        self._reader = ThreadPoolExecutor(1, "next-step")
        self._tokens, self._waited, self._done = 0, 0.0, 0

    @property
    def mixture(self) -> Mixture:
        """The data."""
        return self.steps.mixture

    def prepare(self, accelerator: Accelerator) -> None:
        """Spread module and optimisers over accelerate's processes."""
        self._processes, self._rank = accelerator.num_processes, accelerator.process_index
        self._device = accelerator.device
        self.module, *optimisers = accelerator.prepare(self.module, *self.optimisers)
        self.optimisers = optimisers

    def loss(self, step: int) -> Tensor:
        """The loss of a step whose parts all fit at once."""
        return torch.stack(list(self.part_losses(step))).sum()

    def number_of_parts(self, step: int) -> int:
        """Micro-batches of this process: as many as of each other."""
        return len(self._micro_batches(step))

    def part_losses(self, step: int) -> Iterator[Tensor]:
        """Each micro-batch's share of the mean loss over all answer tokens of the step.

        Times the number of processes, because gradients are averaged over them.
        """
        loaded = self._loaded(step)
        answers = int(self.mixture.answer_tokens[self.steps.samples(step)].sum())
        self.module.train()
        self.objective.parts.vision_tower.train(self.objective.tower_trains)
        for micro in loaded:
            seen = self.pictures.see(micro.pictures, self._device)
            batch = micro.batch
            summed = self.module(
                batch.ids.to(self._device),
                batch.positions.to(self._device),
                batch.targets.to(self._device),
                seen,
            )
            self._tokens += batch.tokens
            self._done = step + 1
            yield summed * self._processes / max(answers, 1)

    def evaluate(self) -> dict[str, float]:
        """Validation loss and whatever else was asked for."""
        return self._evaluate_with(self.objective, self._done) if self._evaluate_with else {}

    def figures(self) -> dict[str, float]:
        """Tokens without padding of all processes, and seconds spent waiting for data."""
        counted = {"tokens": float(self._tokens * self._processes), "waited": self._waited}
        self._tokens, self._waited = 0, 0.0
        return counted | ({"lost_pictures": len(self.pictures.lost)} if self.pictures.lost else {})

    def name_batch(self, step: int) -> str:
        """The records of a step, by their numbers; in which set, where there are several."""
        places = [self.mixture.locate(sample) for sample in self.steps.samples(step)]
        sets = self.mixture.sets
        names = [
            f"{sets[which].numbers[at]}" + (f" of data.{which}" if len(sets) > 1 else "")
            for which, at in places[:40]
        ]
        more = f" and {len(places) - 40} more" if len(places) > 40 else ""
        return f"records {', '.join(names)}{more}"

    def close(self) -> None:
        """End the threads that read ahead."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        self.pictures.close()

    # --- reading ahead ---

    def _micro_batches(self, step: int) -> list[list[list[int]]]:
        samples = self.steps.samples(step)
        return lay_out(samples, self.mixture.lengths, self.shape, self._processes)[self._rank]

    def _loaded(self, step: int) -> list[_Loaded]:
        started = time.perf_counter()
        future = self._ahead.pop(step, None)
        loaded = future.result() if future else self._load(step)
        self._waited += time.perf_counter() - started
        if step + 1 < self.steps.total:
            self._ahead = {step + 1: self._reader.submit(self._load, step + 1)}
        self._check_losses()
        return loaded

    def _load(self, step: int) -> list[_Loaded]:
        return [self._load_micro(micro) for micro in self._micro_batches(step)]

    def _load_micro(self, micro: list[list[int]]) -> _Loaded:
        batch = collate(micro, self.mixture, self.pad_id)
        pictures, lost = self.pictures.load(batch.pictures)
        if any(lost):
            batch = self._without(batch, micro, lost)
        return _Loaded(batch, pictures)

    def _without(self, batch: Batch, micro: list[list[int]], lost: list[bool]) -> Batch:
        """The batch with nothing to learn in samples whose pictures are lost."""
        targets = batch.targets.clone()
        at = iter(lost)
        for row_index, row in enumerate(micro):
            start = 0
            for number in row:
                sample = self.mixture.sample(number)
                end = start + len(sample.ids)
                if any([next(at) for _ in sample.pictures]):
                    targets[row_index, start:end] = -100
                start = end
        return Batch(
            batch.ids, batch.positions, targets, batch.pictures, batch.tokens, batch.packed
        )

    def _check_losses(self) -> None:
        lost = self.pictures.lost
        if len(lost) > max(MOST_LOST * self.pictures.seen, 3):
            raise TrainingError(
                f"{len(lost)} pictures could not be read. The first: {next(iter(lost.values()))} "
                "The last good state is kept. Bring them back, or check the data (training.check), "
                "and start again."
            )

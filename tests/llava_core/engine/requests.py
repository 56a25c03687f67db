"""Requests without tensors and a loop that pretends to compute them, for tests of the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from llava_core.engine.blocks import BlockPool
from llava_core.engine.request import Picture, Request, keys_of
from llava_core.engine.scheduler import Limits, Plan, Scheduler
from llava_core.model import ModelInputs

ANSWER = 500
"""Answers are the tokens from here on: the n-th token of one is ANSWER + n."""


class Light(Request):
    """A request with a prompt of given tokens that wants ``wants`` tokens of answer."""

    def __init__(
        self, prompt: list[int], wants: int = 1, pictures: tuple[tuple[int, int], ...] = ()
    ) -> None:
        nobody: Any = None
        super().__init__("", ModelInputs(torch.tensor([prompt])), -1, nobody, nobody)
        nothing = {"pixel_values": torch.zeros(0)}
        self.pictures = tuple(Picture(start, end, 7, nothing) for start, end in pictures)
        self.keys = keys_of(self.ids, self.pictures)
        self.wants = wants

    @property
    def said(self) -> list[int]:
        """The answer so far."""
        return self.ids[self.prompt_tokens :]

    @property
    def done(self) -> bool:
        return len(self.said) >= self.wants


@dataclass
class Step:
    """What a step was: how many tokens of each request, and who was in work after planning it."""

    plan: Plan
    rows: dict[Light, int]
    running: list[Light]


class Loop:
    """A scheduler whose steps are computed by nobody; every request gets its tokens in turn."""

    def __init__(self, blocks: int = 64, size: int = 4, **limits: int) -> None:
        self.scheduler = Scheduler(BlockPool(blocks, size), Limits(**limits))
        self.finished: list[Light] = []

    @property
    def running(self) -> list[Light]:
        return [request for request in self.scheduler.running if isinstance(request, Light)]

    @property
    def waiting(self) -> list[Light]:
        return [request for request in self.scheduler.waiting if isinstance(request, Light)]

    def add(self, *requests: Light) -> None:
        for request in requests:
            self.scheduler.add(request)

    def step(self) -> Step:
        """Plan a step and pretend to compute it."""
        done = self.plan()
        self.scheduler.advance(done.plan)
        for part in done.plan.parts:
            request = part.request
            assert isinstance(request, Light)
            if request.computed == len(request.ids):
                request.append(ANSWER + len(request.said))
                if request.done:
                    self.scheduler.finish(request)
                    self.finished.append(request)
        self.check()
        return done

    def plan(self) -> Step:
        """Plan a step; it is neither computed nor taken back."""
        plan = self.scheduler.schedule()
        rows = {part.request: part.end - part.start for part in plan.parts}
        assert len(rows) == len(plan.parts), "a request stands twice in a step"
        self.check(plan)
        return Step(plan, rows, self.running)  # type: ignore[arg-type]

    def until_done(self, most: int = 5000) -> None:
        """Step until nothing is left; fails after ``most`` steps."""
        for _ in range(most):
            if not self.scheduler.running and not self.scheduler.waiting:
                return
            self.step()
        raise AssertionError(
            f"{len(self.waiting)} wait, {len(self.running)} run after {most} steps"
        )

    def check(self, plan: Plan | None = None) -> None:
        """Nothing leaks, no limit is exceeded, and every part of a plan has its blocks."""
        scheduler, pool = self.scheduler, self.scheduler.pool
        sources = [copy.source for _, copy in plan.copies] if plan else []
        pool.check([request.owned for request in scheduler.running], sources)
        assert len(scheduler.running) <= scheduler.limits.running
        for part in plan.parts if plan else ():
            assert part.start == part.request.computed < part.end <= len(part.request.ids)
            assert part.request in scheduler.running
            assert len(part.request.owned.blocks) * pool.size >= part.end

"""Many conversations with one model at once: requests join and leave between steps."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass

import torch

from llava_core.conversation import Conversation
from llava_core.devices import free_memory, is_out_of_memory
from llava_core.engine.answer import Answer
from llava_core.engine.blocks import BlockPool
from llava_core.engine.decoder import Decoder, tower_and_projector
from llava_core.engine.features import FeatureCache
from llava_core.engine.keys_values import KeysValues
from llava_core.engine.linear import pack_linears
from llava_core.engine.request import Emit, Request
from llava_core.engine.runner import Runner
from llava_core.engine.sampling import Choice, SamplingParams, choose_all
from llava_core.engine.scheduler import Limits, Plan, Scheduler
from llava_core.errors import CacheTooSmall, CoreError, MemoryShortage, StepFailed
from llava_core.model import Checkpoint

log = logging.getLogger(__name__)

BLOCK = 16
"""Tokens of a block."""
MOST_FAILURES = 3
"""After so many failed steps in a row the engine gives up; its process is to be started again."""
FEWEST_ROWS = 8
"""To so few rows of prompts a step is cut down when memory runs out."""


@dataclass(frozen=True)
class Memory:
    """Bytes for keys and values, and for features of pictures."""

    keys_values: int
    features: int

    @classmethod
    def shared_out(cls, total: int) -> Memory:
        """A tenth for features, the rest for keys and values."""
        return cls(keys_values=total - total // 10, features=total // 10)


@dataclass
class Figures:
    """What the engine has done so far; tokens, steps, seconds."""

    steps: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    answer_tokens: int = 0
    failed_steps: int = 0
    model_seconds: float = 0.0
    step_seconds: float = 0.0


class Engine:
    """One loaded model that answers many requests at once; takes the model's weights over.

    :meth:`submit` and :meth:`cancel` may be called from any thread, :meth:`step` from one.
    """

    def __init__(
        self, checkpoint: Checkpoint, limits: Limits | None = None, memory: Memory | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.limits = limits or default_limits(checkpoint.device)
        memory = memory or default_memory(checkpoint.device)
        decoder = Decoder(checkpoint.model)
        pack_linears(tower_and_projector(checkpoint.model))
        size = KeysValues.bytes_of_block(decoder.shape, BLOCK, checkpoint.dtype)
        useful = 4 * self.limits.running * checkpoint.context_length // BLOCK
        blocks = max(min(memory.keys_values // size, useful), 1)
        self.cache_bytes = blocks * size
        cache = KeysValues(decoder.shape, blocks, BLOCK, checkpoint.dtype, checkpoint.device)
        self.features = FeatureCache(checkpoint.model, memory.features)
        self.scheduler = Scheduler(BlockPool(blocks, BLOCK), self.limits)
        self.figures = Figures()
        self._runner = Runner(decoder, self.features, cache, checkpoint.device)
        self._arrivals: deque[Request] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._seconds_of_answer = 1.0
        self._failed_in_a_row = 0

    # --- from any thread --------------------------------------------------------------------------

    def submit(
        self, conversation: Conversation, params: SamplingParams, emit: Emit, name: str = ""
    ) -> Request:
        """Join the line. ``emit`` gets every piece of the answer, or the error that ends it.

        Raises :class:`llava_core.errors.ContextError`, :class:`llava_core.errors.TemplateError`
        and :class:`llava_core.errors.CacheTooSmall` before any work is done.
        """
        checkpoint = self.checkpoint
        inputs = checkpoint.prepare(conversation)
        if inputs.prompt_tokens + 1 > self.capacity:
            raise CacheTooSmall(
                f"the conversation takes {inputs.prompt_tokens + 1} tokens; the cache has room for "
                f"{self.capacity}",
                "Send a shorter message or fewer pictures, or give the worker more memory.",
            )
        room = min(checkpoint.context_length, self.capacity) - inputs.prompt_tokens
        answer = Answer(checkpoint, params, inputs.prompt_tokens, min(params.max_tokens, room))
        request = Request(name, inputs, checkpoint.renderer.image_token_id, answer, emit)
        with self._changed:
            self._arrivals.append(request)
            self._changed.notify()
        return request

    def cancel(self, request: Request) -> None:
        """End an answer before the next step; its place is free after that."""
        with self._changed:
            request.cancelled = True
            self._changed.notify()

    @property
    def capacity(self) -> int:
        """Tokens that the cache of keys and values has room for."""
        return self.scheduler.pool.number * BLOCK

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self.scheduler.running)

    @property
    def waiting(self) -> int:
        """Requests in the line."""
        return len(self.scheduler.waiting) + len(self._arrivals)

    def place(self, request: Request) -> int:
        """How many requests stand before this one in the line; 0 also for one in work."""
        line = [*self.scheduler.waiting, *self._arrivals]
        return line.index(request) if request in line else 0

    def wait_seconds(self, place: int) -> float:
        """How long a request at this place of the line will wait, judging by the last answers."""
        if place == 0 and self.running < self.limits.running:
            return 0.0
        return (place + 1) * self._seconds_of_answer / self.limits.running

    def open(self) -> None:
        """Let :meth:`run` work, also after :meth:`close`."""
        with self._changed:
            self._closed = False

    def close(self) -> None:
        """End :meth:`run`; what is left is cut."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    # --- the engine's own thread ------------------------------------------------------------------

    def run(self) -> None:
        """Step while there is something to do, and sleep otherwise, until closed.

        Raises what the model has raised in several steps in a row.
        """
        while self._wait():
            self.step()
        for request in [*self.scheduler.running, *self.scheduler.waiting, *self._arrivals]:
            request.cancelled = True
        self._arrive()
        self._drop_cancelled()

    def step(self) -> None:
        """Compute one token of every answer, and a share of the prompts."""
        started = time.perf_counter()
        self._arrive()
        self._drop_cancelled()
        plan = self.scheduler.schedule()
        self._begin(plan, started)
        if plan.parts:
            choices = self._compute(plan)
            self._tell(plan, choices)
            self.figures.step_seconds += time.perf_counter() - started

    def _begin(self, plan: Plan, now: float) -> None:
        for part in plan.parts:
            if not part.request.began:
                part.request.began = now
                self.figures.reused_tokens += part.request.reused

    def _wait(self) -> bool:
        """Until there is work; False once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.running or self.waiting)
            return not self._closed

    def _arrive(self) -> None:
        with self._changed:
            while self._arrivals:
                self.scheduler.add(self._arrivals.popleft())

    def _drop_cancelled(self) -> None:
        for request in [*self.scheduler.running, *self.scheduler.waiting]:
            if request.cancelled:
                self.scheduler.finish(request)
                request.emit(request.answer.cut())

    def _compute(self, plan: Plan) -> list[Choice | CoreError]:
        """The next token of each request that is due; a step that fails is not computed at all."""
        requests = [part.request for part in plan.parts if part.chooses]
        started = time.perf_counter()
        try:
            logits = self._runner.run(plan)
            self.figures.model_seconds += time.perf_counter() - started
            samplers = [request.answer.sampler for request in requests]
            choices = choose_all(samplers, logits, [request.seen for request in requests])
        except Exception as error:
            self._step_failed(plan, error)
            return []
        self.scheduler.advance(plan)
        self._failed_in_a_row = 0
        self._count(plan, len(choices))
        return choices

    def _tell(self, plan: Plan, choices: list[Choice | CoreError]) -> None:
        requests = [part.request for part in plan.parts if part.chooses]
        for request, choice in zip(requests, choices, strict=False):
            if isinstance(choice, CoreError):
                self._fail(request, choice)
                continue
            request.append(choice.token_id)
            piece = request.answer.add(choice)
            if request.answer.finished:
                self.scheduler.finish(request)
                self.figures.requests += 1
                seconds = time.perf_counter() - request.began
                self._seconds_of_answer += 0.2 * (seconds - self._seconds_of_answer)
            request.emit(piece)

    def _count(self, plan: Plan, tokens: int) -> None:
        figures = self.figures
        figures.steps += 1
        figures.answer_tokens += tokens
        for part in plan.parts:
            if part.start < part.request.prompt_tokens:
                figures.prompt_tokens += part.end - part.start

    # --- when something goes wrong ----------------------------------------------------------------

    def _fail(self, request: Request, error: CoreError) -> None:
        """One request ends with an error; what it left in the caches is not used again."""
        self.scheduler.finish(request, spoilt=True)
        for picture in request.pictures:
            self.features.forget(picture.digest)
        request.emit(error)

    def _step_failed(self, plan: Plan, error: Exception) -> None:
        self.figures.failed_steps += 1
        if is_out_of_memory(error) and self._shrink():
            log.warning("out of memory in a step of %d rows: trying smaller steps", rows_of(plan))
            self.scheduler.withdraw(plan)
            return
        log.error("a step failed", exc_info=error)
        failed = [part.request for part in plan.parts]
        self.scheduler.withdraw(plan)
        self.scheduler.pool.forget()
        self.features.forget()
        for request in failed:
            self.scheduler.finish(request)
            request.emit(self._reason(error))
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= MOST_FAILURES:
            raise error

    def _reason(self, error: Exception) -> CoreError:
        if isinstance(error, CoreError):
            return error
        if is_out_of_memory(error):
            return MemoryShortage(
                "the device ran out of memory while answering",
                "Send a shorter message or fewer pictures, or load at a lower precision.",
            )
        return StepFailed(
            f"the model failed with {type(error).__name__}",
            "Ask again; if it stays so, look into the worker's log.",
        )

    def _shrink(self) -> bool:
        """Take less memory from now on; False where that is no longer possible."""
        limits = self.limits
        if limits.rows_alone <= FEWEST_ROWS and not self.features.bytes:
            return False
        self.features.forget()
        limits.rows_alone = max(limits.rows_alone // 2, FEWEST_ROWS)
        limits.rows_beside = min(limits.rows_beside, limits.rows_alone)
        if self.checkpoint.device.type == "cuda":
            torch.cuda.empty_cache()
        return True


def rows_of(plan: Plan) -> int:
    """Tokens computed in a step."""
    return sum(part.end - part.start for part in plan.parts)


def default_limits(device: torch.device) -> Limits:
    """What a device can do beside running answers without stalling them."""
    if device.type == "cpu":
        return Limits(running=8, rows_alone=512, rows_beside=64)
    return Limits(running=32, rows_alone=2048, rows_beside=512)


def default_memory(device: torch.device) -> Memory:
    """A quarter of a CPU's free memory, at most 4 GB, or most of a GPU's that is left."""
    share, most = (0.25, 4e9) if device.type == "cpu" else (0.8, 64e9)
    return Memory.shared_out(int(min(free_memory(device) * share, most)))

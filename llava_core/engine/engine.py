"""Many conversations with one model at once: requests join and leave between steps."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from llava_core.conversation import Conversation
from llava_core.devices import is_out_of_memory
from llava_core.engine.answer import Answer
from llava_core.engine.building import Memory, build, default_limits, default_memory
from llava_core.engine.looking import Told, looking_request
from llava_core.engine.request import Emit, Request
from llava_core.engine.sampling import Choice, SamplingParams, choose_all
from llava_core.engine.scheduler import Limits, Plan, Scheduler
from llava_core.errors import CacheTooSmall, CoreError, MemoryShortage, StepFailed
from llava_core.model import Checkpoint

log = logging.getLogger(__name__)

MOST_FAILURES = 3
"""After so many failed steps in a row the engine gives up; its process is to be started again."""
STEPS_TO_GROW = 500
FEWEST_ROWS = 8
"""To so few rows of prompts a step is cut down when memory runs out."""


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

    ``paged``: keys and values in pages for fused attention; None: where the device has it.
    :meth:`submit` and :meth:`cancel` may be called from any thread, :meth:`step` from one.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        limits: Limits | None = None,
        memory: Memory | None = None,
        paged: bool | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self._usual = limits or default_limits(checkpoint.device)
        self.limits = replace(self._usual)
        memory = memory or default_memory(checkpoint.device)
        built = build(checkpoint, self.limits, memory, paged)
        self.cache_bytes = built.cache_bytes
        self.features = built.features
        self.scheduler = Scheduler(built.pool, self.limits)
        self.figures = Figures()
        self._runner = built.runner
        self._layers = built.layers
        self._arrivals: deque[Request] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._seconds_of_answer: float | None = None
        self._failed_in_a_row = 0
        self._smallest = False

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
        self._check_room(inputs.prompt_tokens + 1)
        room = min(checkpoint.context_length, self.capacity) - inputs.prompt_tokens
        answer = Answer(checkpoint, params, inputs.prompt_tokens, min(params.max_tokens, room))
        request = Request(name, inputs, checkpoint.renderer.image_token_id, answer, emit)
        return self._join(request)

    def _check_room(self, tokens: int) -> None:
        if tokens > self.capacity:
            raise CacheTooSmall(
                f"the conversation takes {tokens} tokens; the cache has room for {self.capacity}",
                "Send a shorter message or fewer pictures, or give the worker more memory.",
            )

    def _join(self, request: Request) -> Request:
        with self._changed:
            if self._closed:
                raise StepFailed("the model is being unloaded", "Ask again in a moment.")
            self._arrivals.append(request)
            self._changed.notify()
        return request

    def explain(self, conversation: Conversation, emit: Callable[[Told], None]) -> Request:
        """Join the line to learn where the answer that ends the conversation looked.

        ``emit`` gets its words, or an error. Raises what :meth:`submit` does, and ``ValueError``
        where the last message is no answer.
        """
        inputs = self.checkpoint.prepare_answered(conversation)
        self._check_room(inputs.prompt_tokens)
        return self._join(looking_request(self.checkpoint, inputs, self._layers, emit))

    def cancel(self, request: Request) -> None:
        """End an answer before the next step; its place is free after that."""
        with self._changed:
            request.cancelled = True
            self._changed.notify()

    @property
    def capacity(self) -> int:
        """Tokens that the cache of keys and values has room for."""
        return self.scheduler.pool.number * self.scheduler.pool.size

    @property
    def running(self) -> int:
        """Requests in work."""
        return len(self.scheduler.running)

    @property
    def waiting(self) -> int:
        """Requests in the line."""
        return len(self.scheduler.waiting) + len(self._arrivals)

    def place(self, request: Request) -> int | None:
        """How many requests stand before this one in the line; None where it is not in it."""
        line = [*self.scheduler.waiting, *self._arrivals]
        return line.index(request) if request in line else None

    def wait_seconds(self, place: int) -> float | None:
        """How long a request at this place of the line will wait, judging by the last answers.

        None where there is no answer yet to judge by.
        """
        if place == 0 and self.running < self.limits.running:
            return 0.0
        if self._seconds_of_answer is None:
            return None
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
        self._failed_in_a_row, self._smallest = 0, False
        self._count(plan, len(choices))
        return choices

    def _tell(self, plan: Plan, choices: list[Choice | CoreError]) -> None:
        requests = [part.request for part in plan.parts if part.chooses]
        for request, choice in zip(requests, choices, strict=False):
            if isinstance(choice, CoreError):
                self._fail(request, choice)
                continue
            try:
                self._go_on(request, choice)
            except Exception as error:
                log.error("an answer failed", exc_info=error)
                self._fail(request, self._reason(error))

    def _go_on(self, request: Request, choice: Choice) -> None:
        """The next token of an answer, told to whoever waits for it."""
        request.append(choice.token_id)
        piece = request.answer.add(choice)
        if request.answer.finished:
            self.scheduler.finish(request)
            self.figures.requests += 1
            self._note_seconds(time.perf_counter() - request.began)
        request.emit(piece)

    def _note_seconds(self, seconds: float) -> None:
        """How long an answer took: a mean in which the last ones count most."""
        mean = seconds if self._seconds_of_answer is None else self._seconds_of_answer
        self._seconds_of_answer = mean + 0.2 * (seconds - mean)

    def _count(self, plan: Plan, tokens: int) -> None:
        figures = self.figures
        figures.steps += 1
        if figures.steps % STEPS_TO_GROW == 0 and self.limits != self._usual:
            self._grow_again()
        figures.answer_tokens += tokens
        for part in plan.parts:
            if part.start < part.request.prompt_tokens:
                figures.prompt_tokens += part.end - part.start

    # --- when something goes wrong ----------------------------------------------------------------

    def _fail(self, request: Request, error: CoreError) -> None:
        """One request ends with an error; what it left in the caches is not used again."""
        if request in self.scheduler.running:
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

    def _grow_again(self) -> None:
        """Steps that became smaller when memory ran out become larger again, by and by."""
        limits, usual = self.limits, self._usual
        limits.rows_alone = min(2 * limits.rows_alone, usual.rows_alone)
        limits.rows_beside = min(2 * limits.rows_beside, usual.rows_beside)

    def _shrink(self) -> bool:
        """Take less memory from now on; False where that is no longer possible."""
        limits = self.limits
        if self._smallest:
            return False
        self._smallest = limits.rows_alone <= FEWEST_ROWS
        self.features.forget()
        limits.rows_alone = max(limits.rows_alone // 2, FEWEST_ROWS)
        limits.rows_beside = min(limits.rows_beside, limits.rows_alone)
        if self.checkpoint.device.type == "cuda":
            torch.cuda.empty_cache()
        return True


def rows_of(plan: Plan) -> int:
    """Tokens computed in a step."""
    return sum(part.end - part.start for part in plan.parts)

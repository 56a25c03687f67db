"""Who is computed in the next step: policy alone, no tensors.

Every answer that is being written gets one token in each step. Beside them prompts are computed, a
limited number of rows a step, so that a new picture does not stall those who already read. First
come, first served; where the cache is full, the youngest request steps back and is taken up again
with all that it has written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from llava_core.engine.blocks import BlockPool, Copy, Owned
from llava_core.engine.request import Request


@dataclass
class Limits:
    """``running``: requests in work at once. Rows are tokens computed in one step: ``rows_alone``
    of prompts while nobody reads, ``rows_beside`` beside answers that are being written."""

    running: int = 8
    rows_alone: int = 512
    rows_beside: int = 64

    def __post_init__(self) -> None:
        for name in ("running", "rows_alone", "rows_beside"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class Part:
    """Tokens ``start`` to ``end`` of a request, computed in one step."""

    request: Request
    start: int
    end: int

    @property
    def chooses(self) -> bool:
        """Whether the next token can be chosen after it."""
        return self.end == len(self.request.ids)


@dataclass
class Plan:
    """One step: copies between blocks first, for the requests beside them, then the parts, answers
    before prompts."""

    parts: list[Part] = field(default_factory=list)
    copies: list[tuple[Request, Copy]] = field(default_factory=list)


class Scheduler:
    """The requests that wait and those in work, and the blocks they share."""

    def __init__(self, pool: BlockPool, limits: Limits) -> None:
        self.pool = pool
        self.limits = limits
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.preemptions = 0

    def schedule(self) -> Plan:
        """The next step; empty where there is nothing to do."""
        plan = Plan()
        self._continue_answers(plan)
        rows = self.limits.rows_beside if plan.parts else self.limits.rows_alone
        for request in self._prompts(plan):
            part = self._chunk(request, rows)
            plan.parts.append(part)
            rows -= part.end - part.start
            if rows <= 0:
                break
        return plan

    def add(self, request: Request) -> None:
        """A request joins the end of the line."""
        self.waiting.append(request)

    def advance(self, plan: Plan) -> None:
        """The step has been computed: what it left in the cache can be used by others."""
        for _, copy in plan.copies:
            self.pool.release_source(copy)
        for part in plan.parts:
            request = part.request
            request.computed = part.end
            self.pool.keep(request.owned, request.keys, request.computed)

    def finish(self, request: Request, spoilt: bool = False) -> None:
        """A request leaves, from the line or from work; a ``spoilt`` one leaves nothing behind."""
        if request in self.running:
            self.running.remove(request)
            if spoilt:
                self.pool.spoil(request.owned)
            else:
                self.pool.release(request.owned, request.keys, request.computed)
        else:
            self.waiting.remove(request)

    def withdraw(self, plan: Plan) -> None:
        """The step could not be computed; its copies are given up, and all its requests wait."""
        for request, copy in plan.copies:
            self.pool.release_source(copy)
            request.computed -= copy.tokens
        for request in list(reversed(self.running)):
            self._step_back(request)

    def _continue_answers(self, plan: Plan) -> None:
        for request in list(self.running):
            if request.answers and request in self.running and self._has_room(request):
                plan.parts.append(Part(request, request.computed, len(request.ids)))

    def _has_room(self, request: Request) -> bool:
        """Make room for the next token; the youngest step back until there is some."""
        while not self._grow(request.owned, len(request.ids)):
            youngest = self.running[-1]
            self._step_back(youngest)
            if youngest is request:
                return False
        return True

    def _grow(self, owned: Owned, tokens: int) -> bool:
        """Blocks for so many tokens, if need be those that others have been given to spare."""
        if self.pool.grow(owned, tokens):
            return True
        for request in self.running:
            self.pool.trim(request.owned, len(request.ids))
        return self.pool.grow(owned, tokens, spare=0)

    def _step_back(self, request: Request) -> None:
        """Out of the cache and to the front of the line, with all tokens."""
        self.running.remove(request)
        self.pool.release(request.owned, request.keys, request.computed)
        request.computed = 0
        self.waiting.appendleft(request)
        self.preemptions += 1

    def _prompts(self, plan: Plan) -> Iterator[Request]:
        """Requests whose prompt is not computed: those in work, then those that can be admitted."""
        yield from [request for request in self.running if not request.answers]
        while self.waiting and len(self.running) < self.limits.running:
            if not self._admit(self.waiting[0], plan):
                return
            request = self.waiting.popleft()
            self.running.append(request)
            yield request

    def _admit(self, request: Request, plan: Plan) -> bool:
        """Take over what is known of the request, and blocks for the rest; False without room."""
        owned, reused, copy = self.pool.match(request.reusable)
        grown = self._grow(owned, len(request.ids))
        if copy and not grown:  # the block to copy from may be the very room that is missing
            self.pool.release_source(copy)
            reused, copy = reused - copy.tokens, None
            grown = self._grow(owned, len(request.ids))
        if not grown:
            self.pool.release(owned)
            return False
        if copy:
            target = owned.blocks[owned.kept]
            plan.copies.append((request, Copy(copy.source, target, copy.tokens)))
        request.owned, request.computed = owned, reused
        request.reused = reused
        return True

    def _chunk(self, request: Request, rows: int) -> Part:
        """As much of the prompt as fits, with the beginning of one new picture at most."""
        start = request.computed
        end = min(start + rows, len(request.ids))
        later = [p.start for p in request.pictures if start < p.start < end]
        begun = any(p.start <= start < p.end for p in request.pictures)
        if len(later) + begun > 1:
            end = later[1 - begun]
        return Part(request, start, end)

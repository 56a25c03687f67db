"""Engines over tiny checkpoints, talks that share much with each other, and the right answers."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import replace

import torch
from PIL import Image

from llava_core.conversation import Conversation, assistant, user
from llava_core.engine.answer import FinishReason, Piece
from llava_core.engine.building import BLOCK, Memory
from llava_core.engine.decoder import Decoder
from llava_core.engine.engine import Engine
from llava_core.engine.generate import generate
from llava_core.engine.keys_values import KeysValues
from llava_core.engine.request import Request
from llava_core.engine.sampling import SamplingParams
from llava_core.engine.scheduler import Limits
from llava_core.errors import CoreError
from llava_core.model import Checkpoint

LONGEST = 24
"""Tokens of the longest answer that is compared."""
TIE = 5e-4
"""Answers are compared only where no rounding can decide: the two largest logits differ by more."""

RED, BLUE = Image.new("RGB", (50, 40), "red"), Image.new("RGB", (20, 60), "blue")
SPOTTED = Image.linear_gradient("L").convert("RGB")
FIRST = user("What colour is the star?", RED)
TALKS = (
    Conversation((FIRST,)),
    Conversation((user("Where is it?", RED),)),
    Conversation((FIRST, assistant("The star is red."), user("Where is it?"))),
    Conversation((FIRST, assistant("The star is red."), user("And here?", BLUE))),
    Conversation((user("What is different?", RED, BLUE),)),
    Conversation((user("What is different?", RED, SPOTTED),)),
    Conversation((user("Describe the picture.", SPOTTED),)),
    Conversation((user("Where is it?"),)),
    Conversation((user("Where is the star? " * 4),)),
    Conversation((user("Where is the star? " * 4 + "Here?"),)),
)


def engine_of(
    checkpoint: Checkpoint, limits: Limits | None = None, blocks: int = 256, features: int = 1 << 20
) -> Engine:
    """An engine over a copy of the model, as engines take the weights over."""
    shape = Decoder(copy.deepcopy(checkpoint.model)).shape
    memory = Memory(blocks * KeysValues.bytes_of_block(shape, BLOCK, torch.float32), features)
    own = replace(checkpoint, model=copy.deepcopy(checkpoint.model))
    return Engine(own, limits or Limits(), memory)


class Told:
    """What an engine has told about one request."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.error: CoreError | None = None
        self.over = threading.Event()

    def __call__(self, item: Piece | CoreError) -> None:
        assert not self.over.is_set(), "something comes after the end"
        if isinstance(item, CoreError):
            self.error = item
        else:
            self.pieces.append(item)
        if self.error or self.reason:
            self.over.set()

    @property
    def tokens(self) -> list[int]:
        return [piece.token_id for piece in self.pieces if piece.token_id is not None]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def reason(self) -> FinishReason | None:
        return self.pieces[-1].finish_reason if self.pieces else None


class Right:
    """The answers of plain generation, each worked out once."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._known: dict[tuple[int, SamplingParams], list[Piece]] = {}

    def tokens(self, talk: int, params: SamplingParams | None = None) -> list[int]:
        """Token ids of the answer to a talk; greedy and of up to LONGEST tokens by default."""
        return [piece.token_id for piece in self.pieces(talk, params) if piece.token_id is not None]

    def pieces(self, talk: int, params: SamplingParams | None = None) -> list[Piece]:
        params = params or SamplingParams(max_tokens=LONGEST)
        if (talk, params) not in self._known:
            self._known[talk, params] = list(generate(self.checkpoint, TALKS[talk], params))
            if params.is_argmax:
                said = [piece.token_id for piece in self._known[talk, params]]
                assert margin(self.checkpoint, TALKS[talk], said) > TIE, "choose another seed"
        return self._known[talk, params]


def margin(checkpoint: Checkpoint, talk: Conversation, said: Sequence[int | None]) -> float:
    """The smallest distance between the two largest logits along an answer."""
    inputs, model = checkpoint.prepare(talk), checkpoint.model
    with torch.inference_mode():
        prompt = model(input_ids=inputs.input_ids, logits_to_keep=1, **inputs.pictures)
        answer = model(input_ids=torch.tensor([said]), past_key_values=prompt.past_key_values)
    logits = torch.cat([prompt.logits[0], answer.logits[0, :-1]])
    best = logits.topk(2).values
    return float((best[:, 0] - best[:, 1]).min())


def ask(engine: Engine, talk: int, params: SamplingParams | None = None) -> tuple[Request, Told]:
    """Submit a talk; greedy and up to LONGEST tokens by default."""
    told = Told()
    params = params or SamplingParams(max_tokens=LONGEST)
    return engine.submit(TALKS[talk], params, told, f"talk {talk}"), told


def run_out(engine: Engine, most: int = 3000) -> int:
    """Step until nothing is left; how many steps it took. Fails after ``most`` steps."""
    for steps in range(most):
        if not engine.running and not engine.waiting:
            assert engine.scheduler.pool.used == 0
            return steps
        engine.step()
        check(engine)
    raise AssertionError(f"{engine.running} run and {engine.waiting} wait after {most} steps")


def check(engine: Engine) -> None:
    """No block has leaked, and no limit is exceeded."""
    scheduler = engine.scheduler
    scheduler.pool.check([request.owned for request in scheduler.running])
    assert len(scheduler.running) <= scheduler.limits.running

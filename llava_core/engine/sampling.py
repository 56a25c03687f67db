"""How the next token is chosen from the logits, and what is told about the choice.

The order is that of transformers: repetition penalty, temperature, top-k, top-p, min-p. All but
the search for the largest logit is computed in 64 bits on the CPU, from what is left of one row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from llava_core.errors import CoreError, NotANumber

MOST_LOGPROBS = 20
"""How many of the most likely tokens can be told at each step."""
_SHORT = 256
"""A nucleus is looked for among so many tokens, then among 16 times as many: sorting is slow."""


@dataclass(frozen=True)
class SamplingParams:
    """Sampling of one answer.

    ``temperature`` 0 is greedy. ``top_k`` keeps the k most likely tokens (0: all), ``top_p`` the
    most likely ones that together reach it (1: all), ``min_p`` those at least ``min_p`` times as
    likely as the most likely one (0: all). ``repetition_penalty`` divides positive logits of seen
    tokens and multiplies negative ones (1: off; https://arxiv.org/abs/1909.05858). ``seed`` makes
    a sampled answer repeatable, whatever else runs. ``logprobs`` is how many of the most likely
    tokens to tell at each step, 0 to 20, besides the chosen one; None: nothing.
    Raises ``ValueError``, naming the field, for values out of range and for what is no number.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: int | None = None

    def __post_init__(self) -> None:
        # Written so that NaN, for which every comparison is false, fits nowhere.
        limits = {
            "temperature": (0 <= self.temperature < math.inf, "0 or more and finite"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "top_k": (0 <= self.top_k < math.inf, "0 (off) or more"),
            "min_p": (0 <= self.min_p <= 1, "from 0 (off) to 1"),
            "repetition_penalty": (0.01 <= self.repetition_penalty <= 100, "from 0.01 to 100"),
            "max_tokens": (1 <= self.max_tokens < math.inf, "at least 1"),
            "seed": (-(2**63) <= (self.seed or 0) < 2**63, "an integer of 64 bits"),
            "logprobs": (0 <= (self.logprobs or 0) <= MOST_LOGPROBS, f"0 to {MOST_LOGPROBS}"),
        }
        for name, (fits, allowed) in limits.items():
            if not fits:
                raise ValueError(f"{name} must be {allowed}, not {getattr(self, name)}")

    @property
    def is_argmax(self) -> bool:
        """Whether the place of the largest logit is all that is needed."""
        return self.temperature == 0 and self.repetition_penalty == 1 and self.logprobs is None


@dataclass(frozen=True)
class Choice:
    """A chosen token. ``logprob`` and ``top`` (id and log-probability, the most likely first) are
    of the model's own distribution: before repetition penalty, temperature and filters, as vLLM
    tells them. They are None and empty unless asked for; ``top`` leaves out impossible tokens.
    """

    token_id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses tokens for one answer with a random generator of its own."""

    def __init__(self, params: SamplingParams) -> None:
        self.params = params
        self._generator = torch.Generator()
        if params.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(params.seed)

    def choose(self, logits: Tensor) -> int:
        """The next token's id, from logits (vocabulary,); see :meth:`pick`."""
        return self.pick(logits).token_id

    def pick(self, logits: Tensor, seen: Collection[int] = ()) -> Choice:
        """The next token, from logits (vocabulary,) on any device.

        ``seen``: ids of the prompt's text and of the answer so far, for a repetition penalty only.
        Raises :class:`llava_core.errors.NotANumber` where the logits hold NaN or plus infinity, or
        minus infinity alone.
        """
        [choice] = choose_all([self], logits[None], [seen])
        if isinstance(choice, CoreError):
            raise choice
        return choice

    def _pick(self, logits: Tensor, seen: Collection[int], largest: int) -> Choice:
        """The same from a row on the CPU whose largest logit is a number, and at ``largest``."""
        own = logits.double()
        scores = penalised(own, seen, self.params.repetition_penalty)
        if self.params.temperature > 0:
            ids, probabilities = candidates(scores, self.params)
            token = int(ids[self._draw(probabilities)])
        else:
            token = largest if scores is own else int(scores.argmax())
        return _told(own, token, self.params.logprobs)

    def _draw(self, weights: Tensor) -> int:
        """A place in ``weights`` (n,) by chance, never one of weight 0: one random number."""
        sums = weights.cumsum(0)
        # At most 1 - 2**-53 times the sum, which in 64 bits is always rounded to less than the sum.
        at = torch.rand((), dtype=torch.float64, generator=self._generator) * sums[-1]
        return int(torch.searchsorted(sums, at, right=True))


def choose_all(
    samplers: Sequence[Sampler], logits: Tensor, seen: Sequence[Collection[int]] | None = None
) -> list[Choice | CoreError]:
    """One step of several answers: for each row what :meth:`Sampler.pick` gives for it alone.

    ``logits``: (answers, vocabulary). A row that holds no number gives its error and leaves the
    others alone. All argmaxes are one operation, and so is the copy of the rows that need more.
    Raises ``ValueError`` unless there is one sampler (and one ``seen``) for each row, and where a
    repetition penalty has nothing to look at because ``seen`` is missing.
    """
    if seen is None and any(sampler.params.repetition_penalty != 1 for sampler in samplers):
        raise ValueError("a repetition penalty needs the tokens seen so far")
    seen = [()] * len(samplers) if seen is None else seen
    rows = list(zip(samplers, _largest(logits), seen, strict=True))
    choices: list[Choice | CoreError] = [
        _no_number() if largest is None else Choice(largest) for _, largest, _ in rows
    ]
    more = [i for i, (sampler, *_) in enumerate(rows) if not sampler.params.is_argmax]
    copies = logits[more].cpu() if more else ()
    for index, copy in zip(more, copies, strict=True):
        sampler, largest, ids = rows[index]
        if largest is not None:
            choices[index] = sampler._pick(copy, ids, largest)
    return choices


def penalised(scores: Tensor, seen: Collection[int], penalty: float) -> Tensor:
    """Logits (vocabulary,) with those of ``seen`` tokens made smaller, for a penalty above 1.

    The same tensor without a penalty. Ids beyond the vocabulary are left out: some models can
    read special tokens that they can never say.
    """
    if penalty == 1:
        return scores
    ids = torch.tensor([i for i in set(seen) if 0 <= i < len(scores)], dtype=torch.long)
    before = scores[ids]
    return scores.scatter(0, ids, torch.where(before < 0, before * penalty, before / penalty))


def candidates(scores: Tensor, params: SamplingParams) -> tuple[Tensor, Tensor]:
    """The tokens that temperature and filters leave, and weights in proportion to their chances.

    ``scores``: logits (vocabulary,) in 64 bits, at least one finite. Both results: (kept,). Tokens
    that are exactly as likely as the last one of the k most likely are kept, as in transformers.
    """
    scores = (scores - scores.max()) / params.temperature  # at most 0: cannot overflow
    ids = torch.arange(len(scores))
    if 0 < params.top_k < len(scores):
        ids = (scores >= scores.topk(params.top_k).values[-1]).nonzero()[:, 0]
    probabilities = scores[ids].softmax(0)
    if params.top_p == 1 and params.min_p == 0:
        return ids, probabilities
    kept = probabilities >= params.min_p * probabilities.max()
    if params.top_p < 1:
        kept &= nucleus(probabilities, params.top_p)
    return ids[kept], probabilities[kept]


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """The most likely tokens that together reach ``top_p``, as a mask (n,) that is never empty.

    ``probabilities``: (n,), of sum 1. See https://arxiv.org/abs/1904.09751.
    """
    number = _SHORT
    ordered, order = probabilities.topk(min(number, len(probabilities)))
    while number < len(probabilities) and float(ordered.sum()) < top_p:
        number *= 16
        ordered, order = probabilities.topk(min(number, len(probabilities)))
    before = ordered.cumsum(0) - ordered
    return torch.zeros_like(probabilities, dtype=torch.bool).scatter(0, order, before < top_p)


def _told(logits: Tensor, token: int, number: int | None) -> Choice:
    """The choice with its log-probability and the ``number`` most likely tokens, where asked."""
    if number is None:
        return Choice(token)
    logprobs = logits.log_softmax(0)
    values, ids = logprobs.topk(min(number, len(logprobs)))
    pairs = zip(ids.tolist(), values.tolist(), strict=True)
    return Choice(token, float(logprobs[token]), tuple(p for p in pairs if p[1] > -math.inf))


def _largest(logits: Tensor) -> list[int | None]:
    """The place of the largest logit of each row (n, vocabulary), the first of equals; None where
    it is no finite number, which is so where any logit is NaN. One copy from the device."""
    values, places = logits.max(-1)
    found: list[int] = torch.where(values.isfinite(), places, -1).tolist()
    return [None if place < 0 else place for place in found]


def _no_number() -> NotANumber:
    return NotANumber(
        "the model computed no number for the next token",
        "Ask again; if it stays so, load the model with --precision 32bit.",
    )


class TokenName(NamedTuple):
    """How one token is shown. ``text`` has replacement characters where it is a part of one.

    ``data``: the bytes that it adds to the answer; those of all tokens together are the answer in
    UTF-8. None where it adds none: special tokens, and ids beyond the tokenizer.
    """

    text: str
    data: bytes | None


class TokenNames:
    """Names single tokens of a tokenizer, of byte-level and of sentencepiece kind."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        self._special = {index: token.content for index, token in added.items() if token.special}
        # A word in front: sentencepiece drops the space of what stands first.
        self._front: list[int] = tokenizer.encode("a", add_special_tokens=False)[-1:]
        self._known: dict[int, TokenName] = {}

    def of(self, choice: Choice) -> dict[int, TokenName]:
        """The names of the chosen token and of those told beside it, by id."""
        return {index: self.name(index) for index in (choice.token_id, *dict(choice.top))}

    def name(self, token_id: int) -> TokenName:
        """The name of one token; each is worked out once."""
        if token_id not in self._known:
            self._known[token_id] = self._name(token_id)
        return self._known[token_id]

    def _name(self, token_id: int) -> TokenName:
        if token_id in self._special or token_id >= len(self._tokenizer):
            return TokenName(self._special.get(token_id, ""), None)
        text = self._decode([*self._front, token_id])[len(self._decode(self._front)) :]
        if "\ufffd" not in text:
            return TokenName(text, text.encode())
        return TokenName(text, _raw_bytes(str(self._tokenizer.convert_ids_to_tokens(token_id))))

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _raw_bytes(entry: str) -> bytes | None:
    """The bytes of a vocabulary entry: ``<0xF0>``, or one character for each byte, as GPT-2 has."""
    if found := re.fullmatch(r"<0x([0-9A-F]{2})>", entry):
        return bytes.fromhex(found[1])
    alphabet = _byte_alphabet()
    return bytes(alphabet[c] for c in entry) if set(entry) <= alphabet.keys() else None


@cache
def _byte_alphabet() -> dict[str, int]:
    """Byte-level tokenizers' character for each byte: itself, or one beyond 255 if unprintable."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(hidden)}

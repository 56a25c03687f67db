"""Computes a planned step: tensors alone, no policy."""

from __future__ import annotations

import torch
from torch import Tensor

from llava_core.engine.decoder import Attention, Decoder
from llava_core.engine.features import FeatureCache
from llava_core.engine.keys_values import KeysValues, Span
from llava_core.engine.looking import Watched
from llava_core.engine.paged import PagedKeysValues
from llava_core.engine.replay import Replay
from llava_core.engine.scheduler import Part, Plan


class Runner:
    """A model's tower, projector and language model over one cache of keys and values."""

    def __init__(
        self,
        decoder: Decoder,
        features: FeatureCache,
        cache: KeysValues | PagedKeysValues,
        device: torch.device,
        replay: Replay | None = None,
    ) -> None:
        self._decoder = decoder
        self._features = features
        self._cache = cache
        self._device = device
        self._replay = replay

    @torch.inference_mode()
    def run(self, plan: Plan) -> Tensor:
        """Logits (requests, vocabulary) of the parts after which a token is chosen, in order."""
        for _, copy in plan.copies:
            self._cache.copy(copy)
        if (logits := self._replayed(plan.parts)) is not None:
            return logits
        embedded = self._embed(plan.parts)
        attention = self._attention(plan.parts)
        positions = [place for part in plan.parts for place in range(part.start, part.end)]
        rows = self._decoder(embedded, self._tensor(positions), attention)
        last = last_rows(plan.parts)
        if not last:  # not every kind of layer takes no rows
            return rows.new_empty(0, 1)
        return self._decoder.logits(rows[self._tensor(last)] if len(last) < len(rows) else rows)

    def _attention(self, parts: list[Part]) -> Attention:
        """Attention of the step, which notes where requests look that ask for it."""
        spans, requests = spans_of(parts), [part.request for part in parts]
        inner = self._cache.step(spans)
        if all(request.watch is None for request in requests):
            return inner
        return Watched(inner, self._cache, requests, spans)

    def _replayed(self, parts: list[Part]) -> Tensor | None:
        """Logits of a step that only goes on with answers, where such steps are recorded."""
        spans = spans_of(parts)
        texts = all(part.chooses and part.end > part.request.prompt_tokens for part in parts)
        if self._replay is None or not texts or not self._replay.fits(spans):
            return None
        return self._replay.logits([part.request.ids[part.start] for part in parts], spans)

    def _embed(self, parts: list[Part]) -> Tensor:
        ids = [token for part in parts for token in part.request.ids[part.start : part.end]]
        embedded = self._decoder.embed(self._tensor(ids))
        first = 0
        for part in parts:
            self._put_pictures(embedded[first : first + part.end - part.start], part)
            first += part.end - part.start
        return embedded

    def _put_pictures(self, embedded: Tensor, part: Part) -> None:
        """Visual tokens in the place of the embeddings of image tokens."""
        for picture in part.request.pictures:
            start, end = max(picture.start, part.start), min(picture.end, part.end)
            if start < end:
                features = self._features.features(picture)
                embedded[start - part.start : end - part.start] = features[
                    start - picture.start : end - picture.start
                ]

    def _tensor(self, numbers: list[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self._device)


def spans_of(parts: list[Part]) -> list[Span]:
    """The rows of each part, one after the other."""
    spans, first = [], 0
    for part in parts:
        last = first + part.end - part.start
        spans.append(Span(first, last, part.request.owned.blocks, part.end))
        first = last
    return spans


def last_rows(parts: list[Part]) -> list[int]:
    """The rows after which a token is chosen."""
    rows, first = [], 0
    for part in parts:
        first += part.end - part.start
        if part.chooses:
            rows.append(first - 1)
    return rows

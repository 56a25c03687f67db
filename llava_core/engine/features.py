"""Features of pictures by content: a picture that comes again is not looked at again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from llava_core.engine.request import Picture


class FeatureCache:
    """The vision tower and projector of a model, with the newest results in ``limit`` bytes."""

    def __init__(self, model: PreTrainedModel, limit: int) -> None:
        self._model: Any = model
        self._limit = limit
        self._kept: OrderedDict[int, Tensor] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def features(self, picture: Picture) -> Tensor:
        """Visual tokens (tokens, hidden) of a picture.

        Raises ``RuntimeError`` where the model makes another number of them than its processor
        has announced.
        """
        if (known := self._kept.get(picture.digest)) is not None:
            self._kept.move_to_end(picture.digest)
            self.hits += 1
            return known
        self.misses += 1
        found = self._look(picture)
        self._keep(picture.digest, found)
        return found

    def forget(self, digest: int | None = None) -> None:
        """Forget one picture, or all."""
        for each in [digest] if digest is not None else list(self._kept):
            if (found := self._kept.pop(each, None)) is not None:
                self.bytes -= found.nbytes

    @torch.inference_mode()
    def _look(self, picture: Picture) -> Tensor:
        output = self._model.get_image_features(**picture.inputs, return_dict=True)
        [found] = output.pooler_output
        features: Tensor = found.reshape(-1, found.shape[-1])
        if len(features) != picture.end - picture.start:
            raise RuntimeError(
                f"the model made {len(features)} visual tokens of a picture for which its "
                f"processor announced {picture.end - picture.start}"
            )
        return features

    def _keep(self, digest: int, features: Tensor) -> None:
        self._kept[digest] = features
        self.bytes += features.nbytes
        while self.bytes > self._limit and len(self._kept) > 1:
            _digest, oldest = self._kept.popitem(last=False)
            self.bytes -= oldest.nbytes

"""The training objective: the likelihood of the answers, given pictures and questions.

Visual Instruction Tuning, equation 3: only the tokens of the answers, and the token that ends
each of them, are predicted. Logits are computed at those places alone.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AnswerLoss(nn.Module):
    """A LLaVA that gives the summed cross-entropy of a batch's answers. The module that trains.

    ``tower_trains``: pictures come as pixel values and go through the tower with gradients; else
    they come as Z_v.
    """

    def __init__(self, model: Any, encode: Any, tower_trains: bool = False) -> None:
        super().__init__()
        self.model = model
        self._encode = encode
        self.tower_trains = tower_trains

    @property
    def parts(self) -> Any:
        """transformers' LlavaModel, under whatever adapters lie around it."""
        return _llava(self.model).model

    def forward(
        self, ids: Tensor, positions: Tensor, targets: Tensor, pictures: Tensor | None
    ) -> Tensor:
        """Summed loss, a float32 scalar.

        ``ids``, ``positions``, ``targets``: (rows, T); ``pictures``: Z_v (N, visual tokens, d) or
        pixel values (N, 3, H, W), or None where the rows are text alone.
        """
        embedded = self._embed(ids, pictures)
        hidden = self.parts.language_model(
            inputs_embeds=embedded, position_ids=positions, use_cache=False
        ).last_hidden_state
        learnt = targets[:, 1:] != -100
        logits = _llava(self.model).lm_head(hidden[:, :-1][learnt])
        return F.cross_entropy(logits.float(), targets[:, 1:][learnt], reduction="sum")

    def _embed(self, ids: Tensor, pictures: Tensor | None) -> Tensor:
        words: Tensor = self.parts.get_input_embeddings()(ids)
        projector = self.parts.multi_modal_projector
        if pictures is None:
            return words + self._untouched(projector, words)
        z_v = self._encode(pictures) if self.tower_trains else pictures
        h_v = projector(z_v.to(next(projector.parameters()).dtype)).flatten(0, 1).to(words.dtype)
        image_token: int = _llava(self.model).config.image_token_id
        return words.masked_scatter((ids == image_token).unsqueeze(-1), h_v)

    def _untouched(self, projector: nn.Module, words: Tensor) -> Tensor:
        """Zero that depends on all that trains and text alone does not use: other processes wait
        for its gradients."""
        parts = [*projector.parameters()]
        if self.tower_trains:
            parts += [*self.parts.vision_tower.parameters()]
        zeros = [0.0 * parameter.sum() for parameter in parts if parameter.requires_grad]
        return torch.stack(zeros).sum().to(words.dtype) if zeros else words.new_zeros(())


def _llava(model: Any) -> Any:
    """LlavaForConditionalGeneration itself, with PEFT's adapters inside or not."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model

"""A loaded LLaVA checkpoint: the model with everything that is needed to ask it something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from llava_core.card import Card
from llava_core.conversation import Conversation
from llava_core.errors import ContextError, TemplateError
from llava_core.pixels import PixelCache
from llava_core.received import Received, received
from llava_core.templates import Rendered, Renderer, expand_image_tokens
from llava_core.views import View, view_of

Precision = Literal["32bit", "16bit", "8bit", "4bit"]
FAMILY = ("llava", "llava_next", "llava_onevision")
"""What transformers calls the architectures whose parts this project knows: a vision tower, a
projector, and a language model that reads visual tokens in the place of image tokens."""


@dataclass(frozen=True)
class ModelInputs:
    """What the model's forward takes for a prompt.

    ``input_ids``: (1, T) with one image token for each visual token; ``pictures``: the image
    processor's output, for LLaVA ``pixel_values`` (images, 3, H, W), empty without pictures.
    ``visual_tokens`` says how many of them each picture has, in order; ``answer`` where the tokens
    of the last answer begin and end, if there is one.
    """

    input_ids: Tensor
    pictures: dict[str, Tensor] = field(default_factory=dict)
    visual_tokens: tuple[int, ...] = ()
    answer: tuple[int, int] | None = None

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, visual tokens included."""
        return int(self.input_ids.shape[1])


@dataclass(frozen=True)
class Checkpoint:
    """A model with its processor, renderer and facts; made by llava_core.loading."""

    model: PreTrainedModel
    processor: ProcessorMixin
    tokenizer: PreTrainedTokenizerBase
    renderer: Renderer
    name: str
    revision: str
    precision: Precision
    device: torch.device
    context_length: int
    parameters: int
    sees: str
    suggestions: tuple[str, ...]
    template_name: str
    card: Card = field(default_factory=Card)
    pixels: PixelCache = field(default_factory=PixelCache, compare=False, repr=False)

    def prepare(self, conversation: Conversation) -> ModelInputs:
        """Render the conversation and process its pictures, on the model's device.

        Raises :class:`ContextError` where no token of an answer would fit any more.
        """
        rendered = self.renderer.render(conversation, generation_prompt=True)
        if not self.in_family:
            return self._by_processor(rendered)
        return self._inputs(rendered, room=1)

    @property
    def in_family(self) -> bool:
        """Whether it is a LLaVA; of other architectures only plain answers can be had."""
        return self.model.config.model_type in FAMILY

    def prepare_answered(self, conversation: Conversation) -> ModelInputs:
        """The same with the answer that ends the conversation, whose tokens are marked.

        Raises :class:`ContextError` where it is longer than the context, and ``ValueError`` where
        the last message is no answer.
        """
        if conversation.awaits_answer:
            raise ValueError("the last message is no answer")
        return self._inputs(self.renderer.render(conversation, generation_prompt=False), room=0)

    def _inputs(self, rendered: Rendered, room: int) -> ModelInputs:
        pictures: dict[str, Tensor] = {}
        counts: list[int] = []
        if rendered.images:
            processed = self.pixels.processed(rendered.images, self._process)
            counts = self.visual_token_counts(processed, len(rendered.images))
            pictures = self._on_device(processed)
            rendered = expand_image_tokens(rendered, self.renderer.image_token_id, counts)
        self._check_length(len(rendered.token_ids) + room)
        ids = torch.tensor([rendered.token_ids], device=self.device)
        return ModelInputs(ids, pictures, tuple(counts), last_run(rendered.loss_mask))

    def _by_processor(self, rendered: Rendered) -> ModelInputs:
        """What an architecture outside the family takes: its own processor makes all of it."""
        processor: Any = self.processor
        plain = self.tokenizer(rendered.text, add_special_tokens=False, verbose=False)
        begins = rendered.token_ids[:1] != plain["input_ids"][:1]
        try:
            made = processor(
                text=[rendered.text],
                images=list(rendered.images) or None,
                add_special_tokens=begins,
                return_tensors="pt",
            )
        except (ValueError, TypeError) as error:
            raise TemplateError(
                f"the model's processor refuses this conversation: {error}",
                "Some models need a picture, or take a single one.",
            ) from error
        inputs = self._on_device({name: made[name] for name in made if name != "labels"})
        ids = inputs.pop("input_ids")
        self._check_length(ids.shape[1] + 1)
        return ModelInputs(ids, inputs)

    def _check_length(self, needed: int) -> None:
        if needed > self.context_length:
            raise ContextError(
                f"the conversation takes {needed} tokens; the model has room for "
                f"{self.context_length}",
                "Start a new chat, or send a shorter message or fewer pictures.",
                needed=needed,
                available=self.context_length,
            )

    def views(self, conversation: Conversation) -> list[View]:
        """What the vision tower sees at once of each picture of the conversation."""
        images: Any = self.processor.image_processor
        return [view_of(images, *picture.size) for picture in conversation.images]

    def receives(self, picture: Image.Image) -> Received:
        """What the vision tower is given of a picture, and how many visual tokens it becomes."""
        processed = self._process([picture])
        [tokens] = self.visual_token_counts(processed, 1)
        images: Any = self.processor.image_processor
        return received(images, picture, processed["pixel_values"], tokens)

    def _process(self, images: list[Image.Image]) -> dict[str, Any]:
        return dict(self.processor.image_processor(images, return_tensors="pt"))

    def visual_token_counts(self, processed: dict[str, Any], number: int) -> list[int]:
        """How many visual tokens each processed picture takes, by the checkpoint's processor."""
        token = self.renderer.image_token
        return [
            self.processor.replace_image_token(processed, index).count(token)
            for index in range(number)
        ]

    def _on_device(self, processed: dict[str, Any]) -> dict[str, Tensor]:
        """The image processor's tensors on the model's device, floats in its precision."""
        return {
            name: value.to(self.device, self.dtype if value.is_floating_point() else None)
            for name, value in processed.items()
            if isinstance(value, Tensor)
        }

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights that are not quantised; pixel values are given in it."""
        return next(p.dtype for p in self.model.parameters() if p.is_floating_point())


def last_run(mask: Sequence[bool]) -> tuple[int, int] | None:
    """Where the last run of True begins and ends; None where there is none."""
    end = len(mask)
    while end and not mask[end - 1]:
        end -= 1
    start = end
    while start and mask[start - 1]:
        start -= 1
    return (start, end) if end else None

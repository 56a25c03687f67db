"""A checkpoint's processor, and the renderer for its chat template."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoProcessor, LlavaOnevisionProcessor, ProcessorMixin

from llava_core.errors import CheckpointError
from llava_core.templates import NAMED_TEMPLATES, Renderer

log = logging.getLogger(__name__)


class OnevisionPictures(LlavaOnevisionProcessor):
    """LLaVA-OneVision's processor without its part for videos, which needs torchvision.

    transformers reads from the names of these parameters what to load, and which settings.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        num_image_tokens: int | None = None,
        vision_feature_select_strategy: str | None = None,
        chat_template: str | None = None,
        image_token: str = "<image>",
        vision_aspect_ratio: str = "anyres_max_9",
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            image_processor,
            tokenizer,
            num_image_tokens=num_image_tokens,
            vision_feature_select_strategy=vision_feature_select_strategy,
            chat_template=chat_template,
            image_token=image_token,
            vision_aspect_ratio=vision_aspect_ratio,
        )


def load_processor(folder: Path) -> ProcessorMixin:
    """The checkpoint's processor, with Pillow's image processor: the originals' exact pixels.

    Raises :class:`CheckpointError` where there is none that knows how many tokens a picture takes.
    """
    try:
        kind: Any = AutoProcessor
        if AutoConfig.from_pretrained(folder).model_type == "llava_onevision":
            kind = OnevisionPictures
        processor: ProcessorMixin = kind.from_pretrained(folder, backend="pil")
    except (ValueError, KeyError, OSError, ImportError) as error:
        raise CheckpointError(
            f"{folder.name} brings no processor that can be loaded: {error}",
            "Copy tokenizer and processor files beside the weights.",
        ) from error
    if not (hasattr(processor, "replace_image_token") and hasattr(processor, "image_token")):
        raise CheckpointError(
            f"{type(processor).__name__} does not say which tokens stand for a picture",
            "Use a checkpoint of the LLaVA family.",
        )
    return processor


def renderer_of(processor: ProcessorMixin, fallback: str) -> tuple[Renderer, str]:
    """The renderer, and its template's name or hash.

    The template is the checkpoint's own; where it brings none, the one that ``fallback`` names in
    :data:`llava_core.templates.NAMED_TEMPLATES`.
    """
    tokenizer: Any = processor.tokenizer
    templates: Any = processor.chat_template or tokenizer.chat_template
    template: str | None = templates.get("default") if isinstance(templates, dict) else templates
    if template is None:
        if fallback not in NAMED_TEMPLATES:
            raise CheckpointError(
                f"studio.json names an unknown template {fallback!r}",
                f"Use one of {', '.join(NAMED_TEMPLATES)}.",
            )
        log.warning("the checkpoint brings no chat template; using %s", fallback)
        template = NAMED_TEMPLATES[fallback]
    known = {text: name for name, text in NAMED_TEMPLATES.items()}
    name = known.get(template, hashlib.sha256(template.encode()).hexdigest()[:12])
    image_token = str(processor.image_token)  # type: ignore[attr-defined]
    return Renderer(tokenizer, template, image_token), name

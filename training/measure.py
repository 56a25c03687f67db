"""What a checkpoint makes of a record: its tokens, and how many of them it learns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from llava_core.conversation import Conversation
from llava_core.errors import CheckpointError
from llava_core.templates import NAMED_TEMPLATES, Rendered, Renderer, expand_image_tokens

BUNDLED = Path(__file__).resolve().parent.parent / "assets" / "checkpoints" / "llava-tiny-stage2"
"""The checkpoint that is meant where none is named."""
VISUAL_TOKENS = 576
"""Of one picture at 336 pixels, where the checkpoint does not say (LLaVA 1.5)."""
_IMAGE = "<image>"


@dataclass(frozen=True)
class Measure:
    """Renders records as training does.

    ``visual_tokens`` of each picture; ``context``, the longest sequence the model takes, in tokens
    (None where the folder does not say).
    """

    renderer: Renderer
    visual_tokens: int
    context: int | None

    def render(self, conversation: Conversation) -> Rendered:
        """Tokens and loss mask, with room for every visual token. Raises ``TemplateError``."""
        rendered = self.renderer.render(conversation, generation_prompt=False)
        counts = [self.visual_tokens] * len(conversation.images)
        return expand_image_tokens(rendered, self.renderer.image_token_id, counts)


def load_measure(folder: Path, template: str | None = None) -> Measure:
    """The measure of a checkpoint's folder, or of a folder with nothing but a tokenizer.

    ``template`` is a name of :data:`llava_core.templates.NAMED_TEMPLATES`; it defaults to the
    folder's own template, then to ``vicuna_v1``. Raises :class:`llava_core.errors.CheckpointError`
    and ``TemplateError``.
    """
    if template is not None and template not in NAMED_TEMPLATES:
        raise CheckpointError(
            f"there is no template {template!r}", f"Name one of {', '.join(NAMED_TEMPLATES)}."
        )
    if not folder.is_dir():
        raise CheckpointError(f"there is no folder {folder}", "Name the folder of a checkpoint.")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        config: dict[str, Any] = _read(folder / "config.json")
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{folder} holds no tokenizer that can be loaded: {str(error).splitlines()[0]}",
            "Name the folder of a checkpoint, with tokenizer.json and config.json.",
        ) from error
    if tokenizer.convert_tokens_to_ids(_IMAGE) in (None, tokenizer.unk_token_id):
        tokenizer.add_tokens([_IMAGE], special_tokens=True)
    text = NAMED_TEMPLATES[template] if template else tokenizer.chat_template
    renderer = Renderer(tokenizer, text or NAMED_TEMPLATES["vicuna_v1"], _IMAGE)
    inner = config.get("text_config", config)
    context = inner.get("max_position_embeddings")
    return Measure(renderer, int(config.get("image_seq_length", VISUAL_TOKENS)), context)


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found

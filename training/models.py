"""The model of a run: loaded or joined before it, merged and written after it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from llava_core.adapters import with_adapter
from llava_core.assembling import add_image_token, assemble, build_processor
from llava_core.errors import CheckpointError
from llava_core.loading import load_checkpoint
from llava_core.model import FAMILY, Checkpoint, Precision
from llava_core.templates import NAMED_TEMPLATES, Renderer
from llava_core.towers import load_tower
from llava_core.training.tuning import merge
from training.recipe import ModelPart, Recipe

ADAPTER = "adapter"
PROJECTOR = "projector.safetensors"


def build_model(recipe: Recipe, device: torch.device) -> Checkpoint:
    """The recipe's model on the device, with its processor and the template that it trains with.

    Raises :class:`llava_core.errors.CoreError` where it cannot be loaded or does not fit.
    """
    torch.manual_seed(recipe.train.seed)
    checkpoint = _load(recipe, device)
    if recipe.model.template:
        renderer = Renderer(
            checkpoint.tokenizer,
            NAMED_TEMPLATES[recipe.model.template],
            checkpoint.renderer.image_token,
        )
        checkpoint = replace(checkpoint, renderer=renderer, template_name=recipe.model.template)
    return checkpoint


def _load(recipe: Recipe, device: torch.device) -> Checkpoint:
    precision = _precision(recipe)
    if not recipe.model.checkpoint:
        return _load(_joined(recipe), device)
    checkpoint = load_checkpoint(recipe.model.checkpoint, precision, str(device))
    if not checkpoint.in_family:
        raise CheckpointError(
            f"the architecture of {checkpoint.name}, {checkpoint.model.config.model_type}, cannot "
            "be trained here",
            f"Name a checkpoint of one of these architectures: {', '.join(FAMILY)}.",
        )
    if recipe.model.fresh_projector:
        renew_projector(checkpoint.model)
    return checkpoint


def _joined(recipe: Recipe) -> Recipe:
    """The recipe with its tower and language model joined into a checkpoint, in the run's folder.

    It is written once: an interrupted run goes on with the same first projector.
    """
    folder = recipe.output / "joined"
    if not (folder / "config.json").exists():
        draft = folder.with_suffix(".tmp")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        _join(recipe.model, draft)
        os.replace(draft, folder)
    part = recipe.model.model_copy(
        update={"checkpoint": str(folder), "tower": None, "language": None}
    )
    return recipe.model_copy(update={"model": part})


def _join(part: ModelPart, folder: Path) -> None:
    assert part.tower and part.language
    tower = load_tower(part.tower)
    try:
        kind: Any = AutoModelForCausalLM
        language = kind.from_pretrained(part.language, dtype="auto", use_safetensors=None)
        tokenizer: Any = AutoTokenizer.from_pretrained(part.language)
    except (ValueError, KeyError, OSError, RuntimeError, ImportError) as error:
        raise CheckpointError(
            f"{part.language} cannot be loaded as a language model: {error}",
            "Give a causal language model in transformers format, as a folder or hub id.",
        ) from error
    image_id = add_image_token(tokenizer, language)
    template = None if tokenizer.chat_template else "vicuna_v1"
    model = assemble(
        tower,
        language,
        projector=part.projector,
        image_token_id=image_id,
        vision_feature_layer=part.feature_layer,
    )
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.to(language.dtype).save_pretrained(folder)
    build_processor(tower, tokenizer, template=template).save_pretrained(folder)


def renew_projector(model: Any) -> None:
    """A projector that knows nothing: stage 1 from its beginning."""
    projector = model.model.multi_modal_projector
    projector.linear_1.reset_parameters()
    if model.config.projector_hidden_act != "linear":
        projector.linear_2.reset_parameters()


def _precision(recipe: Recipe) -> Precision | Literal["auto"]:
    """Weights that train in full are kept in 32 bits: 16 would lose small updates."""
    chosen = recipe.model.precision
    trains_whole_parts = recipe.train.language == "full" or recipe.train.tower
    return "32bit" if chosen == "auto" and trains_whole_parts else chosen


def save_model(recipe: Recipe, checkpoint: Checkpoint, model: Any, folder: Path) -> None:
    """Write the finished checkpoint, which the app serves; beside it the adapter, if there is one.

    The folder appears when it is whole. Raises ``OSError`` or ``SafetensorError`` where it cannot
    be written.
    """
    draft = folder.with_suffix(".tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        _whole(recipe, model).to("cpu").save_pretrained(draft)
        _processor(recipe, checkpoint).save_pretrained(draft)
        _write_about(recipe, checkpoint, draft)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _processor(recipe: Recipe, checkpoint: Checkpoint) -> Any:
    """The processor with the template that was trained with; "plain" is for captions alone."""
    processor: Any = checkpoint.processor
    if recipe.model.template != "plain":
        processor.chat_template = checkpoint.renderer.chat_template
        processor.tokenizer.chat_template = checkpoint.renderer.chat_template
    return processor


def _whole(recipe: Recipe, model: Any) -> Any:
    """The model without adapters, which are added to its weights and written to their own folder;
    where the weights are quantised, with the original ones, loaded again."""
    has_adapter = hasattr(model, "merge_and_unload")
    base = model.get_base_model() if has_adapter else model
    projector = base.model.multi_modal_projector.state_dict()
    weights = {name: value.detach().cpu().contiguous() for name, value in projector.items()}
    adapter = recipe.output / ADAPTER
    if has_adapter:
        model.save_pretrained(str(adapter))
        save_file(weights, adapter / PROJECTOR)
    if not _quantised(base):
        return merge(model)
    source = recipe.model.checkpoint or str(recipe.output / "joined")
    whole = load_checkpoint(source, "32bit", "cpu").model
    whole.get_submodule("model.multi_modal_projector").load_state_dict(weights)
    return merge(with_adapter(whole, adapter)) if has_adapter else whole


def _quantised(model: Any) -> bool:
    return isinstance(getattr(model.config, "quantization_config", None), BitsAndBytesConfig)


def _write_about(recipe: Recipe, checkpoint: Checkpoint, folder: Path) -> None:
    about = {
        "name": recipe.name,
        "sees": checkpoint.sees,
        "template": "vicuna_v1",
        "suggestions": list(checkpoint.suggestions),
    }
    (folder / "studio.json").write_text(json.dumps(about, indent=2) + "\n")

"""What does not fit together in a recipe, or is not there: each with the key it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from llava_core.templates import NAMED_TEMPLATES
from training.recipe import DataPart, ModelPart, Recipe, ValidationPart

Where = tuple[str | int, ...]
"""A key and those above it: ``("data", 0, "path")``."""


def contradictions(recipe: Recipe, stage: Literal[1, 2]) -> list[tuple[Where, str]]:
    """All of them, for a recipe whose keys are right one by one."""
    return [*_of_model(recipe.model), *_of_training(recipe, stage), *_of_files(recipe)]


def _of_model(model: ModelPart) -> list[tuple[Where, str]]:
    found: list[tuple[Where, str]] = []
    if model.checkpoint and (model.tower or model.language):
        found.append(
            (
                ("model", "checkpoint"),
                "model: give a checkpoint, or a tower and a language, not both",
            )
        )
    if model.fresh_projector and not model.checkpoint:
        said = "model.fresh_projector: it is always fresh without a checkpoint: leave this out"
        found.append((("model", "fresh_projector"), said))
    for key in ("projector", "feature_layer"):
        if model.checkpoint and key in model.model_fields_set:
            found.append((("model", key), f"model.{key}: it is the checkpoint's own: leave it out"))
    if not model.checkpoint and not (model.tower and model.language):
        found.append((("model",), "model: give a checkpoint, or both a tower and a language"))
    if model.template and model.template not in NAMED_TEMPLATES:
        known = ", ".join(NAMED_TEMPLATES)
        found.append(
            (("model", "template"), f"model.template: {model.template!r} is none of {known}")
        )
    return found


def _of_training(recipe: Recipe, stage: Literal[1, 2]) -> list[tuple[Where, str]]:
    train, precision = recipe.train, recipe.model.precision
    quantised = precision in ("8bit", "4bit")
    cases: list[tuple[bool, str, str]] = [
        (
            stage == 1 and train.language != "frozen",
            "language",
            "stage 1 trains the projector alone: set it to frozen, or use training.finetune",
        ),
        (
            stage == 1 and not train.projector,
            "projector",
            "stage 1 trains nothing but the projector: set it to true",
        ),
        (
            stage == 1 and train.tower,
            "tower",
            "stage 1 trains nothing but the projector: set it to false",
        ),
        (
            not (train.projector or train.tower or train.language != "frozen"),
            "language",
            "nothing trains: choose full or lora, or let projector or tower train",
        ),
        (
            quantised and train.language == "full",
            "language",
            f"weights of {precision} cannot be trained: use lora, or precision 16bit or 32bit",
        ),
        (
            quantised and train.tower,
            "tower",
            f"with weights of {precision} the tower stays frozen: set it to false",
        ),
        (
            train.lora is not None and train.language != "lora",
            "lora",
            f"language is {train.language}: set language to lora, or leave this out",
        ),
        (
            train.tower and train.features == "kept",
            "features",
            "a tower that trains has no features to keep: set it to live",
        ),
        (
            train.tower_learning_rate is not None and not train.tower,
            "tower_learning_rate",
            "the tower does not train: set tower to true, or leave this out",
        ),
        (
            train.projector_learning_rate is not None and not train.projector,
            "projector_learning_rate",
            "the projector does not train: leave this out",
        ),
        (
            train.row_tokens > 0 and train.layout == "padded",
            "row_tokens",
            "padded rows hold one sample: leave this out, or set layout to packed",
        ),
    ]
    return [(("train", key), f"train.{key}: {said}") for wrong, key, said in cases if wrong]


def _of_files(recipe: Recipe) -> list[tuple[Where, str]]:
    found: list[tuple[Where, str]] = []
    sets: list[tuple[Where, DataPart | ValidationPart]] = [
        (("data", index), part) for index, part in enumerate(recipe.data)
    ]
    if recipe.validation:
        sets.append((("validation",), recipe.validation))
    for at, part in sets:
        name = ".".join(map(str, at))
        if part.path.suffix not in (".json", ".jsonl"):
            found.append(((*at, "path"), f"{name}.path: {part.path} is no .json or .jsonl file"))
        elif not part.path.is_file():
            found.append(((*at, "path"), f"{name}.path: there is no file {part.path}"))
        if not part.images.is_dir():
            found.append(((*at, "images"), f"{name}.images: there is no folder {part.images}"))
    for key in ("checkpoint", "tower", "language"):
        source = getattr(recipe.model, key) or ""
        is_path = source.startswith((".", "/", "~", "runs/", "assets/"))
        if is_path and not Path(source).is_dir():
            found.append((("model", key), f"model.{key}: there is no folder {source}"))
    return found

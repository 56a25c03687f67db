"""What trains on what: one YAML file, checked as a whole before anything starts.

Unknown keys, wrong values, missing files and contradictions are reported together, each with its
line. Any key can be set on the command line: ``train.learning_rate=1e-4``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llava_core.templates import NAMED_TEMPLATES
from llava_core.training.tuning import LANGUAGE_LAYERS

Where = tuple[str | int, ...]
COMMAND_LINE = 0


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelPart(_Part):
    """What is trained: a LLaVA checkpoint, or a vision tower and a language model to be joined."""

    checkpoint: str | None = None
    tower: str | None = None
    language: str | None = None
    fresh_projector: bool = False
    projector: Literal["linear", "mlp2x_gelu"] = "mlp2x_gelu"
    feature_layer: int | list[int] = -2
    template: str | None = None
    precision: Literal["auto", "32bit", "16bit", "8bit", "4bit"] = "auto"


class DataPart(_Part):
    """A data set in LLaVA's format; ``weight`` says how often an epoch shows each record."""

    path: Path
    images: Path = Path(".")
    weight: float = Field(1.0, gt=0)


class ValidationPart(_Part):
    """Held-out records: their loss, and answers to the questions of the first ``samples``."""

    path: Path
    images: Path = Path(".")
    limit: int = Field(500, ge=1)
    samples: int = Field(4, ge=0)


class LoraPart(_Part):
    """LoRA; the defaults are LLaVA v1.5's."""

    r: int = Field(128, ge=1)
    alpha: int = Field(256, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1)
    targets: list[str] = Field(list(LANGUAGE_LAYERS), min_length=1)


class TrainPart(_Part):
    """How it trains."""

    language: Literal["frozen", "full", "lora"] = "full"
    projector: bool = True
    tower: bool = False
    lora: LoraPart | None = None
    learning_rate: float = Field(gt=0)
    projector_learning_rate: float | None = Field(None, gt=0)
    tower_learning_rate: float | None = Field(None, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    optimiser: Literal["adamw", "muon"] = "adamw"
    warm_up: float = Field(0.03, ge=0, lt=1)
    clip: float = Field(1.0, ge=0)
    epochs: float = Field(1.0, gt=0)
    batch_size: int = Field(ge=1)
    max_tokens: int = Field(2048, ge=8)
    layout: Literal["packed", "padded"] = "packed"
    row_tokens: int = Field(0, ge=0)
    micro_tokens: int = Field(4096, ge=8)
    features: Literal["kept", "live"] = "kept"
    gradient_checkpointing: bool = False
    compile: bool = False
    seed: int = Field(0, ge=0)


class LogPart(_Part):
    """What is told and kept meanwhile; steps and seconds."""

    every: int = Field(10, ge=1)
    evaluate_every: int = Field(0, ge=0)
    save_seconds: float = Field(600.0, gt=0)
    save_steps: int = Field(0, ge=0)
    tensorboard: bool = False


class Recipe(_Part):
    """All of it. ``output`` is the run's folder; the finished model lands in its ``checkpoint``."""

    name: str
    output: Path
    cache: Path = Path("runs/cache")
    model: ModelPart
    data: list[DataPart] = Field(min_length=1)
    validation: ValidationPart | None = None
    train: TrainPart
    log: LogPart = LogPart()

    def contradictions(self, stage: Literal[1, 2]) -> list[tuple[Where, str]]:
        """What does not fit together, or is not there, with the key it is about."""
        return [*_of_model(self.model), *_of_training(self, stage), *_of_files(self)]


class RecipeError(Exception):
    """A recipe that cannot be used; ``problems`` are (line, message), line 0 the command line."""

    def __init__(self, path: Path, problems: Sequence[tuple[int, str]]) -> None:
        self.problems = sorted(problems)
        lines = [
            f"{path}:{line}: {message}" if line else f"command line: {message}"
            for line, message in self.problems
        ]
        number = f"{len(lines)} problem{'s' if len(lines) != 1 else ''}"
        super().__init__("\n".join([f"{number} in the recipe:", *lines]))


def load_recipe(path: Path, overrides: Sequence[str] = (), stage: Literal[1, 2] = 2) -> Recipe:
    """The recipe with the command line's settings in it, whole and consistent.

    Raises :class:`RecipeError` with all that is wrong.
    """
    try:
        text = path.read_text("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content: Any = yaml.safe_load(text)
    except OSError as error:
        raise RecipeError(path, [(1, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise RecipeError(path, [(1, f"is not text in UTF-8 (byte {error.start})")]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = f"is not YAML: {getattr(error, 'problem', None) or getattr(error, 'reason', '')}"
        raise RecipeError(path, [(mark.line + 1 if mark else 1, message)]) from error
    if not isinstance(content, dict):
        raise RecipeError(path, [(1, "is not a list of keys with values")])
    lines = _lines(node)
    wrong = _twice(node)
    wrong += [problem for each in overrides if (problem := _override(content, each, lines))]
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        found = _sentences(content, lines, error)
        rest = _without_errors(content, error)
        found += (
            [(_line(lines, at), said) for at, said in rest.contradictions(stage)] if rest else []
        )
        raise RecipeError(path, wrong + found) from error
    found = [(_line(lines, at), said) for at, said in recipe.contradictions(stage)]
    if wrong or found:
        raise RecipeError(path, wrong + found)
    return recipe


# --- where and how it is said ---------------------------------------------------------------------


def _lines(node: Any, at: Where = ()) -> dict[Where, int]:
    """The line of every key and list item."""
    found: dict[Where, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            found[(*at, key.value)] = key.start_mark.line + 1
            found |= _lines(value, (*at, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found[(*at, index)] = value.start_mark.line + 1
            found |= _lines(value, (*at, index))
    return found


def _twice(node: Any, at: Where = ()) -> list[tuple[int, str]]:
    """Keys that stand twice in one place; YAML would silently take the last."""
    found: list[tuple[int, str]] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                name = ".".join(map(str, (*at, key.value)))
                found.append((key.start_mark.line + 1, f"{name}: is there twice"))
            seen.add(key.value)
            found += _twice(value, (*at, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found += _twice(value, (*at, index))
    return found


def _line(lines: dict[Where, int], at: Where) -> int:
    """The line of the key, or of the nearest one above it that is there."""
    while at and at not in lines:
        at = at[:-1]
    return lines.get(at, 1)


def _place(content: Any, at: Where) -> Where:
    """The key that pydantic means: without the names of the types that it has tried."""
    for index, key in enumerate(at[:-1]):
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return at[:index]
    return at if isinstance(content, dict | list) else at[:-1]


def _sentences(
    content: Any, lines: dict[Where, int], error: ValidationError
) -> list[tuple[int, str]]:
    """What pydantic says, once for each key."""
    said: dict[Where, str] = {}
    for each in error.errors():
        at = _place(content, each["loc"])
        said[at] = f"{said[at]}, or {each['msg'].lower()}" if at in said else _sentence(at, each)
    return [(_line(lines, at), sentence) for at, sentence in said.items()]


def _sentence(at: Where, error: Any) -> str:
    key = ".".join(map(str, at))
    if error["type"] == "extra_forbidden":
        known = _known_keys(at[:-1])
        return f"{key}: there is no such key" + (f"; there are {', '.join(known)}" if known else "")
    if error["type"] == "missing":
        return f"{key}: is missing"
    said = str(error["msg"])
    return f"{key}: {said[0].lower()}{said[1:]}, not {error['input']!r}"


_STAND_INS: dict[str, Any] = {"name": "-", "output": "-", "learning_rate": 1.0, "batch_size": 1}


def _without_errors(content: Any, error: ValidationError) -> Recipe | None:
    """The recipe with wrong keys left out, so that contradictions are found in the same go."""
    content = copy.deepcopy(content)
    places = {_place(content, each["loc"]) for each in error.errors()}
    for *above, last in sorted(places, key=str, reverse=True):
        place = content
        try:
            for key in above:
                place = place[key]
            if last in _STAND_INS:
                place[last] = _STAND_INS[str(last)]
            else:
                del place[last]
        except (KeyError, IndexError, TypeError):
            return None
    try:
        return Recipe.model_validate(content)
    except ValidationError:
        return None


def _known_keys(at: Where) -> list[str]:
    parts: dict[Where, type[_Part]] = {
        (): Recipe,
        ("model",): ModelPart,
        ("data",): DataPart,
        ("validation",): ValidationPart,
        ("train",): TrainPart,
        ("train", "lora"): LoraPart,
        ("log",): LogPart,
    }
    part = parts.get(tuple(key for key in at if isinstance(key, str)))
    return list(part.model_fields) if part else []


def _override(content: Any, setting: str, lines: dict[Where, int]) -> tuple[int, str] | None:
    """Put ``a.b=value`` into the content; returns what is wrong with it."""
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        return COMMAND_LINE, f"{setting!r} is not key=value, such as train.learning_rate=1e-4"
    try:
        set_to = yaml.safe_load(value)
    except yaml.YAMLError:
        return COMMAND_LINE, f"{key}: cannot be set to {value!r}, which is not YAML"
    place, at = content, tuple(int(p) if p.isdigit() else p for p in key.strip().split("."))
    for part in at[:-1]:
        if isinstance(place, dict):
            if place.get(part) is None:
                place[part] = {}
            place = place[part]
        elif isinstance(place, list) and isinstance(part, int) and part < len(place):
            place = place[part]
        else:
            return COMMAND_LINE, f"{key}: there is nothing named {part!r} to set something in"
    try:
        place[at[-1]] = set_to
    except (TypeError, IndexError):
        return COMMAND_LINE, f"{key}: cannot be set to {value!r}"
    for length in range(1, len(at)):
        lines.setdefault(at[:length], COMMAND_LINE)
    lines[at] = COMMAND_LINE
    return None


# --- what does not fit together -------------------------------------------------------------------


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

"""Recipes in YAML files, checked as a whole before anything starts.

Unknown keys, wrong values, missing files and contradictions are reported together, each with its
line. Any key can be set on the command line: ``train.learning_rate=1e-4``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from training.contradictions import Where, contradictions
from training.recipe import (
    DataPart,
    LogPart,
    LoraPart,
    ModelPart,
    Part,
    Recipe,
    TrainPart,
    ValidationPart,
)

COMMAND_LINE = 0


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
            [(_line(lines, at), said) for at, said in contradictions(rest, stage)] if rest else []
        )
        raise RecipeError(path, wrong + found) from error
    found = [(_line(lines, at), said) for at, said in contradictions(recipe, stage)]
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
    parts: dict[Where, type[Part]] = {
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

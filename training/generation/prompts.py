"""What a teacher is told for each kind of data: files that a user can replace.

A file of ``training/prompts`` has a system message and few-shot examples, as in the paper's table
14 (https://arxiv.org/abs/2304.08485); the words are this project's own. The request: the system
message, each example's context and result as a turn, then the picture's own context.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from llava_core.training.records import DataError, open_picture
from training.data_urls import encoded_url
from training.endpoint.request import Message, Request
from training.generation.replies import Pair, write_pairs
from training.generation.source import Subject

Kind = Literal["conversation", "detail", "reasoning"]
KINDS: tuple[Kind, ...] = ("conversation", "detail", "reasoning")
FOLDER = Path(__file__).resolve().parent.parent / "prompts"
_SEE = "See training/prompts for the form"
SIDE = 768
"""A teacher that sees gets pictures at most this wide and high, in pixels."""


class Example(BaseModel):
    """What the teacher is shown, and what it is to write: pairs, or the answer alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    context: str = Field(min_length=1)
    pairs: tuple[Pair, ...] = ()
    result: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Example:
        if bool(self.pairs) == bool(self.result):
            raise ValueError("an example has either pairs or a result")
        return self

    @property
    def written(self) -> str:
        """What the teacher is to write."""
        return write_pairs(self.pairs) if self.pairs else self.result.strip()


class Prompt(BaseModel):
    """One file of prompts. ``questions`` are the person's side where the teacher writes none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    boxes: bool
    system: str = Field(min_length=1)
    seeing: str = ""
    questions: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()

    def question(self, name: str, seed: int) -> str:
        """One of the questions; the same for the same id and seed."""
        return random.Random(f"{seed}:{name}").choice(self.questions)


@dataclass(frozen=True)
class Prompts:
    """The prompts of the wanted kinds, and the words for things."""

    by_kind: dict[Kind, Prompt]
    objects: dict[str, tuple[str, ...]]


def load_prompts(kinds: Sequence[Kind], folder: Path | None) -> Prompts:
    """Prompts for ``kinds``; a file that ``folder`` does not have is this project's own.

    Raises :class:`llava_core.training.records.DataError` where a file is not of the form.
    """
    if folder is not None and not folder.is_dir():
        raise DataError(f"--prompts {folder} is not a folder", f"{_SEE}, and edit a copy.")
    found = {kind: _prompt(_file(f"{kind}.yaml", folder), kind) for kind in kinds}
    path = _file("objects.yaml", folder)
    objects = _yaml(path)
    if not isinstance(objects, dict) or not all(isinstance(w, list) for w in objects.values()):
        raise DataError(f"{path} is no table of things", "Write lines such as  dog: [dog, puppy].")
    words = {str(name): tuple(map(str, listed)) for name, listed in objects.items()}
    return Prompts(found, words)


def _file(name: str, folder: Path | None) -> Path:
    own = FOLDER / name
    return folder / name if folder is not None and (folder / name).is_file() else own


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read: {error}", f"{_SEE}.") from error


def _prompt(path: Path, kind: Kind) -> Prompt:
    try:
        found = Prompt.model_validate(_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {where}: {first['msg']}", f"{_SEE}.") from error
    if kind == "detail" and not found.questions:
        raise DataError(f"{path}: questions: there are none", f"List some. {_SEE}.")
    return found


def context(subject: Subject, boxes: bool) -> str:
    """A picture in symbols: its captions, and after an empty line its boxes, where wanted."""
    lines = list(subject.captions)
    if boxes and subject.instances:
        lines.append("")
        lines += [
            f"{one.category}: [{', '.join(f'{side:g}' for side in one.box)}]"
            for one in subject.instances
        ]
    return "\n".join(lines)


def request_of(kind: Kind, prompt: Prompt, subject: Subject, images: Path | None) -> Request:
    """What the teacher is asked; with ``images``, it sees the picture from that folder, too.

    Raises :class:`llava_core.errors.PictureError` where that cannot be read.
    """
    system = prompt.system if images is None else f"{prompt.system.rstrip()}\n\n{prompt.seeing}"
    messages: list[Message] = [{"role": "system", "content": system.strip()}]
    for example in prompt.examples:
        messages.append({"role": "user", "content": example.context.strip()})
        messages.append({"role": "assistant", "content": example.written})
    told = context(subject, prompt.boxes)
    content: str | list[dict[str, Any]] = told
    if images is not None:
        url = encoded_url(open_picture(images, subject.image), "image/jpeg", SIDE)
        picture = {"type": "image_url", "image_url": {"url": url}}
        content = [{"type": "text", "text": told}, picture]
    messages.append({"role": "user", "content": content})
    return Request(name_of(kind, subject), tuple(messages))


def name_of(kind: Kind, subject: Subject) -> str:
    """The id of a request, and of the record that becomes of it."""
    return f"{kind}-{subject.id}"

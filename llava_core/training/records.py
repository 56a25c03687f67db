"""LLaVA's training format, streamed: records of a JSON list or of JSON lines, one at a time.

``{"id", "image" (absent for text only, a name, or a list of names), "conversations": [{"from":
"human", "value": "<image>\\n..."}, {"from": "gpt", "value": "..."}, ...]}``, as released with the
paper: https://github.com/haotian-liu/LLaVA/blob/main/docs/Finetune_Custom_Data.md
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from llava_core.conversation import Conversation, ImagePart, Message, Role, TextPart
from llava_core.errors import PictureError
from llava_core.images import ImageLimits, decode_image
from llava_core.training.json_lines import (
    BrokenList,
    Progress,
    line_at,
    line_number,
    line_starts,
    list_as_lines,
)

PLACEHOLDER = "<image>"
"""Stands in a human turn where a picture stands."""
Fault = Literal["unreadable", "roles", "placeholders", "empty question", "empty answer"]
_SPEAKERS: dict[str, Role] = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
}
_STAND_IN = Image.new("RGB", (1, 1))
_SHAPE = 'A record is {"id": ..., "image": ..., "conversations": [{"from", "value"}, ...]}.'


class DataError(Exception):
    """Training data that cannot be used: what is wrong, in which record, and what to do.

    ``record`` is the record's number, counted from 0 (None where the file as a whole is meant);
    ``fault`` is the kind of mistake.
    """

    def __init__(
        self, message: str, remedy: str, record: int | None = None, fault: Fault = "unreadable"
    ) -> None:
        place = "" if record is None else f"record {record}: "
        super().__init__(f"{place}{message}. {remedy}")
        self.message, self.remedy, self.record, self.fault = message, remedy, record, fault

    def __reduce__(self) -> tuple[type[DataError], tuple[str, str, int | None, Fault]]:
        return DataError, (self.message, self.remedy, self.record, self.fault)


@dataclass(frozen=True)
class Record:
    """One training record as it is written.

    ``images`` are paths relative to the image folder, ``turns`` pairs (from, value); ``number`` is
    its place in the file, counted from 0, where it is known.
    """

    id: str
    images: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]
    number: int | None = field(default=None, compare=False)


class RecordFile:
    """The records of a ``.json`` (one list) or ``.jsonl`` file, none of them kept in memory.

    A list is copied once, as lines, into the folder ``cache``; ``progress`` is told of the bytes
    read meanwhile. Raises :class:`DataError` where the file is missing, broken or empty; a line
    that is broken raises when its record is taken out.
    """

    def __init__(self, path: Path, cache: Path, progress: Progress | None = None) -> None:
        if path.suffix not in (".json", ".jsonl") or not path.is_file():
            raise DataError(
                f"{path} is not a .json or .jsonl file",
                "Name the file with LLaVA's training records: one JSON list, or JSON lines.",
            )
        self.path = path
        self._lines = path if path.suffix == ".jsonl" else _copy(path, cache, progress)
        self._starts = line_starts(self._lines)
        if not len(self._starts):
            raise DataError(f"{path} holds no records", "Name a file that has some.")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Record:
        """Record ``index``. Raises ``IndexError``, or :class:`DataError` where it is unreadable."""
        number = range(len(self))[index]
        return parse_record(self.source(number), number)

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def source(self, index: int) -> dict[str, Any]:
        """Record ``index`` with all its keys. Raises as :meth:`__getitem__` does."""
        number = range(len(self))[index]
        start = int(self._starts[number])
        line = line_at(self._lines, start)
        try:
            found = json.loads(line.decode("utf-8-sig"))
            if b"\\u" in line:  # half a character, written as an escape, has no bytes
                json.dumps(found, ensure_ascii=False).encode()
        except ValueError as error:  # what is no UTF-8 is one, too
            raise DataError(
                f"line {line_number(self._lines, start)} of {self.path.name} (byte {start}) is "
                f"not JSON: {error}",
                "Correct or remove the line.",
                number,
            ) from error
        if not isinstance(found, dict):
            raise DataError(f"it is {json.dumps(found)[:40]}, not a JSON object", _SHAPE, number)
        return found


def _copy(path: Path, cache: Path, progress: Progress | None) -> Path:
    try:
        return list_as_lines(path, cache, progress)
    except BrokenList as error:
        raise DataError(
            f"{path} is broken at line {error.line}, byte {error.byte}: {error.reason}",
            f"{error.items} records before it are whole; correct it there, or write it again.",
            error.items,
        ) from error


def parse_record(source: dict[str, Any], number: int | None = None) -> Record:
    """A record from its JSON object; without an id, its number is its id.

    Raises :class:`DataError` where keys are missing or of another type.
    """
    images = source.get("image")
    names = [] if images is None else [images] if isinstance(images, str) else images
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        raise DataError(
            f'"image" is {json.dumps(images)[:60]}',
            "Write a file's name or a list of names, and leave the key out for text only.",
            number,
        )
    name = source.get("id")
    return Record(
        str(number if name in (None, "") else name),
        tuple(names),
        _turns_of(source.get("conversations"), number),
        number,
    )


def _turns_of(turns: object, number: int | None) -> tuple[tuple[str, str], ...]:
    if not isinstance(turns, list) or not turns:
        raise DataError('"conversations" is missing or empty', _SHAPE, number)
    found = []
    for position, turn in enumerate(turns):
        pair = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
        if not isinstance(pair[0], str) or not isinstance(pair[1], str):
            raise DataError(
                f'turn {position + 1} is {json.dumps(turn)[:60]}, without the texts "from" and '
                '"value"',
                _SHAPE,
                number,
            )
        found.append((pair[0], pair[1]))
    return tuple(found)


def conversation_of(
    record: Record, picture: Callable[[str], Image.Image] | None = None
) -> Conversation:
    """The record as a conversation; the placeholders of its human turns become its pictures.

    ``picture`` gives the picture for a path; without it, each is the same of 1 x 1 pixel. Raises
    :class:`DataError` where speakers do not take turns, a question or answer is empty, or there are
    not as many placeholders as pictures; and whatever ``picture`` raises.
    """
    roles = _roles(record)
    _check_placeholders(record, roles)
    names = iter(record.images)
    messages = []
    for position, (role, (_, value)) in enumerate(zip(roles, record.turns, strict=True)):
        images = value.count(PLACEHOLDER) if role == "user" else 0
        pictures = [picture(next(names)) if picture else _STAND_IN for _ in range(images)]
        parts = _parts(value, pictures) if role == "user" else (TextPart(value),)
        if not parts or (not images and not value.strip()):
            raise _empty(record, role, position)
        messages.append(Message(role, parts))
    return Conversation(tuple(messages))


def _roles(record: Record) -> list[Role]:
    """Who speaks in each turn: perhaps the system, then user and assistant, to the last answer."""
    roles: list[Role] = []
    for position, (speaker, _) in enumerate(record.turns):
        role = _SPEAKERS.get(speaker)
        opened = bool(roles) and roles[0] == "system"
        expected: Role = "assistant" if (position - opened) % 2 else "user"
        if role is None or (role != expected and not (role == "system" and position == 0)):
            raise DataError(
                f"turn {position + 1} of {record.id!r} is from {speaker!r}, expected "
                f"{'human' if expected == 'user' else 'gpt'!r}",
                "human and gpt speak in turn, human first, perhaps after a system message.",
                record.number,
                "roles",
            )
        roles.append(role)
    if roles[-1] != "assistant":
        raise DataError(
            f"{record.id!r} ends with {record.turns[-1][0]!r}, without an answer to learn",
            "Add the answer, or remove the last turn.",
            record.number,
            "roles",
        )
    return roles


def _check_placeholders(record: Record, roles: list[Role]) -> None:
    values = [value for role, (_, value) in zip(roles, record.turns, strict=True) if role == "user"]
    found, wanted = sum(value.count(PLACEHOLDER) for value in values), len(record.images)
    if found != wanted:
        raise DataError(
            f"{record.id!r} has {found} {PLACEHOLDER} in its human turns for {wanted} pictures",
            f"Write {PLACEHOLDER} once in a human turn for each picture, in their order.",
            record.number,
            "placeholders",
        )


def _parts(text: str, pictures: list[Image.Image]) -> tuple[ImagePart | TextPart, ...]:
    """Pictures where the placeholders stand; newlines around them belong to the template."""
    parts: list[ImagePart | TextPart] = []
    for index, piece in enumerate(text.split(PLACEHOLDER)):
        if index:
            parts.append(ImagePart(pictures[index - 1]))
        if piece.strip("\n"):
            parts.append(TextPart(piece.strip("\n")))
    return tuple(parts)


def _empty(record: Record, role: Role, position: int) -> DataError:
    return DataError(
        f"turn {position + 1} of {record.id!r} is empty",
        "Write its text, or leave out the question together with its answer.",
        record.number,
        "empty answer" if role == "assistant" else "empty question",
    )


def open_picture(folder: Path, name: str, limits: ImageLimits | None = None) -> Image.Image:
    """The picture ``name`` of an image folder, decoded whole, as RGB.

    Raises :class:`llava_core.errors.PictureError` where it is missing, outside the folder or
    damaged; only where its file was read is the cause a ``PictureError``, too.
    """
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise PictureError(f"{name!r} leads out of {folder}", "Write paths relative to the folder.")
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PictureError(
            f"{path} cannot be read: {reason}", "Copy it there, or name another image folder."
        ) from error
    try:
        return decode_image(data, limits)
    except PictureError as error:
        raise PictureError(f"{path}: {error.message}", error.remedy) from error

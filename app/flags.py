"""The command line: one flag for each field of :class:`app.settings.Settings`."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from app.settings import Settings

Part = Literal["all", "controller", "worker", "ui"]

DESCRIPTION = """\
Talk with pictures: a page, a controller that stores the conversations, and workers that hold the
models. Without a part, all of them start on this machine, with the models that come along."""

EXAMPLES = """\
examples:
  python app.py
  python app.py --model llava-hf/llava-1.5-7b-hf --precision 4bit
  python app.py --model runs/mine --model assets/checkpoints/llava-tiny-stage2 --port 8000
  python app.py worker --host 10.0.0.6 --controller-url http://10.0.0.5:10000 --model mine

Each flag is also an environment variable: --data-dir is LLAVA_STUDIO_DATA_DIR."""

SECRET_FIELDS = frozenset({"secret", "database_url"})
"""Settings that other people on the machine must not see in the list of processes."""


@dataclass(frozen=True)
class Command:
    """What was asked for: which part of the app, with which settings."""

    part: Part
    settings: Settings


class Parser(argparse.ArgumentParser):
    """An argument parser with short errors: one sentence, and where to read on."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nAll flags: {self.prog} --help\n")

    def refuse_unknown_flags(self, arguments: Sequence[str]) -> None:
        """Exit where a flag does not exist, with the one that was probably meant."""
        known = [option for action in self._actions for option in action.option_strings]
        for word in (argument.split("=")[0] for argument in arguments):
            if word.startswith("-") and word not in known:
                close = difflib.get_close_matches(word, known, n=1)
                self.error(f"there is no {word}" + (f"; did you mean {close[0]}?" if close else ""))


def flag(field: str) -> str:
    """The flag of a field: ``data_dir`` -> ``--data-dir``."""
    return "--" + field.replace("_", "-")


def build_parser(commands: str = "") -> Parser:
    """The parser, derived from the fields of Settings; ``commands`` is told at the end of help."""
    parser = Parser(
        prog="python app.py",
        description=DESCRIPTION,
        epilog="\n\n".join(filter(None, (EXAMPLES, commands))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "part",
        nargs="?",
        choices=get_args(Part),
        default="all",
        help="what to start (default: all)",
    )
    add_settings(parser, Settings.model_fields)
    return parser


def add_settings(parser: Parser, names: Iterable[str]) -> None:
    """Give the parser a flag for each of these fields; a flag not given is absent, not None."""
    for name in names:
        parser.add_argument(flag(name), dest=name, **_options(Settings.model_fields[name]))


def _options(field: FieldInfo) -> dict[str, Any]:
    """How argparse reads one field; pydantic checks the value afterwards."""
    options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(field)}
    if get_origin(field.annotation) is Literal:
        return options | {"choices": get_args(field.annotation)}
    if get_origin(field.annotation) is list:
        return options | {"action": "append", "metavar": "NAME_OR_PATH"}
    if field.annotation is bool:
        return options | {"nargs": "?", "const": True, "metavar": "BOOL"}
    kind = getattr(field.annotation, "__name__", "value")
    return options | {"metavar": {"int": "N", "float": "SECONDS", "Path": "FOLDER"}.get(kind, "X")}


def _help(field: FieldInfo) -> str:
    text = field.description or ""
    default = field.get_default(call_default_factory=True)
    text += f" (default: {default})" if default not in ("", []) else ""
    return text.replace("%", "%%")


def parse(arguments: Sequence[str] | None = None, commands: str = "") -> Command:
    """The command in ``arguments`` (default: ``sys.argv``).

    Raises ``SystemExit`` with a plain sentence where a flag, an environment variable or a line of
    ``.env`` is wrong; with status 2, as argparse does.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = build_parser(commands)
    parser.refuse_unknown_flags(arguments)
    given = vars(parser.parse_args(arguments))
    part: Part = given.pop("part")
    return Command(part, settings_from(parser, given))


def settings_from(parser: Parser, given: Mapping[str, Any]) -> Settings:
    """The settings, with ``given`` from flags; ends the program where one of them is wrong."""
    try:
        return Settings(**given)
    except ValidationError as error:
        parser.error("; ".join(_explain(problem, given) for problem in error.errors()))


def _explain(problem: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """One problem that pydantic found, by the name under which the person gave the value."""
    if not problem["loc"]:
        return str(problem["msg"]).removeprefix("Value error, ")
    name = str(problem["loc"][0])
    if name not in Settings.model_fields:
        return f"the file .env sets {name}, which is no setting"
    origin = flag(name) if name in given else f"LLAVA_STUDIO_{name.upper()} (environment or .env)"
    return f"{origin} is {problem['input']!r}: {problem['msg']}"


def as_arguments(settings: Settings) -> list[str]:
    """The flags that give a child process these settings, without :data:`SECRET_FIELDS`."""
    arguments: list[str] = []
    for name in sorted(Settings.model_fields.keys() - SECRET_FIELDS):
        value = getattr(settings, name)
        for item in value if isinstance(value, list) else [value]:
            arguments.append(f"{flag(name)}={item}")
    return arguments


def as_environment(settings: Settings) -> dict[str, str]:
    """The :data:`SECRET_FIELDS`, as environment variables for a child process."""
    return {
        f"LLAVA_STUDIO_{name.upper()}": str(getattr(settings, name))
        for name in sorted(SECRET_FIELDS)
    }

"""The commands: found by name, with help, settings as flags, and plain errors."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

import pytest

from app.commands import table
from app.errors import NotFound
from app.launch import main
from app.settings import Settings


class Greet(ModuleType):
    """A small command: greets, and says which data folder it was given."""

    HELP = "say hello"
    SETTINGS = table.DATABASE

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("whom")

    @staticmethod
    def run(arguments: argparse.Namespace, settings: Settings) -> int:
        if arguments.whom == "nobody":
            raise NotFound("There is nobody.", "Name somebody.")
        print(f"hello {arguments.whom} in {settings.data_dir}")
        return 0


@pytest.fixture(autouse=True)
def greet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(table, "NAMES", ("greet-them",))
    monkeypatch.setitem(sys.modules, "app.commands.greet_them", Greet("greet_them"))


def test_a_command_gets_its_arguments_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["greet-them", "you", "--data-dir", "there"]) == 0
    assert capsys.readouterr().out == "hello you in there\n"


def test_an_error_is_two_sentences_and_status_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["greet-them", "nobody"]) == 1
    assert capsys.readouterr().err == "There is nobody.\nName somebody.\n"


def test_an_unknown_flag_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["greet-them", "you", "--data-dri", "x"])
    assert exit_.value.code == 2
    assert "there is no --data-dri; did you mean --data-dir?" in capsys.readouterr().err


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    assert "greet-them      say hello" in capsys.readouterr().out

"""docs/generation.md tells every reason for a reject, and flags and commands that there are."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from training import balance_captions, generate_data
from training.generation.checks import REASONS

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "generation.md").read_text("utf-8")


def test_every_reason_is_told() -> None:
    section = TEXT.split("\n## What is rejected\n")[1].split("\n## ")[0]
    told = re.findall(r"^\| ([a-z ]+) \|", section, re.MULTILINE)
    assert told == ["reason", *REASONS]


def test_every_flag_exists(capsys: pytest.CaptureFixture[str]) -> None:
    for main in (generate_data.main, balance_captions.main):
        with pytest.raises(SystemExit):
            main(["--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    elsewhere = {"--context", "--slow", "--limit-every", "--fail-every", "--cut-every", "--port"}
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) - elsewhere <= known


@pytest.mark.parametrize("name", sorted(set(re.findall(r"-m ((?:training|tests)\.\w+)", TEXT))))
def test_every_command_exists(name: str) -> None:
    assert importlib.util.find_spec(name)

"""The command line: every setting has a flag, and mistakes are answered with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.flags import SECRET_FIELDS, as_arguments, as_environment, build_parser, flag, parse
from app.settings import Settings


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No ``.env`` and no variables of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LLAVA_STUDIO_{name.upper()}", raising=False)


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        parse(arguments)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_without_arguments_everything_starts_with_the_defaults() -> None:
    command = parse([])
    assert command.part == "all"
    assert command.settings == Settings()


def test_a_published_checkpoint_in_four_bits() -> None:
    command = parse(["--model", "llava-hf/llava-1.5-7b-hf", "--precision", "4bit"])
    assert command.part == "all"
    assert command.settings.model == ["llava-hf/llava-1.5-7b-hf"]
    assert command.settings.precision == "4bit"


def test_model_can_be_repeated() -> None:
    command = parse(["worker", "--model", "a", "--model=b"])
    assert (command.part, command.settings.model) == ("worker", ["a", "b"])


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_flag_with_help(name: str) -> None:
    options = build_parser()._option_string_actions
    assert options[flag(name)].help


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAVA_STUDIO_PORT", "8000")
    assert parse([]).settings.port == 8000
    assert parse(["--port", "7860"]).settings.port == 7860


def test_an_unknown_flag_is_answered_with_the_right_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "there is no --prot; did you mean --port?" in refusal(["--prot", "80"], capsys)


def test_flags_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no --controller" in refusal(["--controller=9"], capsys)


def test_a_wrong_value_is_named_with_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(["--port", "99999"], capsys)
    assert "--port is '99999'" in message and "65535" in message


def test_a_wrong_value_of_the_environment_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLAVA_STUDIO_MAX_IMAGES", "many")
    assert "LLAVA_STUDIO_MAX_IMAGES" in refusal([], capsys)


def test_a_misspelt_line_of_the_env_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("LLAVA_STUDIO_PROT=1\n")
    assert "prot" in refusal([], capsys)


def test_children_get_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ["--secret", "s", "--database-url", "postgresql://me:word@db/studio"]
    given = parse(["--model", "a b", "--model", "c", "--renew-seconds", "0.5", *secrets]).settings
    arguments = as_arguments(given)
    assert not any("word" in argument for argument in arguments)
    for name, value in as_environment(given).items():
        monkeypatch.setenv(name, value)
    assert parse(["worker", *arguments]).settings == given


def test_a_default_given_as_a_flag_reaches_the_child_against_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLAVA_STUDIO_PORT", "8000")
    given = parse(["--port", "7860"]).settings
    assert parse(["ui", *as_arguments(given)]).settings.port == 7860


def test_secrets_are_settings() -> None:
    assert Settings.model_fields.keys() >= SECRET_FIELDS

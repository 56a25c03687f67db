"""Which checkpoints fit this machine, as a command."""

from __future__ import annotations

import pytest

from app.launch import main
from app.machines import Machine


def test_each_known_checkpoint_comes_with_its_command_or_with_what_it_would_need(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "--device", "cpu", "--json"]) == 0
    machine = Machine.model_validate_json(capsys.readouterr().out)
    assert machine.free > 0 and len(machine.fits) >= 5
    assert main(["models", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert f"{machine.device}:" in said
    for fit in machine.fits:
        assert fit.source in said


def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--device", "nonsense"]) == 1
    assert "nonsense" in capsys.readouterr().err

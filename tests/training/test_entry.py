"""Ctrl-C: one sentence, the exit status of shells for it, and nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training import coco, finetune, picture_set, pretrain, report, scienceqa, show
from training.entry import INTERRUPTED, interruptible

ROOT = Path(__file__).resolve().parents[2]


def test_an_interrupted_command_says_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    @interruptible("nothing was written.")
    def main(number: int) -> int:
        """Text."""
        if number:
            raise KeyboardInterrupt
        return number

    assert main(0) == 0 and main.__doc__ == "Text."
    assert main(1) == INTERRUPTED == 130
    assert capsys.readouterr().err == "Interrupted; nothing was written.\n"


@pytest.mark.parametrize("module", [coco, finetune, picture_set, pretrain, report, scienceqa, show])
def test_every_command_ends_so(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes while the command line is read."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("argparse.ArgumentParser.parse_args", interrupt)
    main = module.main  # type: ignore[attr-defined]
    assert main([]) == INTERRUPTED


def test_ctrl_c_while_pictures_are_drawn(tmp_path: Path) -> None:
    """The real command in a process; a second one draws the set whole."""
    folder = tmp_path / "set"
    words = [sys.executable, "-m", "training.picture_set", str(folder), "--held-out", "1"]
    command = subprocess.Popen(
        [*words, "--number", "100000"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        until = time.monotonic() + 100
        while not list(folder.glob("pictures/*.png")) and time.monotonic() < until:
            time.sleep(0.05)
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=60)
    finally:
        command.kill()
    assert command.returncode == INTERRUPTED
    assert said.startswith("Interrupted; the set is not whole.") and "Traceback" not in said
    assert not list(folder.glob("*.json*"))
    subprocess.run([*words, "--number", "3"], cwd=ROOT, check=True, capture_output=True)
    assert len(json.loads((folder / "captions.json").read_text())) == 3
    assert not [name for name in os.listdir(folder / "pictures") if name.endswith(".part")]

"""``python app.py forget``, ``backup`` and ``restore`` as they are typed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from app.db.records import AnswerSource, NewTurn, Outcome
from app.db.store import Store
from app.launch import main
from app.protocol import ModelInfo
from app.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a conversation of alice."""
    store = Store.open(Settings(data_dir=tmp_path / "data"))
    begun = store.begin_turn(NewTurn("user:alice", "What?"), AnswerSource(ModelInfo(id="m")))
    store.save_answer(begun.answer_id, Outcome("Red.", "stop"))
    store.close()
    return tmp_path / "data"


def conversations(folder: Path) -> int:
    store = Store.open(Settings(data_dir=folder))
    total = store.history.page("user:alice").total
    store.close()
    return total


class Terminal(io.StringIO):
    """Somebody who can be asked."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "left"), [("no", 1), ("", 1), ("yes", 0)])
def test_forgetting_asks(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    left: int,
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    assert main(["forget", "alice", "--data-dir", str(folder)]) == left
    told = capsys.readouterr().out
    assert "1 conversations" in told and ("is forgotten" in told) == (not left)
    assert conversations(folder) == left


def test_forgetting_without_anybody_to_ask(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    words = ["forget", "user:alice", "--data-dir", str(folder)]
    assert main(words) == 1 and "--yes" in capsys.readouterr().err
    assert main([*words, "--yes"]) == 0 and conversations(folder) == 0
    assert main([*words, "--yes"]) == 1 and "nothing of user:alice" in capsys.readouterr().err


def test_a_backup_is_restored(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, there = str(tmp_path / "b.tar"), tmp_path / "there"
    assert main(["backup", file, "--data-dir", str(folder)]) == 0
    assert "1 conversations" in capsys.readouterr().out
    assert main(["backup", file, "--data-dir", str(folder)]) == 1
    assert main(["restore", file, "--data-dir", str(there)]) == 0
    assert conversations(there) == 1
    assert main(["restore", file, "--data-dir", str(there)]) == 1
    assert "already" in capsys.readouterr().err

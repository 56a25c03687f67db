"""``python app.py user``: the people who can log in."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from app.db.store import Store
from app.launch import main
from app.settings import Settings


def user(folder: Path, *words: str) -> int:
    return main(["user", *words, "--data-dir", str(folder)])


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password comes through a pipe, each time."""

    class Pipe(io.StringIO):
        def readline(self, *_: object) -> str:  # type: ignore[override]
            return "correct horse\n"

    monkeypatch.setattr("sys.stdin", Pipe())


@pytest.mark.usefixtures("typed")
def test_a_user_from_beginning_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert user(tmp_path, "list") == 0 and "no users" in capsys.readouterr().out
    assert user(tmp_path, "add", "alice") == 0
    assert user(tmp_path, "add", "alice") == 1
    assert "already" in capsys.readouterr().err
    store = Store.open(Settings(data_dir=tmp_path))
    session = store.people.log_in("alice", "correct horse", 1)
    assert user(tmp_path, "password", "alice") == 0
    assert store.people.user_of(session.token) is None
    capsys.readouterr()
    assert user(tmp_path, "key", "alice") == 0
    key = capsys.readouterr().out.strip()
    assert store.people.user_of(key) == "alice"
    assert user(tmp_path, "key", "alice", "--void") == 0
    assert store.people.user_of(key) is None
    assert user(tmp_path, "list") == 0 and "alice" in capsys.readouterr().out
    assert user(tmp_path, "remove", "alice") == 0
    assert "forget user:alice" in capsys.readouterr().out
    assert user(tmp_path, "remove", "alice") == 1
    store.close()


def test_a_name_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert user(tmp_path, "add") == 1
    assert "python app.py user add NAME" in capsys.readouterr().err

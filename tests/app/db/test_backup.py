"""Backups are made while others write, whole or not at all, and come back as they were."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.backup import back_up, restore
from app.db.records import AnswerSource, NewTurn, Outcome
from app.db.store import Store
from app.errors import BadRequest, StorageFailed
from app.pictures import Picture, picture_from_data_url
from app.protocol import ModelInfo
from app.settings import Settings
from tests.pictures import as_data_url, png

SOURCE = AnswerSource(ModelInfo(id="m"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings)
    yield store
    store.close()


def picture(settings: Settings, colour: str) -> Picture:
    return picture_from_data_url(as_data_url(png(colour)), settings)


def ask(store: Store, words: str, *pictures: Picture) -> str:
    begun = store.begin_turn(NewTurn("p", words, pictures), SOURCE)
    store.save_answer(begun.answer_id, Outcome("Red.", "stop"))
    return begun.conversation_id


def test_there_and_back_again(store: Store, settings: Settings, tmp_path: Path) -> None:
    red = picture(settings, "red")
    ask(store, "Where is the heart?", red)
    store.people.add("alice", "correct horse")
    contents = back_up(settings, tmp_path / "b.tar")
    assert (contents.conversations, contents.pictures) == (1, 1) and contents.bytes > 10_000
    ask(store, "asked after the backup")
    there = Settings(data_dir=tmp_path / "restored")
    assert restore(there, tmp_path / "b.tar").conversations == 1
    again = Store.open(there)
    assert again.history.page("p", "heart").total == 1 and again.history.page("p").total == 1
    assert again.image(red.sha256)[0] == red.data
    assert again.people.names()[0][0] == "alice"
    again.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "data", "restored"]


def test_while_somebody_writes(store: Store, settings: Settings, tmp_path: Path) -> None:
    ending = threading.Event()

    def write() -> None:
        number = 0
        while not ending.is_set():
            ask(store, f"question {number}", picture(settings, f"#0000{number % 256:02x}"))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        contents = back_up(settings, tmp_path / "b.tar")
    finally:
        ending.set()
        writer.join()
    there = Settings(data_dir=tmp_path / "restored")
    restore(there, tmp_path / "b.tar")
    again = Store.open(there)
    page = again.history.page("p", limit=200)
    assert page.total == contents.conversations
    for entry in page.conversations:
        for turn in again.conversation("p", entry.id).turns:
            assert all(again.image(image.sha256) for image in turn.images)
    again.close()


@pytest.mark.parametrize("where", ["os.fsync", "sqlite3.connect", "tarfile.TarFile.add"])
def test_a_full_disk_leaves_no_backup(
    store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    ask(store, "What?", picture(settings, "red"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(where, full)
    with pytest.raises(StorageFailed, match="No space left"):
        back_up(settings, tmp_path / "b.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_full_disk_restores_nothing(
    store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(settings, tmp_path / "b.tar")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tarfile.TarFile.extractall", full)
    there = Settings(data_dir=tmp_path / "restored")
    with pytest.raises(StorageFailed, match="No space left"):
        restore(there, tmp_path / "b.tar")
    assert list((tmp_path / "restored").iterdir()) == []


def test_nothing_is_overwritten(store: Store, settings: Settings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "b.tar")
    with pytest.raises(BadRequest, match="already"):
        back_up(settings, tmp_path / "b.tar")
    with pytest.raises(BadRequest, match="nothing is overwritten"):
        restore(settings, tmp_path / "b.tar")


def test_what_is_no_backup(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive")
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO())
    for name in ("text", "other.tar", "missing"):
        with pytest.raises(BadRequest, match="no backup"):
            restore(settings, tmp_path / name)
    with pytest.raises(BadRequest, match="no database"):
        back_up(settings, tmp_path / "b.tar")
    assert not (settings.data_dir / "studio.db").exists()


def test_a_damaged_picture_is_found(store: Store, settings: Settings, tmp_path: Path) -> None:
    red = picture(settings, "red")
    ask(store, "What?", red)
    (settings.images_dir / red.sha256[:2] / f"{red.sha256}.png").write_bytes(b"damaged")
    back_up(settings, tmp_path / "b.tar")
    with pytest.raises(BadRequest, match="damaged"):
        restore(Settings(data_dir=tmp_path / "restored"), tmp_path / "b.tar")


def test_postgresql_has_tools_of_its_own(tmp_path: Path) -> None:
    settings = Settings(database_url="postgresql+psycopg://x/y")
    with pytest.raises(BadRequest, match="postgresql") as caught:
        back_up(settings, tmp_path / "b.tar")
    assert "pg_dump" in caught.value.remedy

"""``python app.py export`` and ``python app.py leaderboard``: ratings as a file, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.battle_protocol import VoteRequest
from app.db.store import Store
from app.db.vote_store import VoteStore
from app.launch import main
from app.leaderboard_protocol import Slice
from app.protocol import RatingRequest
from app.ratings.export import EXPORT_COLUMNS, WITHHELD
from app.ratings.files import read_rows, write_rows
from app.ratings.live import LiveLeaderboard
from app.settings import Settings
from tests.app.commands.battles import PICTURES, battle

DOCUMENT = Path(__file__).parents[3] / "docs" / "arena.md"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Votes of several people, one changed, one that does not count, one always left; a thumb."""
    store = Store.open(Settings(data_dir=tmp_path))
    votes = VoteStore(store.database)

    def cast(person: str, battle_id: str, choice: str, reason: str | None = None) -> None:
        request = VoteRequest.model_validate({"choice": choice, "reason": reason})
        votes.cast(person, battle_id, request)

    for number in range(20):
        cast("always-left", battle(store, "always-left")[0], "left")
        choice = ("left", "right", "tie", "both_bad")[number % 4]
        cast(f"p{number % 3}", battle(store, f"p{number % 3}")[0], choice, "clear" * (number % 2))
    battle_id, answer_id = battle(store, "ann")
    cast("ann", battle_id, "left")
    cast("ann", battle_id, "right", "it counted | right")
    cast("ann", battle(store, "ann", "error")[0], "left")
    store.rate("ann", RatingRequest(answer_id=answer_id, value="up", comment="gut: ü"))
    yield store
    store.close()


def export(folder: Path, name: str, *flags: str) -> Path:
    out = folder / name
    words = ["export", "ratings", "--out", str(out), *flags, "--data-dir", str(folder)]
    assert main(words) == 0
    return out


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet"])
def test_the_file_gives_the_numbers_of_the_page(
    store: Store, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, live = export(tmp_path, name), LiveLeaderboard(store.database)
    slices: list[tuple[list[str], Slice]] = [
        ([], Slice()),
        (["--by", "precision", "--with-reason"], Slice(by="precision", reason=True)),
        (["--kind", "named"], Slice(kind="named")),
        (["--only-model", "alpha", "--without-reason"], Slice(model="alpha", reason=False)),
    ]
    for flags, wanted in slices:
        capsys.readouterr()
        assert main(["leaderboard", str(out), "--json", *flags]) == 0
        assert json.loads(capsys.readouterr().out) == live.get(wanted).model_dump(mode="json")
    found = live.get(Slice())
    assert found.votes.not_counted["one_side"] == 20 and len(found.votes.not_counted) == 2
    assert main(["leaderboard", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "alpha" in printed and f"{found.votes.counted} of {found.votes.all} votes" in printed


def test_rows_of_both_formats(store: Store, tmp_path: Path) -> None:
    rows = list(read_rows(export(tmp_path, "r.jsonl")))
    assert rows == list(read_rows(export(tmp_path, "r", "--format", "parquet")))
    assert all(list(row) == list(EXPORT_COLUMNS) for row in rows)
    assert "ann" not in {row["voter"] for row in rows}
    first, changed, failed, thumb = rows[-4:]
    assert (first["replaced"], first["counted"]) == (True, False)
    assert changed["replaces"] == first["number"] and changed["counted"]
    assert not failed["counted"] and failed["not_counted"]
    assert changed["left_model"] == "alpha" and changed["right_template"] == "plain"
    assert thumb["answer_id"] == changed["left_answer_id"] and thumb["type"] == "thumb"
    assert thumb["battle_id"] == changed["battle_id"] and thumb["voter"] == changed["voter"]
    assert thumb["comment"] == "gut: ü" and thumb["revision"] == "rev-alpha"
    assert json.loads(thumb["parameters"]) == {"temperature": 0.2}
    assert changed["pictures"] == thumb["pictures"] == [PICTURES[0].sha256]


def test_the_words_of_people_who_do_not_allow_it_are_withheld(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(read_rows(export(tmp_path, "r.jsonl")))
    store.people.set_consent("ann", False)
    after = list(read_rows(export(tmp_path, "r.jsonl")))
    changed = [(a["type"], a["id"]) for a, b in zip(before, after, strict=True) if a != b]
    assert [kind for kind, _ in changed] == ["vote"] * 3 + ["thumb"]
    assert {row["consent"] for row in before} == {True} and after[-1]["consent"] is False
    assert after[-1]["comment"] == after[-3]["reason"] == WITHHELD and not after[-2]["reason"]
    # The numbers are the same, with and without a reason too.
    capsys.readouterr()
    assert main(["leaderboard", str(tmp_path / "r.jsonl"), "--json", "--with-reason"]) == 0
    live = LiveLeaderboard(store.database).get(Slice(reason=True))
    assert json.loads(capsys.readouterr().out) == live.model_dump(mode="json")


def test_every_column_is_documented() -> None:
    text = DOCUMENT.read_text().partition("## Export, and")[2]
    missing = [name for name in EXPORT_COLUMNS if f"`{name}`" not in text]
    assert not missing


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, form: str) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield dict.fromkeys(EXPORT_COLUMNS)
        raise RuntimeError("the database went away")

    out = tmp_path / "r"
    out.write_text("former")
    with pytest.raises(RuntimeError, match="went away"):
        write_rows(rows(), out, form)
    assert [path.name for path in tmp_path.iterdir()] == ["r"] and out.read_text() == "former"


def test_a_folder_that_is_not_there(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "no" / "r.jsonl")
    assert main(["export", "ratings", "--out", out, "--data-dir", str(tmp_path)]) == 1
    assert "cannot be written: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("not json\n", "cannot be read"),
        ("[1]\n", "Row 1"),
        ('{"schema_version": 7}\n', "schema_version is 7, not 1"),
        ('{"schema_version": 1, "type": "vote", "id": "x"}\n', "it has no number"),
        ("PAR1 and no more", "cannot be read"),
    ],
)
def test_files_that_are_no_export(
    tmp_path: Path, content: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f"
    path.write_text(content)
    assert main(["leaderboard", str(path)]) == 1
    assert told in capsys.readouterr().err

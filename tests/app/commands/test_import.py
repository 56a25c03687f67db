"""``python app.py import votes``: logs as FastChat and LLaVA write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.db.store import Store
from app.db.vote_rows import read_thumbs, read_votes
from app.launch import main
from app.leaderboard_protocol import Slice
from app.ratings.live import LiveLeaderboard
from app.ratings.vote_logs import BadRow, LoggedBattle, read_votes_of
from app.settings import Settings

Row = dict[str, Any]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(Settings(data_dir=tmp_path))
    yield store
    store.close()


def state(*texts: Any, model: str | None = None) -> Row:
    """A conversation as both programs log it: two messages stand before its beginning."""
    said = [["USER" if n % 2 == 0 else "ASSISTANT", text] for n, text in enumerate(texts)]
    found: Row = {"offset": 2, "messages": [["USER", "x"], ["ASSISTANT", "y"], *said]}
    return found if model is None else found | {"model_name": model, "conv_id": "c"}


def fight(choice: str = "leftvote", **keys: Any) -> Row:
    """A blind battle in FastChat's log."""
    return {
        "tstamp": 1700000000.25,
        "type": choice,
        "models": ["", ""],
        "states": [state("Why?", "So.", model="llava-7b"), state("Why?", "No.", model="qwen-x")],
        "ip": "10.1.2.3",
    } | keys


def thumb(value: str = "upvote", **keys: Any) -> Row:
    """A thumb in LLaVA's log."""
    seen = state("What?\n<image>", "A cat.", "Sure?", "Yes.")
    row = {"tstamp": 1700000100.5, "type": value, "model": "llava-v1.5-13b", "state": seen}
    return row | {"ip": "10.1.2.3"} | keys


def log(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def run(folder: Path, *files: Path) -> int:
    return main(["import", "votes", *map(str, files), "--data-dir", str(folder)])


def test_rows_become_marked_votes_once(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = fight("rightvote", models=["<h3>Model A: one</h3>\n", "<h3>Model B: two</h3>\n"])
    file = log(
        tmp_path / "log.json",
        *(fight(), fight("tievote"), fight("bothbad_vote", ip="10.9.9.9"), fight()),
        *(named, thumb(), thumb("flag"), {"type": "chat", "model": "m", "state": {}}),
    )
    assert run(tmp_path, file) == 0
    told = capsys.readouterr().out
    assert "4 votes and 2 thumbs imported; 1 were there already; 1 other rows" in told
    assert run(tmp_path, file) == 0
    assert "0 votes and 0 thumbs imported; 7 were there" in capsys.readouterr().out
    rows = read_votes(store.database, 0, 100)
    assert [row["choice"] for row in rows] == ["left", "tie", "both_bad", "right"]
    assert [row["kind"] for row in rows] == ["blind"] * 3 + ["named"]
    assert (rows[0]["left_model"], rows[3]["right_model"]) == ("llava-7b", "two")
    assert {row["source"] for row in rows} == {"fastchat"}
    assert rows[0]["created_at"] == "2023-11-14T22:13:20.250000+00:00"
    assert rows[0]["voter"] == rows[1]["voter"] != rows[2]["voter"]
    assert "10.1.2.3" not in str(rows)
    thumbs = list(read_thumbs(store.database))
    assert sorted(row["value"] for row in thumbs) == ["flag", "up"]
    assert {row["parameters"]["imported_from"] for row in thumbs} == {"llava"}
    live = LiveLeaderboard(store.database)
    assert live.get(Slice()).votes.counted == 3
    assert live.get(Slice(source="arena")).votes.all == 0
    assert live.get(Slice(source="fastchat", kind="named")).votes.all == 1


def test_a_thumb_brings_its_conversation_without_the_pictures_place(
    store: Store, tmp_path: Path
) -> None:
    run(tmp_path, log(tmp_path / "log.json", thumb()))
    (row,) = read_thumbs(store.database)
    with store.database.reading() as session:
        from app.db.preference_rows import stored_answer

        found = stored_answer(session, row["answer_id"])
    assert found is not None and (found.text, found.model) == ("Yes.", "llava-v1.5-13b")
    assert [turn.question for turn in found.context] == ["What?", "Sure?"]
    assert store.people.consenting(row["person"]) is False


def test_cleaned_battles(store: Store, tmp_path: Path) -> None:
    row = {"model_a": "a", "model_b": "b", "winner": "tie (bothbad)", "judge": "arena_user_1"}
    row |= {"turn": 2, "anony": True, "language": "German", "tstamp": 1700000000}
    (tmp_path / "clean.json").write_text(json.dumps([row, row | {"winner": "model_a"}, {"a": 1}]))
    assert run(tmp_path, tmp_path / "clean.json") == 0
    first, second = read_votes(store.database, 0, 9)
    assert (first["choice"], first["turn"], first["language"]) == ("both_bad", 2, "de")
    assert second["choice"] == "left" and second["voter"] == first["voter"]


def test_what_is_kept_and_not_counted(store: Store, tmp_path: Path) -> None:
    says = state("Why?", "I am Qwen.", model="qwen-x")
    fails = state("Why?", "**NETWORK ERROR DUE TO HIGH TRAFFIC. ...**", model="qwen-x")
    mine = fight()["states"][0]
    rows = (fight(states=[mine, says]), fight(states=[mine, fails]), fight(states=[mine, mine]))
    assert run(tmp_path, log(tmp_path / "log.json", *rows)) == 0
    found = LiveLeaderboard(store.database).get(Slice()).votes
    assert found.not_counted == {"names_model": 1, "side_failed": 1, "same_model": 1}


def test_bad_rows_are_told_with_their_numbers_and_the_others_imported(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = fight()
    del without["states"]
    file = log(tmp_path / "log.json", "{broken", fight(), "", without, fight(models=["", "x"]))
    assert run(tmp_path, file) == 1
    told = capsys.readouterr()
    assert "1 votes" in told.out
    for words in ("row 1: not imported: no JSON", "row 4: not imported: it has no states", "row 5"):
        assert words in told.err
    assert len(read_votes(store.database, 0, 9)) == 1
    assert run(tmp_path, tmp_path / "none.json") == 1
    assert "cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (fight(states=[state("?", "a", model="m"), state(model="n")]), "sides have 1 and 0"),
        (fight(states=[state("?", "a", model="m"), state("?", "b")]), "it has no model_name"),
        (fight(tstamp="yesterday"), "could not convert"),
        (fight(states=None), "states is not a list of two"),
        (thumb(model=None), "does not name its model"),
        (thumb(state=state("What?")), "no answer"),
        ({"winner": "c", "model_a": "a", "model_b": "b", "tstamp": 1}, "winner is 'c'"),
        ([1], "no JSON object"),
    ],
)
def test_rows_that_should_be_votes(tmp_path: Path, row: Any, reason: str) -> None:
    # A line before it: a file that begins with [ is a JSON array.
    good, bad = read_votes_of(log(tmp_path / "log.json", fight(), row))
    assert isinstance(good, LoggedBattle)
    assert isinstance(bad, BadRow) and reason in bad.reason and bad.number == 2

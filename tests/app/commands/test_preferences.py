"""``python app.py export preferences``: pairs from votes and thumbs, with their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.battle_protocol import VoteRequest
from app.db.battle_store import BattleStore, NewAnswer
from app.db.records import AnswerSource, NewTurn, Outcome
from app.db.store import Store
from app.db.vote_store import VoteStore
from app.launch import main
from app.protocol import ModelInfo, RatingRequest
from app.settings import Settings
from llava_core.images import ImageLimits, decode_image
from llava_core.preferences import Message, PreferencePair, read_preferences
from tests.app.commands.battles import PICTURES, battle
from tests.pictures import png

SOURCE = AnswerSource(ModelInfo(id="m"))
SHA = PICTURES[0].sha256
PICTURE = f"{SHA[:2]}/{SHA}.png"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(Settings(data_dir=tmp_path))
    yield store
    store.close()


def export(folder: Path) -> list[PreferencePair]:
    out = folder / "p.jsonl"
    words = ["export", "preferences", "--out", str(out), "--data-dir", str(folder)]
    assert main(words) == 0
    return list(read_preferences(out))


def vote(store: Store, person: str, battle_id: str, choice: str) -> None:
    request = VoteRequest.model_validate({"choice": choice})
    VoteStore(store.database).cast(person, battle_id, request)


def answers(store: Store, person: str, *texts: str, **turn: Any) -> tuple[str, list[str]]:
    """A conversation with sibling answers to one question, in this order; their ids."""
    begun = store.begin_turn(NewTurn(person, "What is it?", **turn), SOURCE)
    ids = [begun.answer_id]
    for _ in texts[1:]:
        ids.append(store.begin_sibling(person, ids[0], SOURCE).answer_id)
    for answer, text in zip(ids, texts, strict=True):
        store.save_answer(answer, Outcome(text, "stop"))
    return begun.conversation_id, ids


def rate(store: Store, person: str, **values: str) -> None:
    for answer, value in values.items():
        store.rate(person, RatingRequest.model_validate({"answer_id": answer, "value": value}))


def test_votes_become_pairs_with_pictures(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right, _ = battle(store, "ann")
    vote(store, "ann", right, "left")
    vote(store, "ann", right, "right")  # changed: the former vote says nothing any more
    vote(store, "ann", battle(store, "ann")[0], "tie")
    vote(store, "ann", battle(store, "ann", "error")[0], "left")
    vote(store, "ann", battle(store, "ann", left="same", right="same")[0], "left")
    vote(store, "user:bob", battle(store, "user:bob")[0], "left")
    judged, _ = battle(store, "ann")
    VoteStore(store.database).cast_as_judge("gpt", judged, VoteRequest(choice="left"))
    (pair,) = export(tmp_path)
    assert (pair.source, pair.chosen, pair.rejected) == ("vote", "right", "left")
    assert (pair.chosen_model, pair.rejected_model) == ("beta", "alpha")
    assert pair.context == (Message("user", "What?", (PICTURE,)),)
    picture = (tmp_path / "p-pictures" / PICTURE).read_bytes()
    assert decode_image(picture, ImageLimits(10**6, 10**6)).size and picture == png()
    told = capsys.readouterr().out
    assert "1 pairs (1 by vote)" in told and "1 pictures" in told
    assert "Left out: 1 of people who do not allow it" in told
    assert "Left out: 1 with the same text twice" in told
    store.people.set_consent("user:bob", True)
    assert len(export(tmp_path)) == 2
    store.people.set_consent("ann", False)
    assert [each.chosen for each in export(tmp_path)] == ["left"]


def test_thumbs_on_siblings_and_regenerate_then_like(store: Store, tmp_path: Path) -> None:
    first, (before,) = answers(store, "ann", "Hello.", pictures=PICTURES)
    _, siblings = answers(
        store, "ann", "1", "2", "3", "4", conversation_id=first, parent_answer_id=before
    )
    rate(store, "ann", **{siblings[0]: "down", siblings[2]: "up"})
    pairs = {(each.source, each.chosen, each.rejected) for each in export(tmp_path)}
    # 2 was asked again and not rated; 4 came after the liked one, and nobody has said anything.
    assert pairs == {("siblings", "3", "1"), ("regenerate", "3", "2")}
    pair = next(read_preferences(tmp_path / "p.jsonl"))
    assert pair.context == (
        Message("user", "What is it?", (PICTURE,)),
        Message("assistant", "Hello."),
        Message("user", "What is it?"),
    )
    rate(store, "ann", **{siblings[1]: "up", siblings[3]: "flag"})
    pairs = {(each.source, each.chosen, each.rejected) for each in export(tmp_path)}
    expected = {(liked, below) for liked in "23" for below in "14"}
    assert pairs == {("siblings", *each) for each in expected}


def test_thumbs_of_others_and_of_people_who_do_not_allow_it(store: Store, tmp_path: Path) -> None:
    _, (first, second) = answers(store, "visitor:1", "1", "2")
    rate(store, "ann", **{first: "up", second: "down"})  # ann does, the visitor was never asked
    assert not export(tmp_path)
    _, (first, second) = answers(store, "ann", "1", "2")
    rate(store, "ann", **{first: "up"})
    rate(store, "bob", **{second: "down"})  # two people's thumbs are no preference of one
    assert not export(tmp_path)


def test_marked_voters_and_other_turns_are_left_out_and_told(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(20):
        vote(store, "always-left", battle(store, "always-left")[0], "left")
    battle_id, _ = battle(store, "ann")
    sides: dict[Any, NewAnswer] = {}
    state = BattleStore(store.database).state("ann", battle_id)
    for side in ("left", "right"):
        conversation = state.conversations[side]
        head = store.head(state.owner, str(conversation))
        turn = NewTurn(state.owner, "And?", (), conversation, head)
        begun = store.begin_turn(turn, SOURCE)
        store.save_answer(begun.answer_id, Outcome(side, "stop"))
        sides[side] = NewAnswer(begun.conversation_id, begun.answer_id)
    BattleStore(store.database).begin_turn(battle_id, 2, sides)
    vote(store, "ann", battle_id, "left")
    assert not export(tmp_path)
    told = capsys.readouterr().out
    assert "20 of voters who are marked" in told and "1 whose sides had other answers" in told


def test_a_picture_that_is_gone_and_a_folder_that_is_not_there(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vote(store, "ann", battle(store, "ann")[0], "left")
    (tmp_path / "images" / PICTURE).unlink()
    assert not export(tmp_path)
    assert "1 whose picture is gone" in capsys.readouterr().out
    words = ["export", "preferences", "--data-dir", str(tmp_path), "--out"]
    assert main([*words, str(tmp_path / "no" / "p.jsonl")]) == 1
    assert "cannot be written: No such file" in capsys.readouterr().err
    assert main([*words, "p.parquet"]) == 1 and "JSON lines" in capsys.readouterr().err

"""``python app.py judge-battles``: a scripted judge over HTTP votes on stored battles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.battle_protocol import VoteRequest
from app.db.battle_store import BattleStore, NewAnswer
from app.db.store import Store
from app.db.vote_rows import read_votes
from app.db.vote_store import VoteStore
from app.launch import main
from app.leaderboard_protocol import Slice
from app.ratings.judging import choice_in, verdict_of
from app.ratings.live import LiveLeaderboard
from app.settings import Settings
from tests.app.commands.battles import battle
from tests.scripted_endpoint import Asked, ScriptedEndpoint, Step

GOOD = "A red star, says alpha."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(Settings(data_dir=tmp_path))
    yield store
    store.close()


def judge(asked: Asked) -> str:
    """Prefers the good answer wherever it stands; without one, whatever stands first."""
    first = asked.question.split("[Answer of A]\n")[1].split("\n[End")[0]
    second = asked.question.split("[Answer of B]\n")[1].split("\n[End")[0]
    if "unreadable" in first + second:
        return "Well, who knows."
    if "red star" in second:
        return "**B**\nB names the shape."
    return "A\nA names the shape."


def run(folder: Path, url: str, *flags: str) -> int:
    words = ["judge-battles", "--judge", url, "--judge-model", "judge-1", "--data-dir", str(folder)]
    return main([*words, "--first-wait", "0.01", *flags])


def choices(store: Store) -> dict[str, str]:
    """Battle -> choice, of the judge's votes that stand."""
    rows = read_votes(store.database, 0, 100)
    judged = [row for row in rows if row["voter_kind"] == "judge" and not row["replaced"]]
    assert {row["voter"] for row in judged} <= {"judge-1"}
    return {row["battle_id"]: row["choice"] for row in judged}


def test_a_judge_votes_in_both_orders_and_apart_from_people(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, _ = battle(store, "ann", left=GOOD)
    right, _ = battle(store, "ann", right=GOOD)
    unsteady, _ = battle(store, "bob")
    unreadable, _ = battle(store, "bob", left="unreadable")
    battle(store, "bob", "error")
    battle(store, "user:carl")  # was never asked whether that is allowed
    votes = VoteStore(store.database)
    votes.cast("ann", left, VoteRequest(choice="left"))
    votes.cast("ann", right, VoteRequest(choice="left"))
    with ScriptedEndpoint(judge) as endpoint:
        assert run(tmp_path, endpoint.url) == 1
        assert len(endpoint.asked) == 8
        message = endpoint.asked[0].body["messages"][1]["content"]
        assert [part["type"] for part in message] == ["image_url", "text", "text"]
        assert "alpha" not in str(message) and "[name hidden]" in str(message)
        assert choices(store) == {left: "left", right: "right", unsteady: "tie"}
        told = capsys.readouterr().out
        for words in (
            "3 votes of judge-1, apart from people's",
            "1 of them are ties because its choice changed",
            "1 battles with a reply that is no verdict",
            "1 battles with a side that failed",
            "1 battles of people who do not allow it",
            "the same in 50% of 2 pairs",
        ):
            assert words in told
        # Again: nothing new is asked, not even what could not be read.
        assert run(tmp_path, endpoint.url) == 1 and len(endpoint.asked) == 8
    assert unreadable not in choices(store)
    live = LiveLeaderboard(store.database)
    board, judged = live.get(Slice()), live.get(Slice(voters="judge"))
    assert board.votes.all == 2 and board.judge is not None and board.judge.pairs == 2
    assert judged.votes.all == 3
    reasons = {row["battle_id"]: row["reason"] for row in read_votes(store.database, 2, 9)}
    assert reasons[left] == "A is left, B is right. A names the shape."
    assert reasons[unsteady].startswith("With left as A it chose left, with right as A right.")


def test_a_judge_that_can_only_read_and_a_further_turn(store: Store, tmp_path: Path) -> None:
    battle_id, _ = battle(store, "ann", left=GOOD)
    with ScriptedEndpoint(judge) as endpoint:
        assert run(tmp_path, endpoint.url, "--without-pictures") == 0
        assert isinstance(endpoint.asked[0].body["messages"][1]["content"], str)
        assert not list((tmp_path / "judges").iterdir())  # all replies have become votes
        assert run(tmp_path, endpoint.url) == 0 and len(endpoint.asked) == 2
        _, answer = battle(store, "bob")
        battles = BattleStore(store.database)
        battles.begin_turn(
            battle_id, 2, {s: NewAnswer(answer_id=answer) for s in ("left", "right")}
        )
        assert run(tmp_path, endpoint.url, "--limit", "1") == 0
        assert "[Question 2]" in endpoint.asked[-1].question and len(endpoint.asked) == 4
    turns = [(row["turn"], row["replaces"]) for row in read_votes(store.database, 0, 9)]
    assert turns == [(1, None), (2, 1)]


def test_a_wrong_key_stops_at_once(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(30):
        battle(store, "ann")
    with ScriptedEndpoint(judge, key="right") as endpoint:
        assert run(tmp_path, endpoint.url, "--at-once", "2") == 1
        assert len(endpoint.asked) <= 4
        assert "refuses the key with 401" in capsys.readouterr().err
    assert not choices(store)


def test_cut_replies_limits_and_a_budget_that_runs_out(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [battle(store, "ann", left=f"{GOOD} {number}")[0] for number in range(4)]

    def script(asked: Asked) -> Step:
        if asked.attempt == 1:
            cut = asked.number % 4 == 1
            return Step(cut=True) if cut else Step(status=429, headers={"Retry-After": "0"})
        return Step(usage=False)

    with ScriptedEndpoint(judge, script) as endpoint:
        spend = ("--price-in", "1", "--price-out", "1", "--at-once", "1", "--max-tokens", "50")
        assert run(tmp_path, endpoint.url, *spend, "--budget", "0.009") == 1
        told = capsys.readouterr()
        assert "The budget of 0.009 does not last" in told.err
        some = choices(store)
        assert 0 < len(some) < 4
        kept = len(endpoint.asked)
        assert run(tmp_path, endpoint.url, *spend, "--budget", "9") == 0
    assert choices(store) == dict.fromkeys(ids, "left")
    whole = [asked for asked in endpoint.asked if asked.attempt == 2]
    assert len(whole) == 8 and kept < len(endpoint.asked)


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "http://127.0.0.1:9/v1"
    assert run(tmp_path, url, "--judge-name", "x" * 65) == 1
    assert "65 characters" in capsys.readouterr().err
    assert run(tmp_path, url, "--rule", str(tmp_path / "none")) == 1
    assert "cannot be read" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(tmp_path, "localhost:9")


def test_nobody_answers(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    battle(store, "ann")
    assert run(tmp_path, "http://127.0.0.1:9/v1", "--attempts", "2") == 1
    assert "Nobody answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("A\nbecause", "left"),
        ("[[B]]", "right"),
        ("Verdict: **tie**.", "tie"),
        ("Both bad", "both_bad"),
        ("<think>B?\nNo.</think>\n\nAssistant A", "left"),
        ("A is better than B", None),
        ("", None),
        ("7 5", None),
    ],
)
def test_verdicts(reply: str, choice: Any) -> None:
    assert choice_in(reply, "ab") == choice
    swapped = {"left": "right", "right": "left"}
    assert choice_in(reply, "ba") == swapped.get(choice, choice)


def test_two_replies_make_one_vote() -> None:
    steady = verdict_of("A\nfine", "B\nfine")
    assert steady is not None and (steady.choice, steady.steady) == ("left", True)
    turned = verdict_of("A\nfine", "A\nfine")
    assert turned is not None and (turned.choice, turned.steady) == ("tie", False)
    assert verdict_of("A", "hm") is None

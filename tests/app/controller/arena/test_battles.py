"""Blind battles over HTTP: nothing tells the names before the vote, and all is stored."""

from __future__ import annotations

import json
import sqlite3

from tests.app.controller.arena.conftest import Ring, model, text_of
from tests.app.controller.conftest import Desk, code
from tests.pictures import png

NAMES = ("alpha-one", "beta-two", "alpha", "beta")


def test_a_battle_from_question_to_names(ring: Ring) -> None:
    events = ring.battle("What is it?", png())
    assert events[0]["type"] == "battle" and events[0]["turn"] == 1
    assert {text_of(events, "left"), text_of(events, "right")} == {
        "A red circle.",
        "A blue square on white.",
    }
    assert events[-1] == {"type": "done", "counts": True}
    battle_id = events[0]["battle_id"]
    before = ring.get(f"/api/battles/{battle_id}")
    assert before["can_vote"] and before["models"] is None and before["vote"] is None
    reply = ring.vote(battle_id, "left", reason="clearer")
    assert reply.status_code == 200, reply.text
    models = reply.json()["models"]
    assert {models["left"]["model"], models["right"]["model"]} == {"alpha-one", "beta-two"}
    assert models["left"]["precision"] == "32bit"
    after = ring.get(f"/api/battles/{battle_id}")
    assert after["vote"]["choice"] == "left" and after["vote"]["counted"]
    assert after["models"] == models


def test_nothing_tells_the_names_before_the_vote(ring: Ring) -> None:
    events = ring.battle()
    battle_id = events[0]["battle_id"]
    told = [json.dumps(events), json.dumps(ring.get(f"/api/battles/{battle_id}"))]
    told += [json.dumps(ring.get("/api/battles")), json.dumps(ring.get("/api/conversations"))]
    assert not [name for name in NAMES for text in told if name in text.lower()]
    assert ring.get("/api/conversations")["conversations"] == []
    assert "ans_" not in told[0] + told[1] and "conv_" not in told[0] + told[1]


def test_both_sides_get_the_same_picture_and_parameters(desk: Desk) -> None:
    backends = [model("alpha-one"), model("beta-two")]
    for backend in backends:
        desk.add_worker(backend)
    Ring(desk).battle("What is it?", png("blue"), temperature=0.7)
    one, two = (backend.samplings[0] for backend in backends)
    assert one == two and one.temperature == 0.7 and one.seed is not None
    pictures = [backend.seen[0].messages[0].images[0] for backend in backends]
    assert pictures[0].tobytes() == pictures[1].tobytes()


def test_after_the_vote_the_sides_are_ordinary_conversations(ring: Ring) -> None:
    battle_id = ring.battle()[0]["battle_id"]
    models = ring.vote(battle_id).json()["models"]
    for side in ("left", "right"):
        conversation = ring.get(f"/api/conversations/{models[side]['conversation_id']}")
        assert conversation["turns"][0]["answers"][0]["model"] == models[side]["model"]
    assert len(ring.get("/api/conversations")["conversations"]) == 2


def test_several_turns_before_the_vote(ring: Ring) -> None:
    battle_id = ring.battle()[0]["battle_id"]
    events = ring.turn(battle_id)
    assert events[0] == {"type": "battle", "battle_id": battle_id, "turn": 2, "kind": "blind"}
    assert [turn["text"] for turn in ring.get(f"/api/battles/{battle_id}")["turns"]] == [
        "What is it?",
        "And now?",
    ]
    assert ring.vote(battle_id).json()["vote"]["turn"] == 2


def test_one_model_only_says_what_is_missing(desk: Desk) -> None:
    desk.add_worker(model("alpha-one"))
    reply = Ring(desk).post("/api/battles", messages=[{"role": "user", "content": "Hi?"}])
    assert code(reply) == (409, "one_model")
    assert "only 'alpha-one'" in reply.json()["error"]["message"]
    assert "--model" in reply.json()["error"]["remedy"]


def test_a_named_battle_tells_its_names_at_once(ring: Ring) -> None:
    events = ring.battle(models=["beta-two", "alpha-one"])
    assert events[0]["kind"] == "named"
    assert events[0]["models"] == {"left": "beta-two", "right": "alpha-one"}
    assert text_of(events, "right") == "A red circle."
    assert ring.vote(events[0]["battle_id"], "tie").json()["vote"]["counted"]


def test_two_stored_answers_are_compared(ring: Ring) -> None:
    ids = []
    for name in ("alpha-one", "beta-two"):
        body = {"messages": [{"role": "user", "content": "What is it?"}], "model": name}
        ids.append(ring.post("/v1/chat/completions", **body).json()["id"])
    battle = ring.post("/api/comparisons", left_answer_id=ids[0], right_answer_id=ids[1]).json()
    assert battle["kind"] == "named" and battle["can_vote"]
    assert battle["models"]["left"]["model"] == "alpha-one"
    again = ring.post("/api/comparisons", left_answer_id=ids[1], right_answer_id=ids[0]).json()
    assert again["id"] == battle["id"]
    assert ring.vote(battle["id"], "right").status_code == 200


def test_language_and_kind_of_the_question_are_stored(ring: Ring) -> None:
    ring.battle("How many stars are there?", png())
    rows = sqlite3.connect(ring.desk.settings.data_dir / "studio.db").execute(
        "SELECT language, question_kind, length(prompt_hash) FROM battles"
    )
    assert list(rows) == [("en", "count", 64)]

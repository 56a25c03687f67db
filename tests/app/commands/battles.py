"""Stored battles for the tests of commands."""

from __future__ import annotations

import hashlib
from typing import Any

from app.db.battle_store import BattleStore, NewAnswer, NewBattle, hidden_owner
from app.db.records import AnswerSource, NewTurn, Outcome
from app.db.store import Store
from app.pictures import Picture
from app.protocol import ModelInfo
from tests.pictures import png

MODELS = {
    side: ModelInfo(id=name, revision=f"rev-{name}", precision="32bit", template="plain")
    for side, name in (("left", "alpha"), ("right", "beta"))
}
PICTURES = (Picture(png(), "image/png", 8, 6, hashlib.sha256(png()).hexdigest()),)


def battle(
    store: Store, person: str, finish: str = "stop", left: str = "left", right: str = "right"
) -> tuple[str, str]:
    """A blind battle about a picture with these answers; returns its id and the left answer's."""
    battles = BattleStore(store.database)
    new = NewBattle(person, "blind", "What?", MODELS["left"], MODELS["right"])
    battle_id = battles.create(new)
    answers: dict[Any, NewAnswer] = {}
    for side, said in (("left", left), ("right", right)):
        turn = NewTurn(hidden_owner(battle_id), "What?", pictures=PICTURES)
        begun = store.begin_turn(turn, AnswerSource(MODELS[side], {"temperature": 0.2}))
        store.save_answer(begun.answer_id, Outcome(said, finish))
        answers[side] = NewAnswer(begun.conversation_id, begun.answer_id)
    battles.begin_turn(battle_id, 1, answers)
    return battle_id, str(answers["left"].answer_id)

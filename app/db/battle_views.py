"""Battles as they travel. While a battle is blind, its views tell no names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from app.battle_protocol import (
    BattleKind,
    BattleSummary,
    BattleTurn,
    Models,
    Pair,
    SideAnswer,
    SideError,
    SideModel,
    VoteChoice,
)
from app.db.battles import Battle, BattleAnswer
from app.db.views import image_view
from app.errors import StudioError
from app.protocol import FinishReason

Hide = Callable[[str], tuple[str, bool]]
"""Hides names in a text; also tells whether there were any."""
_BLIND_ERRORS = {
    "no_worker": "This side's model is not being served any more.",
    "unknown_model": "This side's model is not being served any more.",
    "worker_lost": "This side's model went away before its answer was complete.",
    "context_too_long": "The conversation is too long for this side's model.",
    "out_of_memory": "There is no memory left for this side's answer.",
    "storage_failed": "This side's answer could not be stored.",
    "database_busy": "This side's answer could not be stored.",
}


def side_error(code: str) -> SideError:
    """An error in words that are the same for all models."""
    return SideError(
        code=code,
        message=_BLIND_ERRORS.get(code, "This side could not answer."),
        remedy="The battle is kept and not counted. Start another one.",
    )


def error_of(error: StudioError) -> SideError:
    """An exception of one side, without what its message tells."""
    return side_error(error.code)


def models_view(battle: Battle) -> Models:
    """The names."""
    return Models(
        left=SideModel(
            model=battle.left_model,
            revision=battle.left_revision,
            precision=battle.left_precision,
            conversation_id=battle.left_conversation_id,
        ),
        right=SideModel(
            model=battle.right_model,
            revision=battle.right_revision,
            precision=battle.right_precision,
            conversation_id=battle.right_conversation_id,
        ),
    )


def turns_view(answers: Sequence[BattleAnswer], hide: Hide | None) -> list[BattleTurn]:
    """The turns; names are hidden in the answers where ``hide`` is given."""
    turns = []
    for turn in sorted({row.turn for row in answers}):
        sides = {row.side: row for row in answers if row.turn == turn}
        question = next((row.answer.question for row in sides.values() if row.answer), None)
        turns.append(
            BattleTurn(
                text=question.text if question else "",
                images=[image_view(p.image) for p in question.pictures] if question else [],
                left=_side(sides.get("left"), hide),
                right=_side(sides.get("right"), hide),
            )
        )
    return turns


def _side(row: BattleAnswer | None, hide: Hide | None) -> SideAnswer:
    if row is None or row.answer is None:
        code = row.error if row is not None else None
        return SideAnswer(text="", finish_reason="error", error=side_error(code or "no_worker"))
    answer, text, masked = row.answer, row.answer.text, row.names_model
    if hide is not None:
        text, masked = hide(text)
    return SideAnswer(
        text=text,
        finish_reason=cast("FinishReason | None", answer.finish_reason),
        error=side_error(answer.error) if answer.error else None,
        masked=masked,
        answer_id=answer.id if hide is None else None,
    )


def summary_view(battle: Battle, choice: str | None) -> BattleSummary:
    """One battle in a list."""
    told = battle.kind == "named" or choice is not None
    return BattleSummary(
        id=battle.id,
        kind=cast(BattleKind, battle.kind),
        title=battle.title,
        created_at=battle.created_at,
        turns=battle.turns,
        choice=cast("VoteChoice | None", choice),
        models=Pair(left=battle.left_model, right=battle.right_model) if told else None,
    )

"""One battle as its person may see it now."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from app.battle_protocol import Battle as BattleView
from app.battle_protocol import BattleKind
from app.db.battle_store import battle_answers, owned_battle, standing_vote
from app.db.battle_views import Hide, models_view, turns_view
from app.db.database import Database
from app.db.vote_store import NOT_COUNTED, vote_view, why_not_counted
from app.errors import BattleRunning


def battle_page(
    database: Database, person: str, battle_id: str, hide_for: Callable[[str, str], Hide]
) -> BattleView:
    """The battle; ``hide_for`` gives what hides the names of two models in a text.

    Raises :class:`app.errors.NotFound` for other people's battles.
    """
    with database.reading() as session:
        battle = owned_battle(session, person, battle_id)
        vote = standing_vote(session, battle_id)
        told = battle.kind == "named" or vote is not None
        can_vote, counts, why_not = True, True, None
        try:
            reason = why_not_counted(session, battle)
            counts, why_not = reason is None, NOT_COUNTED[reason] if reason else None
        except BattleRunning as error:
            can_vote, why_not = False, error.message
        if vote is not None and vote.turn < battle.turns:
            can_vote, why_not = False, "The next turn has begun: the vote stays as it is."
        hide = None if told else hide_for(battle.left_model, battle.right_model)
        return BattleView(
            id=battle.id,
            kind=cast(BattleKind, battle.kind),
            created_at=battle.created_at,
            turns=turns_view(battle_answers(session, battle_id), hide),
            can_vote=can_vote,
            counts=counts,
            why_not=why_not,
            vote=vote_view(session, vote) if vote is not None else None,
            models=models_view(battle) if told else None,
        )

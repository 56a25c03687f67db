"""Votes in the database: one that stands for each voter and battle, with the trail of its changes.

A vote is cast in one transaction that holds the arena's row, so that two at the same moment are
one after the other, on every database. All methods block.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.battle_protocol import Vote as VoteView
from app.battle_protocol import VoteChoice, VoteRequest, VoteResult, VoterKind
from app.db.battle_store import battle_answers, owned_battle, reveal
from app.db.battle_views import models_view
from app.db.battles import ArenaState, Battle, Vote
from app.db.database import Database
from app.db.models import new_id, now
from app.errors import BattleRunning, NotFound, VoteClosed

NOT_COUNTED = {
    "side_failed": "One side failed, so a vote on this battle is kept and not counted.",
    "side_stopped": "An answer was stopped, so a vote on this battle is kept and not counted.",
    "voter_cap": "You have reached the number of votes a day that count.",
}
"""Why a vote is not counted, as a code and in words."""


@dataclass(frozen=True)
class Ballot:
    """A vote about to be stored: ``voter`` is the hash of a person, or a judge's name."""

    battle_id: str
    voter: str
    voter_kind: VoterKind
    request: VoteRequest


class VoteStore:
    """Votes. ``votes_per_day``: how many of one person count; None for no limit."""

    def __init__(self, database: Database, votes_per_day: int | None = None) -> None:
        self._database = database
        self._votes_per_day = votes_per_day

    def cast(self, person: str, battle_id: str, request: VoteRequest) -> VoteResult:
        """Store or change the person's vote, and tell the names.

        The same choice and reason again, or the same key again, change nothing. Raises
        :class:`NotFound` for other people's battles, :class:`BattleRunning` before both answers
        have ended, and :class:`VoteClosed` where a turn has begun after the vote.
        """
        with self._database.writing() as session:
            state = lock_arena(session)
            battle = owned_battle(session, person, battle_id)
            ballot = Ballot(battle_id, voter_hash(state.salt, person), "person", request)
            vote = self._store(session, state, battle, ballot)
            reveal(session, battle)
            session.flush()
            return VoteResult(vote=vote_view(session, vote), models=models_view(battle))

    def cast_as_judge(
        self, judge: str, battle_id: str, request: VoteRequest, turns: int | None = None
    ) -> VoteView:
        """Store or change a judge's vote; names stay hidden from the person.

        Raises :class:`VoteClosed` where the battle has other than the ``turns`` that were judged.
        """
        with self._database.writing() as session:
            state = lock_arena(session)
            battle = session.get(Battle, battle_id)
            if battle is None:
                raise NotFound(f"There is no battle {battle_id!r}.")
            if turns not in (None, battle.turns):
                raise VoteClosed(f"The battle has {battle.turns} turns now, not {turns}.")
            vote = self._store(session, state, battle, Ballot(battle_id, judge, "judge", request))
            session.flush()
            return vote_view(session, vote)

    def _store(self, session: Session, state: ArenaState, battle: Battle, ballot: Ballot) -> Vote:
        standing = _standing(session, ballot)
        if standing is not None and _is_repeated(session, standing, ballot, battle.turns):
            return standing
        if standing is not None and ballot.voter_kind == "person" and standing.turn < battle.turns:
            raise VoteClosed("The next turn has begun, so the vote cannot be changed any more.")
        not_counted = why_not_counted(session, battle)
        if standing is None and not_counted is None and self._over_cap(session, ballot):
            not_counted = "voter_cap"
        if standing is not None:
            standing.replaced = True
            not_counted = not_counted or standing.not_counted
            session.flush()
        state.last_vote += 1
        vote = Vote(
            id=new_id("vote"),
            number=state.last_vote,
            battle_id=battle.id,
            voter=ballot.voter,
            voter_kind=ballot.voter_kind,
            choice=ballot.request.choice,
            reason=(ballot.request.reason or "").strip() or None,
            turn=battle.turns,
            key=ballot.request.key,
            replaces=standing.number if standing is not None else None,
            replaced=False,
            not_counted=not_counted,
            created_at=now(),
        )
        session.add(vote)
        return vote

    def _over_cap(self, session: Session, ballot: Ballot) -> bool:
        if self._votes_per_day is None or ballot.voter_kind == "judge":
            return False
        today = session.scalar(
            select(func.count())
            .select_from(Vote)
            .where(
                Vote.voter == ballot.voter,
                Vote.created_at >= now()[:10],
                Vote.replaces.is_(None),
            )
        )
        return (today or 0) >= self._votes_per_day


def lock_arena(session: Session) -> ArenaState:
    """The arena's row, locked until the transaction ends."""
    return session.execute(
        select(ArenaState).where(ArenaState.id == 1).with_for_update()
    ).scalar_one()


def voter_hash(salt: str, person: str) -> str:
    """What stands for a person in the votes: it cannot be turned back without the salt."""
    return hashlib.sha256(f"{salt}:{person}".encode()).hexdigest()[:32]


def why_not_counted(session: Session, battle: Battle) -> str | None:
    """Why votes on this battle do not count; raises :class:`BattleRunning` before its end."""
    answers = battle_answers(session, battle.id)
    if not answers:
        raise BattleRunning("The battle has no answers yet.")
    reasons = [row.answer.finish_reason if row.answer is not None else "error" for row in answers]
    if None in reasons:
        raise BattleRunning("Both answers have to end before a vote.")
    if "error" in reasons:
        return "side_failed"
    return "side_stopped" if "cancelled" in reasons else None


def _standing(session: Session, ballot: Ballot) -> Vote | None:
    found: Vote | None = session.scalar(
        select(Vote).where(
            Vote.battle_id == ballot.battle_id, Vote.voter == ballot.voter, ~Vote.replaced
        )
    )
    return found


def _is_repeated(session: Session, standing: Vote, ballot: Ballot, turns: int) -> bool:
    request = ballot.request
    if request.key is not None:
        seen = select(Vote.id).where(
            Vote.battle_id == ballot.battle_id,
            Vote.voter == ballot.voter,
            Vote.key == request.key,
        )
        if session.scalar(seen) is not None:
            return True
    if ballot.voter_kind == "judge" and standing.turn != turns:
        return False  # it has judged the further turn, too
    reason = (request.reason or "").strip() or None
    return standing.choice == request.choice and standing.reason == reason


def vote_view(session: Session, vote: Vote) -> VoteView:
    """A vote with the number of its changes."""
    changes = session.scalar(
        select(func.count())
        .select_from(Vote)
        .where(Vote.battle_id == vote.battle_id, Vote.voter == vote.voter, Vote.replaced)
    )
    return VoteView(
        id=vote.id,
        battle_id=vote.battle_id,
        choice=cast(VoteChoice, vote.choice),
        reason=vote.reason,
        turn=vote.turn,
        counted=vote.not_counted is None,
        not_counted=vote.not_counted,
        changes=changes or 0,
        created_at=vote.created_at,
    )

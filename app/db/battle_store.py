"""Battles in the database: begun, answered, seen, and given to their person after the vote.

All methods block. Until the vote, the two conversations of a blind battle belong to the battle
(:func:`hidden_owner`), not to the person: no list, no conversation and no export of the person's
can then tell which models they are with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, selectinload

from app.battle_protocol import BattleKind, Side
from app.db.battles import Battle, BattleAnswer, Vote
from app.db.database import Database
from app.db.models import Answer, Conversation, Question, new_id
from app.db.queries import owned_answer
from app.errors import BadRequest, NotFound, VoteClosed
from app.prompts import Prompt
from app.protocol import ModelInfo

OWNER = "battle:"


def hidden_owner(battle_id: str) -> str:
    """Who owns the conversations of a blind battle until the vote."""
    return OWNER + battle_id


@dataclass(frozen=True)
class NewBattle:
    """A battle about to begin."""

    person: str
    kind: BattleKind
    title: str
    left: ModelInfo
    right: ModelInfo
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BattleState:
    """What the controller needs to know of a battle for its next turn."""

    id: str
    kind: BattleKind
    turns: int
    models: dict[Side, str]
    conversations: dict[Side, str | None]
    parameters: dict[str, Any]
    owner: str
    """Who owns the conversations now."""
    blind: bool
    """Whether names are hidden still."""


@dataclass(frozen=True)
class NewAnswer:
    """One side of a turn: its stored answer, or the code of the error that kept it from one."""

    conversation_id: str | None = None
    answer_id: str | None = None
    error: str | None = None


class BattleStore:
    """Battles and their answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, new: NewBattle) -> str:
        """Store a battle without turns; returns its id."""
        battle = Battle(
            id=new_id("bat"),
            person=new.person,
            kind=new.kind,
            title=new.title,
            parameters=dict(new.parameters),
            **_sides(new.left, new.right),
        )
        with self._database.writing() as session:
            session.add(battle)
            return battle.id

    def begin_turn(self, battle_id: str, turn: int, answers: Mapping[Side, NewAnswer]) -> None:
        """Store which answers are a turn's; a vote that was cast before is final from now on.

        Raises :class:`VoteClosed` where somebody else has begun this turn, in another tab.
        """
        with self._database.writing() as session:
            begun = session.execute(
                update(Battle)
                .where(Battle.id == battle_id, Battle.turns == turn - 1)
                .values(turns=turn)
            )
            if not getattr(begun, "rowcount", 0):
                raise VoteClosed("This turn of the battle has begun in another tab.", "Reload.")
            battle = session.get_one(Battle, battle_id)
            for side, answer in answers.items():
                if answer.conversation_id is not None:
                    setattr(battle, f"{side}_conversation_id", answer.conversation_id)
                session.add(
                    BattleAnswer(
                        battle_id=battle_id,
                        turn=turn,
                        side=side,
                        answer_id=answer.answer_id,
                        error=answer.error,
                    )
                )

    def set_prompt(self, battle_id: str, prompt: Prompt) -> None:
        """What the battle's first question is, for slices."""
        values = {
            "prompt_hash": prompt.hash,
            "language": prompt.language,
            "question_kind": prompt.kind,
        }
        with self._database.writing() as session:
            session.execute(update(Battle).where(Battle.id == battle_id).values(**values))

    def mark_named(self, battle_id: str, turn: int, sides: Sequence[Side]) -> None:
        """Mark answers that name their model."""
        if not sides:
            return
        with self._database.writing() as session:
            session.execute(
                update(BattleAnswer)
                .where(
                    BattleAnswer.battle_id == battle_id,
                    BattleAnswer.turn == turn,
                    BattleAnswer.side.in_(sides),
                )
                .values(names_model=True)
            )

    def state(self, person: str, battle_id: str) -> BattleState:
        """How the battle stands; raises :class:`NotFound` for other people's."""
        with self._database.reading() as session:
            battle = owned_battle(session, person, battle_id)
            blind = is_blind(session, battle)
            return BattleState(
                id=battle.id,
                kind="blind" if battle.kind == "blind" else "named",
                turns=battle.turns,
                models={"left": battle.left_model, "right": battle.right_model},
                conversations={
                    "left": battle.left_conversation_id,
                    "right": battle.right_conversation_id,
                },
                parameters=dict(battle.parameters),
                owner=hidden_owner(battle.id) if blind else person,
                blind=blind,
            )

    def question(self, battle_id: str) -> tuple[str, list[str]]:
        """The first question of a battle, and the SHA-256 of its pictures."""
        with self._database.reading() as session:
            question = session.scalar(
                select(Question)
                .join(Answer, Answer.question_id == Question.id)
                .join(BattleAnswer, BattleAnswer.answer_id == Answer.id)
                .where(BattleAnswer.battle_id == battle_id, BattleAnswer.turn == 1)
                .limit(1)
            )
            if question is None:
                return "", []
            return question.text, [picture.sha256 for picture in question.pictures]

    def compare(self, person: str, left_id: str, right_id: str) -> str:
        """A named battle of two stored answers to the same question; returns its id.

        The same two answers again are the same battle, whichever stands left.
        """
        with self._database.writing() as session:
            left = owned_answer(session, person, left_id)
            right = owned_answer(session, person, right_id)
            if left.id == right.id or _prompt(left.question) != _prompt(right.question):
                raise BadRequest(
                    "The two answers are not to the same question and pictures.",
                    "Compare two answers to one question.",
                )
            known = _battle_of(session, left.id, right.id)
            if known is not None:
                return known
            battle = _comparison(person, left, right)
            session.add(battle)
            session.flush()
            for side, answer in (("left", left), ("right", right)):
                session.add(
                    BattleAnswer(battle_id=battle.id, turn=1, side=side, answer_id=answer.id)
                )
            return battle.id

    def list(self, person: str, limit: int = 50) -> Sequence[tuple[Battle, str | None]]:
        """The person's battles, newest first, each with the choice of its standing vote."""
        with self._database.reading() as session:
            standing = (
                (Vote.battle_id == Battle.id) & ~Vote.replaced & (Vote.voter_kind == "person")
            )
            rows = session.execute(
                select(Battle, Vote.choice)
                .outerjoin(Vote, standing)
                .where(Battle.person == person, Battle.turns > 0)
                .order_by(Battle.created_at.desc())
                .limit(limit)
            ).all()
            session.expunge_all()
            return [(battle, choice) for battle, choice in rows]


def owned_battle(session: Session, person: str, battle_id: str) -> Battle:
    """The person's battle; raises :class:`NotFound` for other people's."""
    battle = session.get(Battle, battle_id)
    if battle is None or battle.person != person:
        raise NotFound(f"There is no battle {battle_id!r} of yours.")
    return battle


def is_blind(session: Session, battle: Battle) -> bool:
    """Whether the names are hidden: a blind battle without its person's vote."""
    return battle.kind == "blind" and standing_vote(session, battle.id) is None


def standing_vote(session: Session, battle_id: str) -> Vote | None:
    """The person's vote as it stands."""
    found: Vote | None = session.scalar(
        select(Vote).where(Vote.battle_id == battle_id, Vote.voter_kind == "person", ~Vote.replaced)
    )
    return found


def battle_answers(session: Session, battle_id: str) -> Sequence[BattleAnswer]:
    """All answers of a battle with their questions' pictures, in order."""
    return session.scalars(
        select(BattleAnswer)
        .where(BattleAnswer.battle_id == battle_id)
        .options(selectinload(BattleAnswer.answer).selectinload(Answer.question))
        .order_by(BattleAnswer.turn, BattleAnswer.side)
    ).all()


def reveal(session: Session, battle: Battle) -> None:
    """Give the conversations of a blind battle to their person."""
    session.execute(
        update(Conversation)
        .where(Conversation.person == hidden_owner(battle.id))
        .values(person=battle.person)
    )


def _sides(left: ModelInfo, right: ModelInfo) -> dict[str, str]:
    return {
        f"{side}_{key}": value
        for side, info in (("left", left), ("right", right))
        for key, value in (
            ("model", info.id),
            ("revision", info.revision),
            ("precision", info.precision),
        )
    }


def _prompt(question: Question) -> tuple[str, tuple[str, ...]]:
    return question.text, tuple(picture.sha256 for picture in question.pictures)


def _battle_of(session: Session, first: str, second: str) -> str | None:
    """The named battle of two answers, if there is one."""
    others = select(BattleAnswer.battle_id).where(BattleAnswer.answer_id == second)
    found: str | None = session.scalar(
        select(BattleAnswer.battle_id)
        .join(Battle, Battle.id == BattleAnswer.battle_id)
        .where(
            BattleAnswer.answer_id == first,
            BattleAnswer.battle_id.in_(others),
            Battle.kind == "named",
        )
    )
    return found


def _comparison(person: str, left: Answer, right: Answer) -> Battle:
    values = {
        f"{side}_{key}": value
        for side, answer in (("left", left), ("right", right))
        for key, value in (
            ("model", answer.model),
            ("revision", answer.revision),
            ("precision", answer.precision),
            ("conversation_id", answer.question.conversation_id),
        )
    }
    title = left.question.conversation.title
    return Battle(id=new_id("bat"), person=person, kind="named", title=title, turns=1, **values)

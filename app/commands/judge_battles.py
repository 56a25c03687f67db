"""A model judges stored battles and votes on them as a judge, apart from people's votes.

  python app.py judge-battles --judge http://localhost:8000/v1 --judge-model qwen2.5-vl-72b

It is asked twice for each battle, the answers in both orders, and sees questions, pictures and
answers, without the models' names. Only battles of people who allow such use are shown to it. The
same command again goes on where it stopped: replies are kept in a file until all of them have
become votes, and none is asked for twice. It works while the app runs; the leaderboard page then
shows how far judge and people agree.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.battle_protocol import VoteRequest
from app.commands.table import DATABASE
from app.controller.arena.masking import Mask
from app.db.judged import JudgedBattle, battle_to_judge, battles_without
from app.db.store import Store
from app.db.vote_store import VoteStore
from app.errors import BadRequest, Conflict, NotFound, StudioError
from app.leaderboard_protocol import Slice
from app.ratings.judging import ORDERS, RULE, Showing, messages_of, verdict_of
from app.ratings.live import LiveLeaderboard
from app.settings import Settings
from training.endpoint.errors import EndpointError
from training.endpoint.flags import Job, add_flags, job_of
from training.endpoint.journal import Journal
from training.endpoint.request import Request

HELP = "have a model judge stored battles"
SETTINGS = DATABASE
LONGEST_NAME = 64
"""Characters of a judge's name in the table of votes."""
WHY = {
    "unfinished": "not finished",
    "failed": "with a side that failed or was stopped",
    "gone": "deleted meanwhile",
    "no consent": "of people who do not allow it",
    "unreadable": "with a reply that is no verdict",
    "no reply": "without a reply to both orders",
    "went on": "that went on meanwhile",
}
"""Why there is no vote on a battle, in the words of the report."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The judge, which battles, and how it is asked."""
    parser.add_argument("--judge", required=True, metavar="URL", help="mostly ends in /v1")
    parser.add_argument("--judge-model", required=True, help="its name at the endpoint")
    parser.add_argument("--judge-name", help="its name among the voters; default: the model's")
    parser.add_argument("--kind", choices=("blind", "named"), default="blind", help="of battle")
    parser.add_argument("--limit", type=int, help="so many battles at most, the oldest first")
    parser.add_argument("--without-pictures", action="store_true", help="for judges that only read")
    parser.add_argument("--rule", type=Path, help="a text file with what is asked in the end")
    parser.add_argument(
        "--replies", type=Path, help="where replies are kept; default: judges/ in the data folder"
    )
    add_flags(parser, temperature=0.0, max_tokens=512)
    parser.set_defaults(parser=parser)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; raises :class:`app.errors.StudioError`. Status 1: some battles have no vote."""
    name = arguments.judge_name or arguments.judge_model
    if len(name) > LONGEST_NAME:
        raise BadRequest(
            f"The judge's name has {len(name)} characters; a voter's has {LONGEST_NAME} at most.",
            "Give it a shorter one with --judge-name.",
        )
    arguments.model = arguments.judge_model
    job = job_of(arguments, arguments.parser, arguments.judge)
    path = arguments.replies or settings.data_dir / "judges" / f"{_file_name(name)}.jsonl"
    store = Store.open(settings)
    try:
        session = Session(store, name, arguments.kind, _showing(arguments, store))
        return session.run(job, path, arguments.limit)
    finally:
        store.close()


@dataclass
class Session:
    """One start of a judge: which battles it was asked about, and what became of each."""

    store: Store
    judge: str
    kind: str
    showing: Showing
    asked: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """Battle -> its turns, and the journal's keys of the two replies."""
    left_out: Counter[str] = field(default_factory=Counter)

    def run(self, job: Job, path: Path, limit: int | None) -> int:
        """Ask and vote. Raises :class:`StudioError` where the judge cannot be asked on; votes are
        cast on what came before."""
        kind = Slice.model_validate({"kind": self.kind}).kind
        ids = battles_without(self.store.database, self.judge, kind)[:limit]
        try:
            with job.journal(path) as journal:
                try:
                    asker = job.asker(journal, "judging", len(ids) * len(ORDERS))
                    outcome = asker.run(self._requests(ids, journal))
                finally:
                    self._vote(journal)
        except EndpointError as error:
            raise StudioError(f"{error.message}.", error.remedy) from error
        if not (outcome.failures or outcome.stopped or outcome.interrupted or self._unvoted):
            path.unlink()  # the votes say it all; what was said of pictures is not kept twice
        for failure in outcome.failures:
            print(f"no reply to {failure.id}: {failure.reason}", file=sys.stderr)
        self._agreement(kind)
        if outcome.stopped is not None:
            raise StudioError(f"{outcome.stopped.message}.", outcome.stopped.remedy)
        return 1 if self._unvoted or outcome.interrupted else 0

    @property
    def _unvoted(self) -> bool:
        """Whether replies were asked for that did not become votes."""
        return any(self.left_out[why] for why in ("unreadable", "no reply", "went on"))

    def _requests(self, ids: list[str], journal: Journal) -> Iterator[Request]:
        """Made one by one as there is room for them: pictures take memory."""
        for battle_id in ids:
            battle = battle_to_judge(self.store.database, battle_id)
            if not isinstance(battle, JudgedBattle):
                self.left_out[battle] += 1
            elif not self.store.people.consenting(battle.person):
                self.left_out["no consent"] += 1
            else:
                yield from self._both_orders(battle, journal)

    def _both_orders(self, battle: JudgedBattle, journal: Journal) -> Iterator[Request]:
        keys: list[str] = []
        self.asked[battle.id] = (len(battle.turns), keys)
        for order in ORDERS:
            name = f"{battle.id}:{len(battle.turns)}:{order}"
            request = Request(name, messages_of(battle, order, self.showing))
            keys.append(journal.key(request))
            yield request

    def _vote(self, journal: Journal) -> None:
        """A vote on each battle whose replies are there and can be read; then tell the numbers."""
        votes, stored, changed = VoteStore(self.store.database), 0, 0
        for battle_id, (turns, keys) in self.asked.items():
            replies = [reply.text for key in keys if (reply := journal.at(key)) is not None]
            if len(replies) < len(ORDERS):
                self.left_out["no reply"] += 1
                continue
            verdict = verdict_of(*replies)
            if verdict is None:
                self.left_out["unreadable"] += 1
                continue
            request = VoteRequest(choice=verdict.choice, reason=verdict.reason)
            try:
                votes.cast_as_judge(self.judge, battle_id, request, turns)
            except (Conflict, NotFound):  # its person went on with it, or deleted it
                self.left_out["went on"] += 1
                continue
            stored, changed = stored + 1, changed + (not verdict.steady)
        print(f"{stored} votes of {self.judge}, apart from people's votes.")
        if changed:
            print(f"{changed} of them are ties because its choice changed with the order.")
        for why, number in self.left_out.items():
            print(f"No vote on {number} battles {WHY[why]}.")

    def _agreement(self, kind: str) -> None:
        board = LiveLeaderboard(self.store.database).get(Slice.model_validate({"kind": kind}))
        if board.judge is not None and board.judge.share is not None:
            print(
                f"Judges and people chose the same in {board.judge.share:.0%} of "
                f"{board.judge.pairs} pairs of votes on the same battles."
            )


def _showing(arguments: argparse.Namespace, store: Store) -> Showing:
    return Showing(
        hide=lambda battle, text: Mask(battle.models).whole(text),
        picture=None if arguments.without_pictures else store.files.read,
        rule=_rule(arguments.rule),
    )


def _rule(path: Path | None) -> str:
    try:
        return RULE if path is None else path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} cannot be read: {error}.", "Give --rule a text file.") from error


def _file_name(judge: str) -> str:
    return re.sub(r"[^\w.-]+", "_", judge).strip(".") or "judge"

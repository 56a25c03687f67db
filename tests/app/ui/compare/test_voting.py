"""A vote on two columns, over a fake controller."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from app.battle_protocol import Battle, BattleTurn, SideAnswer, Vote
from app.ui.answering import Answering
from app.ui.client import ControllerClient
from app.ui.compare.column import ColumnTab
from app.ui.compare.handlers import Comparing, choice_of
from app.ui.compare.voting import CompareBallot, Voting, pair_of
from app.ui.language import PageError, load_texts
from app.ui.screen import Draft
from tests.app.ui.fake_controller import FakeController

COLUMN = ColumnTab(person="somebody-here")
GREEDY = choice_of("second", 0.0, 1.0, 64)


async def column(client: ControllerClient) -> ColumnTab:
    """A column that has answered."""
    comparing = Comparing(client, Answering(client))
    changes = [each async for each in comparing.ask(COLUMN, Draft("What?"), [], GREEDY)]
    tab = changes[-1].tab
    assert isinstance(tab, ColumnTab)
    return tab


class Recorded(ControllerClient):
    """Answers for the arena's part: the battle has the first answer left, or right."""

    def __init__(self, client: ControllerClient, turned: bool) -> None:
        self.__dict__.update(client.__dict__)
        self.turned, self.bodies = turned, []

    async def call(self, kind: Any, method: str, path: str, **keys: Any) -> Any:
        if not path.startswith(("/api/comparisons", "/api/battles")):
            return await super().call(kind, method, path, **keys)
        body = keys["body"].model_dump(exclude_none=True)
        self.bodies.append((path, body))
        if path == "/api/comparisons":
            ids = [body["left_answer_id"], body["right_answer_id"]][:: -1 if self.turned else 1]
            sides = [SideAnswer(text="", finish_reason="stop", answer_id=each) for each in ids]
            turn = BattleTurn(text="", images=[], left=sides[0], right=sides[1])
            return Battle(id="b", kind="named", created_at="", turns=[turn], can_vote=True)
        vote = Vote(
            id="v", battle_id="b", choice=body["choice"], reason=body.get("reason"), turn=1,
            counted=True, not_counted=None, changes=0, created_at="",
        )  # fmt: skip
        return type("Result", (), {"vote": vote})


@pytest.mark.parametrize(("turned", "sent"), [(False, "left"), (True, "right")])
async def test_the_first_column_wins_whichever_side_of_the_battle_it_is(
    client: ControllerClient, fake: FakeController, turned: bool, sent: str
) -> None:
    first, second = await column(client), await column(client)
    recorded = Recorded(client, turned)
    vote = await Voting(recorded).vote(first, second, "left", " clearer ")
    assert (vote.choice, vote.reason) == ("left", "clearer")
    (_, asked), (path, cast) = recorded.bodies
    assert asked["left_answer_id"] == first.last_answer
    assert path == "/api/battles/b/vote" and cast["choice"] == sent and cast["key"]


async def test_a_column_without_an_answer_cannot_be_voted_on(client: ControllerClient) -> None:
    with pytest.raises(PageError, match="no stored answer"):
        await Voting(client).vote(COLUMN, await column(client), "tie", "")


async def test_a_vote_is_offered_on_each_two_columns_that_have_answered() -> None:
    with gr.Blocks():
        ballot = CompareBallot.build(load_texts("en"))
    assert ballot.offer([2])[ballot.box]["visible"] is False
    two = ballot.offer([1, 2])
    assert two[ballot.pair]["visible"] is False
    assert two[ballot.buttons["right"]]["value"] == "Column 2 is better"
    three = ballot.offer([1, 3, 4])
    assert three[ballot.pair]["choices"] == ["1-3", "1-4", "3-4"]
    assert three[ballot.buttons["right"]]["value"] == "Column 3 is better"
    assert ballot.empty(pair_of("3-4"))[ballot.buttons["left"]]["value"] == "Column 3 is better"


@pytest.mark.parametrize("value", [None, "", "x", "4-1", "1-9", "2-2", 7])
def test_a_pair_that_is_none_is_the_first_two(value: object) -> None:
    assert pair_of(value) == (1, 2)

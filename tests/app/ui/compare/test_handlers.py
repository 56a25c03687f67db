"""Columns that are asked, restored and marked, over a fake controller."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import NoWorker
from app.protocol import ModelInfo
from app.ui.answering import Answering
from app.ui.client import ControllerClient
from app.ui.compare.column import OTHER_TEMPERATURE, ColumnTab
from app.ui.compare.handlers import Comparing, choice_of, fresh
from app.ui.language import PageError
from app.ui.screen import Change, Draft, Notice
from app.ui.tab import Tab
from tests.app.ui.fake_controller import FakeController

TAB = Tab(person="somebody-here")
COLUMN = ColumnTab(person=TAB.person)
GREEDY = choice_of("second", 0.0, 1.0, 64)


@pytest.fixture
def comparing(client: ControllerClient) -> Comparing:
    return Comparing(client, Answering(client))


async def asked(comparing: Comparing, text: str, column: ColumnTab = COLUMN) -> list[Change]:
    return [change async for change in comparing.ask(column, Draft(text), [], GREEDY)]


async def test_each_column_gets_a_model_of_its_own_while_there_are_enough(
    comparing: Comparing, fake: FakeController
) -> None:
    opened = await comparing.open(TAB, [ColumnTab.new() for _ in range(3)])
    assert [column.model for column in opened.columns] == ["second", "first", "second"]
    temperatures = [column.temperature for column in opened.columns]
    assert temperatures == [0.0, 0.0, OTHER_TEMPERATURE]
    assert {column.person for column in opened.columns} == {TAB.person}
    assert opened.notice == Notice()

    fake.models = [ModelInfo(id="only")]
    kept = [COLUMN.model_copy(update={"model": "gone", "temperature": 0.3}), COLUMN]
    opened = await comparing.open(TAB, kept)
    assert [column.model for column in opened.columns] == ["only", "only"]
    assert [column.temperature for column in opened.columns] == [0.3, OTHER_TEMPERATURE]
    assert opened.notice == Notice("compare.same")

    fake.models = []
    assert (await comparing.open(TAB, [COLUMN])).notice == Notice("chat.waiting_for_model")


async def test_a_column_that_is_refused_keeps_its_question_and_leaves_the_other_alone(
    comparing: Comparing, fake: FakeController
) -> None:
    first = asyncio.create_task(asked(comparing, "What is it?"))
    await first
    fake.refuse = NoWorker("Nobody serves this.")
    refused = (await asked(comparing, "What is it?"))[-1]
    assert refused.draft == Draft("What is it?") and refused.busy is False
    assert refused.notice and isinstance(refused.notice.error, NoWorker)
    done = first.result()[-1]
    assert done.answer and done.answer.text == "A red circle." and done.busy is False
    assert len(fake.requests) == 2


async def test_columns_are_restored_and_one_that_is_gone_begins_anew(
    comparing: Comparing,
) -> None:
    done = (await asked(comparing, "What is it?"))[-1]
    assert isinstance(done.tab, ColumnTab)
    gone = COLUMN.model_copy(update={"conversation": "c999", "temperature": 0.4})
    opened = await comparing.open(TAB, [done.tab, gone])
    kept, new = opened.changes
    assert kept.messages and len(kept.messages) == 2 and kept.answer
    assert new.messages == [] and opened.columns[1].conversation is None
    assert opened.columns[1].temperature == 0.4
    assert fresh(opened.columns[0]).path == ()


async def test_marks_are_put_on_the_last_answers_and_taken_off(
    comparing: Comparing, fake: FakeController
) -> None:
    columns = []
    for words in (("A red ", "*circle*."), ("A blue *circle*.",)):
        fake.script = [words]
        done = (await asked(comparing, "What is it?"))[-1]
        assert isinstance(done.tab, ColumnTab)
        columns.append(done.tab)
    shown = await comparing.mark([*columns, COLUMN], True)
    texts = [lines[-1]["html"] for lines in shown if lines]
    assert texts == [
        f'<p class="differing">A <mark>{colour}</mark> *circle*.</p>' for colour in ("red", "blue")
    ]
    assert shown[2] is None
    plain = await comparing.mark(columns, False)
    assert [lines[-1]["text"] for lines in plain if lines] == [
        "A red *circle*.",
        "A blue *circle*.",
    ]


def test_nothing_is_sent_where_nothing_is_asked(comparing: Comparing) -> None:
    with pytest.raises(PageError, match="no question"):
        comparing.check(Draft("  "), (1, 2))
    assert comparing.check(Draft("Hm?"), (2,)).columns == (2,)

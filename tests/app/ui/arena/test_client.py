"""What the stream of a turn is taken for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.battle_protocol import BattleBegun, BattleDone, SideText
from app.errors import StudioError, WorkerLost
from app.ui.arena.client import read_battle

BEGUN = 'data: {"type": "battle", "battle_id": "bat_1", "turn": 1, "kind": "blind"}'
TEXT = 'data: {"type": "text", "side": "left", "text": "re"}'
DONE = 'data: {"type": "done", "counts": true}'


async def lines(*given: str) -> AsyncIterator[str]:
    for line in given:
        yield line


async def test_events_come_in_their_order_and_comments_are_nothing() -> None:
    stream = lines(BEGUN, "", ": still here", TEXT, DONE, "data: [DONE]", TEXT)
    events = [event async for event in read_battle(stream)]
    assert [type(event) for event in events] == [BattleBegun, SideText, BattleDone]


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (TEXT, WorkerLost),
        ('data: {"type": "poem"}', StudioError),
        ('data: {"error": {"code": "worker_lost", "message": "Gone."}}', WorkerLost),
    ],
)
async def test_a_stream_that_breaks_off_or_cannot_be_read_is_an_error(
    last: str, error: type[StudioError]
) -> None:
    with pytest.raises(error):
        _ = [event async for event in read_battle(lines(BEGUN, last))]

"""Who is computed in the next step: fair, within limits, and nothing is ever lost."""

from __future__ import annotations

import pytest

from llava_core.engine.scheduler import Limits
from tests.llava_core.engine.requests import ANSWER, Light, Loop


def prompt(length: int, first: int = 0) -> list[int]:
    return list(range(first, first + length))


# --- admission ------------------------------------------------------------------------------------


def test_first_come_first_served() -> None:
    loop = Loop(running=2, rows_alone=8)
    requests = [Light(prompt(6, 50 * n), wants=3) for n in range(5)]
    loop.add(*requests)
    loop.until_done()
    assert loop.finished == requests


def test_no_more_in_work_than_the_limit() -> None:
    loop = Loop(running=3)
    loop.add(*[Light(prompt(4, 50 * n), wants=4) for n in range(8)])
    most = 0
    while loop.waiting or loop.running:
        most = max(most, len(loop.step().running))
    assert most == 3


def test_a_large_request_is_not_overtaken_by_small_ones() -> None:
    loop = Loop(blocks=8, running=4)
    first, large, small = Light(prompt(20), 8), Light(prompt(30, 100), 1), Light(prompt(2, 200), 1)
    loop.add(first, large, small)
    assert loop.step().running == [first]
    loop.until_done()
    assert loop.finished == [first, large, small]


def test_nothing_to_do_is_an_empty_plan() -> None:
    plan = Loop().scheduler.schedule()
    assert not plan.parts and not plan.copies


@pytest.mark.parametrize("name", ["running", "rows_alone", "rows_beside"])
def test_a_limit_below_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        Limits(**{name: 0})


# --- chunks ---------------------------------------------------------------------------------------


def test_alone_a_prompt_is_computed_in_large_chunks() -> None:
    loop = Loop(rows_alone=16, rows_beside=4)
    request = Light(prompt(40), wants=2)
    loop.add(request)
    assert [loop.step().rows[request] for _ in range(4)] == [16, 16, 8, 1]


def test_every_answer_gets_a_token_in_each_step_and_prompts_small_chunks_beside() -> None:
    loop = Loop(running=4, rows_alone=16, rows_beside=4)
    readers = [Light([n], wants=30) for n in (100, 101)]
    loop.add(*readers)
    loop.step()
    late = Light(prompt(11), wants=1)
    loop.add(late)
    shares = [loop.step().rows for _ in range(3)]
    assert [rows[late] for rows in shares] == [4, 4, 3]
    assert all(rows[reader] == 1 for rows in shares for reader in readers)
    assert all(reader.said == prompt(4, ANSWER) for reader in readers)


def test_answers_stand_before_prompts_in_a_step() -> None:
    loop = Loop(running=4, rows_beside=4)
    first, second = Light([100], wants=9), Light(prompt(9), wants=9)
    loop.add(first)
    loop.step()
    loop.add(second)
    assert [part.request for part in loop.plan().plan.parts] == [first, second]


def test_rows_that_one_prompt_leaves_go_to_the_next() -> None:
    loop = Loop(running=4, rows_alone=10)
    one, two, three = Light(prompt(6)), Light(prompt(6, 50)), Light(prompt(6, 100))
    loop.add(one, two, three)
    assert loop.step().rows == {one: 6, two: 4}
    assert loop.step().rows == {two: 2, three: 6}


def test_a_chunk_begins_one_new_picture_at_most() -> None:
    loop = Loop(rows_alone=100)
    request = Light([1] * 40, pictures=((2, 6), (6, 10), (20, 24), (30, 34)))
    loop.add(request)
    ends = [loop.step().plan.parts[0].end for _ in range(4)]
    assert ends == [6, 20, 30, 40]


def test_a_chunk_that_stops_inside_a_picture_goes_on_in_it() -> None:
    loop = Loop(rows_alone=5)
    request = Light([1] * 16, pictures=((2, 9), (9, 12)))
    loop.add(request)
    ends = [loop.step().plan.parts[0].end for _ in range(4)]
    assert ends == [5, 9, 14, 16]


def test_what_an_earlier_request_has_computed_is_not_computed_again() -> None:
    loop = Loop()
    loop.add(Light(prompt(22), wants=1))
    loop.until_done()
    follow_up = Light([*prompt(22), ANSWER, 7, 7], wants=1)
    loop.add(follow_up)
    step = loop.step()
    assert follow_up.reused == 22 and step.rows == {follow_up: 3}
    assert [copy.tokens for _, copy in step.plan.copies] == [2]


def test_a_picture_is_known_by_its_content_not_by_its_place() -> None:
    loop = Loop()
    loop.add(Light([3, *[1] * 8, 4], pictures=((1, 9),)))
    loop.until_done()
    same, other = Light([3, *[1] * 8, 5], pictures=((1, 9),)), Light([3, *[1] * 8, 5])
    loop.add(same, other)
    loop.until_done()
    assert (same.reused, other.reused) == (9, 1)


# --- a full cache ---------------------------------------------------------------------------------


def test_the_youngest_steps_back_and_loses_nothing() -> None:
    loop = Loop(blocks=6, running=3)
    old, young = Light(prompt(9), wants=12), Light(prompt(9, 100), wants=9)
    loop.add(old, young)
    while not loop.scheduler.preemptions:
        loop.step()
    assert loop.running == [old] and loop.waiting == [young]
    assert young.said == prompt(4, ANSWER)
    loop.until_done()
    assert loop.finished == [old, young] and loop.scheduler.preemptions == 1
    assert young.said == prompt(9, ANSWER) and old.said == prompt(12, ANSWER)


def test_who_steps_back_is_next_in_the_line() -> None:
    loop = Loop(blocks=9, running=3)
    old, middle, young = (Light(prompt(9, 100 * n), wants=20) for n in range(3))
    last = Light(prompt(2, 900))
    loop.add(old, middle, young, last)
    while loop.scheduler.preemptions < 2:
        loop.step()
    assert loop.waiting == [middle, young, last]


def test_blocks_to_spare_are_given_back_before_anybody_steps_back() -> None:
    loop = Loop(blocks=16, running=2)
    first = Light(prompt(8), wants=2)
    loop.add(first)
    loop.step()
    assert len(first.owned.blocks) > loop.scheduler.pool.blocks_for(10)
    second = Light(prompt(48, 100), wants=1)
    loop.add(second)
    loop.step()
    assert second in loop.running or loop.finished == [first, second]
    assert loop.scheduler.preemptions == 0


def test_a_request_that_fills_the_whole_cache_is_answered() -> None:
    loop = Loop(blocks=4, size=4)
    request = Light(prompt(12), wants=4)
    loop.add(request)
    loop.until_done(most=10)
    assert len(request.said) == 4 and loop.scheduler.preemptions == 0


def test_a_request_that_fills_the_cache_is_answered_although_it_shares_half_a_block() -> None:
    """There is no room for both the block that could be copied from and the copy."""
    loop = Loop(blocks=4, size=4)
    loop.add(Light(prompt(15), wants=1))
    loop.until_done()
    request = Light([*prompt(14), 77], wants=1)
    loop.add(request)
    loop.until_done(most=10)
    assert request.said == [ANSWER]


def test_a_finished_request_leaves_its_room_and_its_content() -> None:
    loop = Loop(blocks=8)
    loop.add(Light(prompt(16)))
    loop.until_done()
    assert loop.scheduler.pool.used == 0 and loop.scheduler.pool.remembered == 4


# --- leaving and failing --------------------------------------------------------------------------


def test_one_that_leaves_the_line_or_the_work_takes_its_blocks_along() -> None:
    loop = Loop(running=1)
    working, waiting = Light(prompt(9), wants=9), Light(prompt(9, 50), wants=9)
    loop.add(working, waiting)
    loop.step()
    loop.scheduler.finish(waiting)
    loop.scheduler.finish(working)
    assert not loop.running and not loop.waiting and loop.scheduler.pool.used == 0


def test_a_spoilt_request_leaves_nothing_to_be_used_again() -> None:
    loop = Loop()
    bad = Light(prompt(20), wants=9)
    loop.add(bad)
    loop.step()
    loop.scheduler.finish(bad, spoilt=True)
    again = Light(prompt(20))
    loop.add(again)
    loop.step()
    assert again.reused == 0


def test_after_a_failed_step_all_wait_in_their_order_and_nothing_is_lost() -> None:
    loop = Loop(running=3, rows_beside=6)
    loop.add(Light(prompt(10)))
    loop.until_done()
    first, second = Light([*prompt(10), 5], wants=5), Light([70, 71], wants=5)
    third = Light([*prompt(6), 9, 9], wants=5)
    loop.add(first, second)
    loop.step()
    loop.add(third)
    step = loop.plan()
    assert step.plan.copies, "the test is to take back a copy that is under way"
    written = first.said + second.said
    loop.scheduler.withdraw(step.plan)
    loop.check()
    assert loop.waiting == [first, second, third] and loop.scheduler.pool.used == 0
    assert third.computed == 0 and first.said + second.said == written
    loop.until_done()
    assert all(request.said == prompt(5, ANSWER) for request in (first, second, third))


def test_a_copy_that_was_never_made_is_not_taken_for_content() -> None:
    loop = Loop(size=8)
    loop.add(Light(prompt(8)))
    loop.until_done()
    remembered = loop.scheduler.pool.remembered
    loop.add(Light([*prompt(6), 50, 51], wants=4))
    step = loop.plan()
    assert [copy.tokens for _, copy in step.plan.copies] == [6]
    loop.scheduler.withdraw(step.plan)
    assert loop.scheduler.pool.remembered == remembered

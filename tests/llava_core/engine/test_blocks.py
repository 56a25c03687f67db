"""The block pool: nothing leaks, and what is used again is what was asked for."""

from __future__ import annotations

import pytest

from llava_core.engine.blocks import BlockPool, Owned


def computed(pool: BlockPool, keys: list[int], tokens: int | None = None) -> Owned:
    """Blocks of a request that has computed ``tokens`` of its keys; all of them by default."""
    owned = Owned()
    assert pool.grow(owned, len(keys), spare=0)
    pool.keep(owned, keys, len(keys) if tokens is None else tokens)
    return owned


def left(pool: BlockPool, keys: list[int]) -> list[int]:
    """The blocks that a request has left behind."""
    owned = computed(pool, keys)
    blocks = list(owned.blocks)
    pool.release(owned, keys, len(keys))
    return blocks


# --- taking over ----------------------------------------------------------------------------------


def test_a_request_that_begins_alike_takes_over_full_blocks() -> None:
    pool = BlockPool(8, 4)
    first = computed(pool, list(range(10)))
    second, reused, copy = pool.match([*range(8), 70, 71])
    assert second.blocks == first.blocks[:2] and reused == 8 and copy is None
    pool.check([first, second])


def test_a_block_after_another_beginning_is_another_block() -> None:
    pool = BlockPool(8, 4)
    left(pool, [1, 2, 3, 4, 5, 6, 7, 8])
    owned, reused, copy = pool.match([9, 9, 9, 9, 5, 6, 7, 8, 1])
    assert (owned.blocks, reused, copy) == ([], 0, None)


def test_the_last_key_is_always_left_to_compute() -> None:
    pool = BlockPool(8, 4)
    blocks = left(pool, list(range(8)))
    owned, reused, copy = pool.match(list(range(8)))
    assert reused == 7 and owned.blocks == blocks[:1]
    assert copy and (copy.source, copy.tokens) == (blocks[1], 3)
    assert pool.match([0])[1:] == (0, None)
    assert pool.match([])[1:] == (0, None)


def test_a_beginning_of_a_block_is_copied_from_the_one_that_shares_most() -> None:
    pool = BlockPool(8, 4)
    left(pool, [0, 0, 0, 0, 1, 2, 7, 7])
    best = left(pool, [0, 0, 0, 0, 1, 2, 3, 8])
    left(pool, [0, 0, 0, 0, 1, 9, 9, 9])
    owned, reused, copy = pool.match([0, 0, 0, 0, 1, 2, 3, 4, 5])
    assert copy and (copy.source, copy.tokens, reused) == (best[1], 3, 7)
    pool.check([owned], [copy.source])
    pool.release_source(copy)
    pool.check([owned])


def test_a_block_that_was_never_filled_can_be_copied_from() -> None:
    pool = BlockPool(4, 4)
    blocks = left(pool, [1, 2, 3])
    owned, reused, copy = pool.match([1, 2, 9, 9, 9])
    assert copy and (copy.source, copy.tokens, reused, owned.blocks) == (blocks[0], 2, 2, [])


def test_what_is_not_computed_is_not_found() -> None:
    pool = BlockPool(8, 4)
    owned = computed(pool, list(range(12)), 6)
    assert pool.match([*range(12)])[1] == 4
    pool.release(owned, list(range(12)), 6)
    assert pool.match([*range(12)])[1] == 6, "two tokens of the second block were there"


def test_two_that_computed_the_same_at_once_are_remembered_once() -> None:
    pool = BlockPool(8, 4)
    keys = list(range(9))
    first, second = computed(pool, keys), computed(pool, keys)
    assert not set(first.blocks) & set(second.blocks)
    pool.release(first, keys, 9)
    pool.release(second, keys, 9)
    pool.check([])
    assert pool.remembered == 3 and pool.available == 8


# --- growing and giving back ----------------------------------------------------------------------


def test_a_request_grows_side_by_side_into_the_room_it_was_given_to_spare() -> None:
    pool = BlockPool(64, 4)
    first, second = Owned(), Owned()
    pool.grow(first, 4)
    pool.grow(second, 4)
    for tokens in range(4, 37):
        assert pool.grow(first, tokens) and pool.grow(second, tokens)
    assert first.blocks == list(range(9)) and second.blocks == list(range(9, 18))


def test_blocks_are_taken_where_all_of_them_fit_side_by_side() -> None:
    pool = BlockPool(12, 4)
    small = [computed(pool, [n] * 8) for n in range(4)]  # blocks 0-1, 2-3, 4-5, 6-7
    pool.spoil(small[1])
    wide = Owned()
    pool.grow(wide, 16, spare=0)
    assert wide.blocks == [8, 9, 10, 11]


def test_where_they_do_not_fit_together_the_ranges_are_few() -> None:
    pool = BlockPool(12, 4)
    small = [computed(pool, [n] * 8) for n in range(6)]
    for n in (0, 2, 3):
        pool.spoil(small[n])
    spread = Owned()
    assert pool.grow(spread, 24, spare=0)
    assert sorted(spread.blocks) == [0, 1, 4, 5, 6, 7]
    ranges = sum(b != a + 1 for a, b in zip(spread.blocks, spread.blocks[1:], strict=False))
    assert ranges <= 2
    pool.check([small[1], small[4], small[5], spread])


def test_without_room_nothing_is_taken_and_nothing_forgotten() -> None:
    pool = BlockPool(4, 4)
    owned = computed(pool, list(range(8)))
    left(pool, [5, 5, 5, 5])
    other = Owned()
    assert not pool.grow(other, 13)
    assert other.blocks == [] and pool.remembered == 1 and pool.available == 2
    assert pool.grow(other, 8) and len(other.blocks) == 2
    pool.check([owned, other])


def test_spare_blocks_forget_nothing_and_go_back_on_request() -> None:
    pool = BlockPool(8, 4)
    left(pool, [1] * 16)
    owned = Owned()
    pool.grow(owned, 4)
    assert len(owned.blocks) == 4 and pool.remembered == 4
    pool.trim(owned, 5)
    assert len(owned.blocks) == 2 and pool.available == 6
    pool.trim(owned, 8)
    assert len(owned.blocks) == 2
    pool.check([owned])


# --- forgetting -----------------------------------------------------------------------------------


def test_the_longest_unused_goes_first() -> None:
    pool = BlockPool(3, 4)
    for key in (1, 2, 3):
        left(pool, [key] * 4)
    owned, reused, _ = pool.match([1] * 4 + [0])  # 1 is used again, so 2 is the oldest
    assert reused == 4
    pool.release(owned)
    pool.grow(Owned(), 4)
    assert [pool.match([key] * 4 + [0])[1] for key in (1, 2, 3)] == [4, 0, 4]


def test_tails_go_before_heads() -> None:
    pool = BlockPool(4, 4)
    keys = list(range(16))
    left(pool, keys)
    lengths = []
    for _ in range(4):
        owned, reused, copy = pool.match([*keys, 99])
        pool.release(owned)
        assert copy is None
        lengths.append(reused)
        assert pool.grow(Owned(), 4, spare=0)
    assert lengths == [16, 12, 8, 4]


def test_spoilt_content_is_not_found_although_another_still_owns_it() -> None:
    pool = BlockPool(8, 4)
    keys = list(range(9))
    first = computed(pool, keys)
    second, reused, copy = pool.match(keys)
    assert reused == 8 and copy is None
    pool.spoil(first)
    pool.check([second])
    assert pool.match(keys)[1] == 0
    pool.grow(second, 9, spare=0)
    pool.keep(second, keys, 9)
    pool.release(second, keys, 9)
    pool.check([])
    assert pool.match(keys)[1] == 0, "what came after spoilt content is as bad"


def test_forget_leaves_what_has_an_owner() -> None:
    pool = BlockPool(8, 4)
    owned = computed(pool, [1] * 8)
    left(pool, [2] * 8)
    pool.forget()
    assert pool.remembered == 0 and pool.used == 2
    assert pool.match([2] * 8)[1] == 0 and pool.match([1] * 9)[1] == 8
    assert owned.kept == 2


def test_after_everything_is_given_back_the_whole_room_is_there() -> None:
    pool = BlockPool(5, 4)
    for key in range(20):
        left(pool, [key, *range(10)])
    assert pool.available == 5 and pool.used == 0
    assert pool.grow(Owned(), 20)


@pytest.mark.parametrize(("number", "size"), [(0, 4), (4, 0), (-1, 4)])
def test_a_pool_of_nothing_is_refused(number: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"{number} of {size} tokens"):
        BlockPool(number, size)


def test_the_check_sees_a_leak_and_a_stranger() -> None:
    pool = BlockPool(4, 4)
    owned = computed(pool, [1] * 8)
    with pytest.raises(AssertionError, match="owned by nobody"):
        pool.check([])
    with pytest.raises(AssertionError, match="owned by nobody"):
        pool.check([owned, owned])

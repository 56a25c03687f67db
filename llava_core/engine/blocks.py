"""Which block of the cache belongs to whom; no tensors.

The cache of keys and values is cut into blocks of a few tokens. A request owns a list of blocks, in
the order of its tokens. What a full block holds is known by its content and by what came before it,
so that a request that begins like an earlier one takes over its blocks; a count of owners says when
a block may go. Blocks without an owner stay, as long as the room is not needed, and the least
recently used goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Key = int
"""What stands at a place: a token's id, or a picture's and the place in it. Equal keys after equal
beginnings have equal keys and values."""
ROOT = 0
"""The chain of a request's first block."""
EXTENT = 8
"""Blocks that are asked for at a time, side by side where there is room for them."""


@dataclass(frozen=True)
class Copy:
    """``tokens`` tokens at the beginning of a block, needed in another one."""

    source: int
    target: int
    tokens: int


@dataclass
class Owned:
    """The blocks of one request. ``chain`` names the content of its first ``kept`` blocks."""

    blocks: list[int] = field(default_factory=list)
    kept: int = 0
    chain: int = ROOT


@dataclass(frozen=True)
class _Content:
    before: int
    keys: tuple[Key, ...]


class BlockPool:
    """``number`` blocks of ``size`` tokens; a request is given ``extent`` more than it asks for."""

    def __init__(self, number: int, size: int, extent: int = EXTENT) -> None:
        if number < 1 or size < 1:
            raise ValueError(f"a cache needs blocks: {number} of {size} tokens are none")
        self.number = number
        self.size = size
        self.extent = extent
        self._clean = bytearray(b"\1" * number)
        self._clean_count = number
        self._owners = [0] * number
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._contents: dict[int, _Content] = {}
        self._chains: dict[_Content, tuple[int, int]] = {}
        self._begins: dict[tuple[int, Key], list[int]] = {}
        self._next_chain = ROOT + 1

    @property
    def available(self) -> int:
        """Blocks that can be had, those that hold something without an owner included."""
        return self._clean_count + len(self._idle)

    @property
    def used(self) -> int:
        """Blocks that belong to requests."""
        return self.number - self.available

    @property
    def remembered(self) -> int:
        """Blocks without an owner whose content may be used again."""
        return len(self._idle)

    def blocks_for(self, tokens: int) -> int:
        """How many blocks so many tokens take."""
        return -(-tokens // self.size)

    # --- taking over what is there ----------------------------------------------------------------

    def match(self, keys: Sequence[Key]) -> tuple[Owned, int, Copy | None]:
        """Blocks of an earlier request that begins with the same keys; they are owned from now on.

        Returns them, the number of tokens that need not be computed, and a copy to be made into a
        block of one's own (its target is still to be set, its source is owned until
        :meth:`release_source`). At least the last key is left to compute.
        """
        owned, most = Owned(), len(keys) - 1
        while (owned.kept + 1) * self.size <= most:
            start = owned.kept * self.size
            content = _Content(owned.chain, tuple(keys[start : start + self.size]))
            if (found := self._chains.get(content)) is None:
                break
            owned.chain, block = found
            self._own(block)
            owned.blocks.append(block)
            owned.kept += 1
        reused = owned.kept * self.size
        copy = self._best_beginning(owned.chain, keys[reused:most])
        if copy:
            self._own(copy.source)
            reused += copy.tokens
        return owned, reused, copy

    def _best_beginning(self, chain: int, keys: Sequence[Key]) -> Copy | None:
        best: Copy | None = None
        for block in self._begins.get((chain, keys[0]), ()) if keys else ():
            tokens = _shared(self._contents[block].keys, keys)
            if best is None or tokens > best.tokens:
                best = Copy(block, -1, tokens)
        return best

    def release_source(self, copy: Copy) -> None:
        """The copy has been made."""
        self._disown(copy.source)

    # --- growing ----------------------------------------------------------------------------------

    def grow(self, owned: Owned, tokens: int, spare: int | None = None) -> bool:
        """Have blocks for ``tokens`` tokens, and ``spare`` blocks more where there is clean room.

        False, and nothing taken, where there are too few.
        """
        needed = self.blocks_for(tokens) - len(owned.blocks)
        if needed <= 0:
            return True
        if needed > self.available:
            return False
        self._evict(max(needed - self._clean_count, 0))
        spare = self.extent if spare is None else spare
        wanted = needed + min(spare, self._clean_count - needed)
        last = owned.blocks[-1] if owned.blocks else -1
        for start, length in self._ranges(last + 1, wanted):
            for block in range(start, start + length):
                self._take(block)
                owned.blocks.append(block)
        return True

    def _ranges(self, after: int, wanted: int) -> Iterable[tuple[int, int]]:
        """Clean ranges, as few as can be: behind the last block, or where all fit, or in halves."""
        if after:
            length = self._clean_length(after, wanted)
            if length:
                yield after, length
            wanted -= length
        length = wanted
        while wanted > 0:
            length = min(length, wanted)
            start = self._clean.find(b"\1" * length)
            if start < 0:
                length = (length + 1) // 2
                continue
            yield start, length
            wanted -= length

    def _clean_length(self, start: int, most: int) -> int:
        end = self._clean.find(b"\0", start, start + most)
        return (min(start + most, self.number) if end < 0 else end) - start

    def trim(self, owned: Owned, tokens: int) -> None:
        """Give back blocks beyond those that ``tokens`` tokens take."""
        while len(owned.blocks) > self.blocks_for(tokens):
            self._disown(owned.blocks.pop())

    # --- remembering ------------------------------------------------------------------------------

    def keep(self, owned: Owned, keys: Sequence[Key], computed: int) -> None:
        """Remember the content of the blocks that are full, of the first ``computed`` keys."""
        while (owned.kept + 1) * self.size <= computed:
            start = owned.kept * self.size
            content = _Content(owned.chain, tuple(keys[start : start + self.size]))
            owned.chain = self._remember(owned.blocks[owned.kept], content)
            owned.kept += 1

    def release(self, owned: Owned, keys: Sequence[Key] = (), computed: int = 0) -> None:
        """Give all blocks back; what ``computed`` keys left in them stays known."""
        self.keep(owned, keys, computed)
        rest = tuple(keys[owned.kept * self.size : computed])
        if rest:
            self._remember(owned.blocks[owned.kept], _Content(owned.chain, rest))
        for block in reversed(owned.blocks):
            self._disown(block)
        owned.blocks, owned.kept, owned.chain = [], 0, ROOT

    def spoil(self, owned: Owned) -> None:
        """Give all blocks back and forget their content, which is not to be used again."""
        for block in owned.blocks:
            if block in self._contents:
                self._drop_content(block)
        owned.kept = 0
        self.release(owned)

    def forget(self) -> None:
        """Forget everything that has no owner."""
        self._evict(len(self._idle))

    def _remember(self, block: int, content: _Content) -> int:
        """The chain that the content ends; another block may already hold the same."""
        if (known := self._chains.get(content)) is not None:
            return known[0]
        chain, self._next_chain = self._next_chain, self._next_chain + 1
        self._chains[content] = chain, block
        self._contents[block] = content
        self._begins.setdefault((content.before, content.keys[0]), []).append(block)
        return chain

    def _evict(self, number: int) -> None:
        for _ in range(number):
            block, _nothing = self._idle.popitem(last=False)
            self._drop_content(block)
            self._put_clean(block)

    def _drop_content(self, block: int) -> None:
        content = self._contents.pop(block)
        del self._chains[content]
        place = content.before, content.keys[0]
        self._begins[place].remove(block)
        if not self._begins[place]:
            del self._begins[place]

    # --- owners -----------------------------------------------------------------------------------

    def _own(self, block: int) -> None:
        self._idle.pop(block, None)
        self._owners[block] += 1

    def _take(self, block: int) -> None:
        self._clean[block] = 0
        self._clean_count -= 1
        self._owners[block] = 1

    def _disown(self, block: int) -> None:
        self._owners[block] -= 1
        if self._owners[block]:
            return
        if block in self._contents:
            self._idle[block] = None
        else:
            self._put_clean(block)

    def _put_clean(self, block: int) -> None:
        self._clean[block] = 1
        self._clean_count += 1

    def check(self, owners: Iterable[Owned], sources: Iterable[int] = ()) -> None:
        """Raises ``AssertionError`` where counts and lists do not agree with the owners."""
        counts = [0] * self.number
        for owned in owners:
            for block in owned.blocks:
                counts[block] += 1
        for block in sources:
            counts[block] += 1
        assert counts == self._owners, "blocks are owned by nobody, or by somebody unknown"
        clean = {block for block in range(self.number) if self._clean[block]}
        assert len(clean) == self._clean_count, "the number of clean blocks is wrong"
        assert clean.isdisjoint(self._idle) and clean.isdisjoint(self._contents)
        assert all(not self._owners[block] for block in (*clean, *self._idle))
        assert set(self._idle) <= set(self._contents), "a block idles without content"
        assert len(clean) + len(self._idle) + sum(map(bool, counts)) == self.number, "a leak"
        assert {block for _, block in self._chains.values()} == set(self._contents)


def _shared(known: Sequence[Key], keys: Sequence[Key]) -> int:
    """Length of the beginning that both have."""
    length = 0
    for ours, theirs in zip(known, keys, strict=False):
        if ours != theirs:
            break
        length += 1
    return length

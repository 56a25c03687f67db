"""Requests over a block pool and a model of what their blocks hold; tests move both together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from llava_core.engine.blocks import BlockPool, Copy, Key, Owned

Content = tuple[Key, ...]
"""What a place holds: its key and all keys before it, as keys and values depend on all of them."""


@dataclass(eq=False)
class Member:
    """One request: its keys, the blocks it owns, and a copy that is still to be made."""

    keys: list[Key]
    owned: Owned = field(default_factory=Owned)
    computed: int = 0
    copy: Copy | None = None
    running: bool = False


class World:
    """A pool, its requests, and the content of every place of every block."""

    def __init__(self, number: int, size: int) -> None:
        self.pool = BlockPool(number, size)
        self.members: list[Member] = []
        self.places: dict[int, list[Content | None]] = {b: [None] * size for b in range(number)}
        self.spoilt: set[int] = set()
        self.reused = 0

    @property
    def running(self) -> list[Member]:
        return [member for member in self.members if member.running]

    def admit(self, member: Member) -> bool:
        """Match and grow, as the scheduler does; every reused token must be the asked one."""
        owned, reused, copy = self.pool.match(member.keys)
        self._check_reuse(member.keys, owned, reused, copy)
        if not self._grow(owned, len(member.keys)):
            if copy:
                self.pool.release_source(copy)
            self.pool.release(owned)
            return False
        if copy:
            copy = replace(copy, target=owned.blocks[owned.kept])
        member.owned, member.computed, member.copy = owned, reused, copy
        member.running = True
        self.reused += reused
        return True

    def compute(self, member: Member, tokens: int) -> None:
        """Make the copy that is due, write the next keys, and tell the pool."""
        self._make_copy(member)
        end = min(member.computed + tokens, len(member.keys))
        for place in range(member.computed, end):
            self._write(member, place, tuple(member.keys[: place + 1]))
        member.computed = end
        self.pool.keep(member.owned, member.keys, end)

    def extend(self, member: Member, key: Key) -> None:
        """The next token of an answer; without room for it the member steps back."""
        self.compute(member, len(member.keys))
        member.keys.append(key)
        if not self._grow(member.owned, len(member.keys)):
            self.step_back(member)

    def step_back(self, member: Member) -> None:
        """Out of the pool with all its keys."""
        self._give_up_copy(member)
        self.pool.release(member.owned, member.keys, member.computed)
        member.running, member.computed = False, 0

    def leave(self, member: Member) -> None:
        """Finished or cancelled, in work or not."""
        if member.running:
            self.step_back(member)
        self.members.remove(member)

    def spoil(self, member: Member) -> None:
        """It failed: whatever stands in its blocks is not to be found again."""
        self._give_up_copy(member)
        self.spoilt |= set(member.owned.blocks)
        self.pool.spoil(member.owned)
        self.members.remove(member)

    def check(self) -> None:
        """The pool's own account agrees, and owned content is what its owner wrote or took over."""
        sources = [member.copy.source for member in self.running if member.copy]
        self.pool.check([member.owned for member in self.running], sources)
        for member in self.running:
            done = member.computed if member.copy is None else member.owned.kept * self.pool.size
            for place in range(done):
                assert self._at(member.owned, place) == tuple(member.keys[: place + 1])

    def _grow(self, owned: Owned, tokens: int) -> bool:
        before, available = list(owned.blocks), self.pool.available
        grown = self.pool.grow(owned, tokens)
        assert grown == (self.pool.blocks_for(tokens) - len(before) <= available)
        assert owned.blocks[: len(before)] == before and (grown or owned.blocks == before)
        self.spoilt -= set(owned.blocks[len(before) :])
        return grown

    def _check_reuse(self, keys: list[Key], owned: Owned, reused: int, copy: Copy | None) -> None:
        size = self.pool.size
        assert reused < max(len(keys), 1), "nothing is left to compute"
        assert reused == owned.kept * size + (copy.tokens if copy else 0)
        assert self.spoilt.isdisjoint([*owned.blocks, *([copy.source] if copy else [])])
        for place in range(reused):
            block = owned.blocks[place // size] if place < owned.kept * size else None
            where = copy.source if block is None and copy else block
            assert where is not None
            assert self.places[where][place % size] == tuple(keys[: place + 1])

    def _make_copy(self, member: Member) -> None:
        if member.copy is None:
            return
        copy, member.copy = member.copy, None
        self._check_alone(member, copy.target)
        self.places[copy.target][: copy.tokens] = self.places[copy.source][: copy.tokens]
        self.pool.release_source(copy)

    def _give_up_copy(self, member: Member) -> None:
        if member.copy:
            self.pool.release_source(member.copy)
            member.computed -= member.copy.tokens
            member.copy = None

    def _write(self, member: Member, place: int, content: Content) -> None:
        block = member.owned.blocks[place // self.pool.size]
        self._check_alone(member, block)
        self.places[block][place % self.pool.size] = content

    def _check_alone(self, member: Member, block: int) -> None:
        owners = [each for each in self.running if block in each.owned.blocks]
        assert owners == [member], "somebody else reads where this request writes"

    def _at(self, owned: Owned, place: int) -> Content | None:
        return self.places[owned.blocks[place // self.pool.size]][place % self.pool.size]

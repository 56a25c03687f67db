"""The block pool under any sequence of events, beside a model of what its blocks hold."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.llava_core.engine.pool_world import Member, World

KEYS = st.lists(st.integers(0, 1), min_size=1, max_size=14)
WHICH = st.integers(0, 99)


class AnySequence(RuleBasedStateMachine):
    """Requests of two different keys, so that beginnings coincide, in a pool that is too small."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(number=9, size=3)

    @rule(keys=KEYS)
    def arrives(self, keys: list[int]) -> None:
        self.world.members.append(Member(keys))

    @precondition(lambda self: self.world.members)
    @rule(which=WHICH)
    def is_admitted(self, which: int) -> None:
        member = self.world.members[which % len(self.world.members)]
        if not member.running:
            self.world.admit(member)

    @precondition(lambda self: self.world.running)
    @rule(which=WHICH, tokens=st.integers(1, 9))
    def computes(self, which: int, tokens: int) -> None:
        self.world.compute(self.pick(which), tokens)

    @precondition(lambda self: self.world.running)
    @rule(which=WHICH, keys=st.lists(st.integers(0, 1), min_size=1, max_size=6))
    def answers(self, which: int, keys: list[int]) -> None:
        member = self.pick(which)
        for key in keys:
            if member.running and len(member.keys) < 27:
                self.world.extend(member, key)

    @precondition(lambda self: self.world.running)
    @rule(which=WHICH)
    def steps_back(self, which: int) -> None:
        self.world.step_back(self.pick(which))

    @precondition(lambda self: self.world.members)
    @rule(which=WHICH)
    def leaves(self, which: int) -> None:
        self.world.leave(self.world.members[which % len(self.world.members)])

    @precondition(lambda self: self.world.running)
    @rule(which=WHICH)
    def is_spoilt(self, which: int) -> None:
        self.world.spoil(self.pick(which))

    @precondition(lambda self: self.world.running)
    @rule(which=WHICH)
    def is_trimmed(self, which: int) -> None:
        member = self.pick(which)
        self.world.pool.trim(member.owned, len(member.keys))

    @rule()
    def everything_idle_is_forgotten(self) -> None:
        self.world.pool.forget()
        assert self.world.pool.remembered == 0

    def pick(self, which: int) -> Member:
        return self.world.running[which % len(self.world.running)]

    @invariant()
    def all_accounts_agree(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        for member in list(self.world.members):
            self.world.leave(member)
        self.world.pool.check([])
        assert self.world.pool.used == 0


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_ten_thousand_random_events_leak_nothing() -> None:
    chance, world = random.Random(0), World(number=24, size=4)
    for event in range(10_000):
        one_event(world, chance)
        if event % 20 == 0:
            world.check()
    world.check()
    for member in list(world.members):
        world.leave(member)
    world.pool.check([])
    assert world.pool.used == 0 and world.pool.available == 24
    assert world.reused > 1000, "the events hardly ever share a beginning"


def one_event(world: World, chance: random.Random) -> None:
    """Something happens to somebody."""
    waiting = [member for member in world.members if not member.running]
    what = chance.random()
    if what < 0.15 and len(world.members) < 12:
        world.members.append(Member(chance.choices([0, 0, 0, 1], k=chance.randint(1, 30))))
    elif what < 0.4 and waiting:
        world.admit(waiting[0])
    elif world.running:
        member = chance.choice(world.running)
        if what < 0.6:
            world.compute(member, chance.randint(1, 12))
        elif what < 0.85 and len(member.keys) < 60:
            world.extend(member, chance.randint(0, 1))
        elif what < 0.89:
            world.step_back(member)
        elif what < 0.91:
            world.spoil(member)
        elif what < 0.93:
            world.pool.trim(member.owned, len(member.keys))
        else:
            world.leave(member)

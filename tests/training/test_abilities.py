"""Descriptions read back to symbols, pictures in other manners, and how both are counted."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PIL import Image

from llava_core.conversation import Conversation
from tests.training.test_drawing import colour_name
from training import contours
from training.abilities import (
    Abilities,
    Described,
    compare,
    crowd,
    describe_scenes,
    markdown,
    measure,
    named_things,
    scores_of,
    share_of_nothings,
)
from training.contours import draw_contours
from training.evaluation import held_out_items
from training.manners import AS_TRAINED, MANNERS
from training.questions import NOTHING_KNOWN, describe
from training.scenes import COLOURS, KINDS, NOTHINGS, RADII, Scene, Thing, sample_scene

Say = Callable[[str], str]
BLANK = Image.new("RGB", (1, 1))


@dataclass
class Scripted:
    """Gives prepared answers in order, changed by ``say``."""

    answers: list[str]
    say: Say = lambda answer: answer
    asked: list[str] = field(default_factory=list)

    def answer(self, conversations: Sequence[Conversation]) -> list[str]:
        self.asked += [conversation.messages[-1].text for conversation in conversations]
        texts, self.answers = (
            self.answers[: len(conversations)],
            self.answers[len(conversations) :],
        )
        return [self.say(text) for text in texts]


def blank(scene: Scene) -> Image.Image:
    return BLANK


# --- descriptions ---------------------------------------------------------------------------------


def test_a_description_is_read_back() -> None:
    for scene in crowd(3, 100):
        there = Counter((thing.colour, thing.kind) for thing in scene.things)
        assert named_things(describe(scene)) == there


def test_numbers_and_plurals_are_read() -> None:
    text = "There are two red cups, an orange fish and three small black crosses."
    assert named_things(text) == {("red", "cup"): 2, ("orange", "fish"): 1, ("black", "cross"): 3}
    assert not named_things(NOTHING_KNOWN) and not named_things("A red thing and a cup.")


def described(say: Say) -> Described:
    scenes = crowd(1, 120)
    return describe_scenes(Scripted([describe(scene) for scene in scenes], say), scenes, blank)


def test_true_descriptions_are_precise_and_complete() -> None:
    assert described(lambda answer: answer) == Described(1.0, 1.0, 120)


def test_an_invented_thing_costs_precision_only() -> None:
    invented = described(lambda answer: f"{answer} And a large red cup too: a green house.")
    assert invented.recall == 1.0 and 0.5 < invented.precision < 0.7


def test_silence_costs_recall() -> None:
    assert described(lambda answer: NOTHING_KNOWN) == Described(0.0, 0.0, 120)
    halves = described(lambda answer: answer.split(" and ")[0])
    assert halves.precision == 1.0 and 0.4 < halves.recall < 0.9


def test_a_thing_named_twice_counts_once() -> None:
    twice, once = Counter({("red", "cup"): 2}), Counter({("red", "cup"): 1})
    assert compare([(twice, once)]) == Described(0.5, 1.0, 1)


# --- nothings and questions -----------------------------------------------------------------------


def test_nothings_are_counted_by_kind() -> None:
    always = Scripted([NOTHING_KNOWN] * 40)
    assert share_of_nothings(always, 1, 10, blank) == dict.fromkeys(NOTHINGS, 1.0)
    assert len(always.asked) == 40
    mixed = Scripted(["A red cup."] * 5 + [NOTHING_KNOWN] * 35)
    assert list(share_of_nothings(mixed, 1, 10, blank).values()) == [0.5, 1.0, 1.0, 1.0]


def test_right_answers_score_one() -> None:
    items = held_out_items(1, 3)
    right = Scripted([item.turn.answer.lower() for item in items])
    assert set(scores_of(right, items, blank).shares().values()) == {1.0}


def test_everything_is_measured_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Nothing:
        def answer(self, conversations: Sequence[Conversation]) -> list[str]:
            return [NOTHING_KNOWN] * len(conversations)

    manners = {name: replace(manner, draw=blank) for name, manner in MANNERS.items()}
    monkeypatch.setattr("training.abilities.MANNERS", manners)
    found = measure(Nothing(), seed=1, per_type=1)
    assert isinstance(found, Abilities) and set(found.manners) == set(MANNERS)
    assert all(mean == pytest.approx(1 / 17) for mean in found.manners.values())
    assert found.described == Described(0.0, 0.0, 8)
    lines = markdown(found).splitlines()
    assert len(lines) == 2 + len(MANNERS) + 2 + len(NOTHINGS)
    assert "| nothing recognised: photo | 100.0 |" in lines


# --- manners --------------------------------------------------------------------------------------


def scenes_for(name: str, number: int = 12) -> list[Scene]:
    rng = random.Random(4)
    found: list[Scene] = []
    while len(found) < number:
        scene = sample_scene(rng, 3)
        if MANNERS[name].fits(scene):
            found.append(scene)
    return found


def as_small(picture: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    small = picture.resize((96, 96), Image.Resampling.BICUBIC)
    return np.asarray(small, np.float64)


@pytest.mark.parametrize("name", [name for name in MANNERS if name != AS_TRAINED])
def test_a_manner_changes_the_picture(name: str) -> None:
    for scene in scenes_for(name):
        drawn = MANNERS[name].draw(scene)
        assert drawn.mode == "RGB" and drawn.width == drawn.height
        plain = replace(scene, background="plain", finish="jagged")
        ours = MANNERS[AS_TRAINED].draw(plain if name != "large" else scene)
        assert drawn.size != ours.size or np.any(np.asarray(drawn) != np.asarray(ours))


def drawn_colour(name: str, thing: Thing, seed: int) -> str:
    """The colour that lies most on the thing's disc and not on the same page without it."""
    scene = Scene((thing,), "plain", "sharp", seed)
    away = Scene((replace(thing, x=-1.0),), "plain", "sharp", seed)
    with_it, without = (as_small(MANNERS[name].draw(s)) for s in (scene, away))
    changed = np.linalg.norm(with_it - without, axis=-1)
    strongest = with_it[changed > 0.8 * changed.max()]
    return colour_name(np.median(strongest, axis=0))


@pytest.mark.parametrize("name", MANNERS)
def test_things_keep_their_colours_and_places(name: str) -> None:
    for seed, colour in enumerate(COLOURS):
        thing = Thing("heart", colour, "large", 0.3, 0.6, 0.17)
        scene = Scene((thing,), "plain", "sharp", seed)
        if MANNERS[name].fits(scene):
            assert drawn_colour(name, thing, seed) == colour


def test_filled_things_show_their_colour_at_their_centre() -> None:
    for name, colour in itertools.product(set(MANNERS) - {"outlines"}, COLOURS):
        thing = Thing("square", colour, "large", 0.3, 0.6, 0.17)
        scene = Scene((thing,), "plain", "sharp", 5)
        if MANNERS[name].fits(scene):
            assert colour_name(as_small(MANNERS[name].draw(scene))[58, 29]) == colour


def test_dark_pages_are_dark_and_without_black_things() -> None:
    for scene in scenes_for("dark"):
        assert all(thing.colour != "black" for thing in scene.things)
        assert np.median(np.asarray(MANNERS["dark"].draw(scene))) < 90


def test_the_other_renderer_knows_every_kind() -> None:
    assert set(contours.KINDS) == set(KINDS) and set(contours.PALETTE) == set(COLOURS)


@pytest.mark.parametrize("kind", KINDS)
def test_its_things_stay_in_their_place_and_differ_from_each_other(kind: str) -> None:
    def ink(other: str, filled: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        thing = Thing(other, "black", "large", 0.5, 0.5, RADII["large"][1], filled)
        return np.asarray(draw_contours(Scene((thing,), "plain", "sharp", 0), 96))[..., 0] < 140

    for filled in (True, False):
        rows, columns = np.nonzero(ink(kind, filled))
        reach = 96 * RADII["large"][1] + 1
        assert np.abs(rows - 47.5).max() < reach and np.abs(columns - 47.5).max() < reach
        assert max(np.ptp(rows), np.ptp(columns)) > 1.5 * (reach - 1)
        for other in set(KINDS) - {kind}:
            union = (ink(kind, filled) | ink(other, filled)).sum()
            assert (ink(kind, filled) ^ ink(other, filled)).sum() > 0.1 * union

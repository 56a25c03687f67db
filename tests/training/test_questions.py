"""Every answer is true of its scene, told from the symbols by other means than the rules'."""

from __future__ import annotations

import random
import re

import pytest

from training.questions import (
    CONVERSATION,
    DETAIL,
    GROUPS,
    NOTHING_KNOWN,
    NUMBERS,
    REASONING,
    TYPES,
    Turn,
    article,
    dialogue,
    loosen,
    plural,
    sample_kinds,
    turn_of,
)
from training.scenes import COLOURS, KINDS, Scene, Thing, sample_scene

SEEDS = range(150)


def turns_of(kind: str) -> list[tuple[Scene, Turn]]:
    found = []
    for seed in SEEDS:
        rng = random.Random(seed)
        scene = sample_scene(rng, rng.randint(1, 5))
        turn = turn_of(kind, scene, rng)
        if turn is not None:
            found.append((scene, turn))
    assert len(found) > 15, f"{kind} is hardly ever asked"
    return found


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def things(scene: Scene, *texts: str) -> list[Thing]:
    """Things of the scene that all colours and kinds named in the texts fit."""
    named = {word for text in texts for word in words(text)}
    found = list(scene.things)
    if kinds := named & set(KINDS):
        found = [thing for thing in found if thing.kind in kinds]
    if colours := named & set(COLOURS):
        found = [thing for thing in found if thing.colour in colours]
    return found


@pytest.mark.parametrize("kind", ["kind", "colour", "size", "place", "at_place", "about"])
def test_facts_about_one_thing(kind: str) -> None:
    for scene, turn in turns_of(kind):
        if turn.answer == "Nothing.":
            place = turn.question.split("the ", 1)[1].rstrip("?")
            assert all(thing.place != place for thing in scene.things)
            continue
        (thing,) = things(scene, turn.question, turn.answer)
        told = words(turn.answer)
        if kind in ("size", "about"):
            assert thing.size in told
        if kind in ("place", "about"):
            assert all(word in told for word in words(thing.place))
        if kind == "at_place":
            assert thing.place in turn.question


def test_counts() -> None:
    every = {plural(kind): kind for kind in KINDS}
    for scene, turn in turns_of("count"):
        asked = set(words(turn.question))
        number = sum(
            (not asked & set(every) or every[next(iter(asked & set(every)))] == thing.kind)
            and (not asked & set(COLOURS) or thing.colour in asked)
            for thing in scene.things
        )
        assert turn.answer.lower() == f"{NUMBERS[number]}."


def test_exists_and_absent() -> None:
    answers = set()
    for scene, turn in turns_of("exists"):
        answers.add(turn.answer)
        assert turn.answer == ("Yes." if things(scene, turn.question) else "No.")
    assert answers == {"Yes.", "No."}
    for scene, turn in turns_of("absent"):
        assert things(scene, turn.question) == [] and turn.answer.startswith("There is no ")


def test_descriptions_name_everything_in_reading_order() -> None:
    for kind in ("describe", "list"):
        for scene, turn in turns_of(kind):
            named = [word for word in words(turn.answer) if word in KINDS]
            assert named == [thing.kind for thing in scene.things]
            rows = [thing.row for thing in scene.things]
            assert rows == sorted(rows)


def test_relations() -> None:
    for scene, turn in turns_of("relation"):
        kinds = [word for word in words(turn.question) if word in KINDS]
        first, second = (next(t for t in scene.things if t.kind == kind) for kind in kinds)
        truth = {
            "left": first.x < second.x,
            "right": first.x > second.x,
            "above": first.y < second.y,
            "below": first.y > second.y,
        }
        asked = next(word for word in words(turn.question) if word in truth)
        assert turn.answer.endswith("so yes." if truth[asked] else "so no.")


def test_comparisons() -> None:
    for scene, turn in turns_of("larger"):
        kinds = [word for word in words(turn.question) if word in KINDS]
        pair = [next(t for t in scene.things if t.kind == kind) for kind in kinds]
        pair.sort(key=lambda thing: thing.radius)
        expected = pair[-1] if "larger" in turn.question else pair[0]
        assert turn.answer.endswith(f"so the {expected.kind}.")
    for scene, turn in turns_of("same_colour"):
        kinds = [word for word in words(turn.question) if word in KINDS]
        colours = {t.colour for t in scene.things if t.kind in kinds}
        assert turn.answer.endswith("yes." if len(colours) == 1 else "no.")
    for scene, turn in turns_of("without"):
        assert f"so {NUMBERS[len(scene.things) - 1]} would be left" in turn.answer


def test_it_refers_to_what_the_turn_before_was_about() -> None:
    found = 0
    for seed in SEEDS:
        rng = random.Random(seed)
        scene = sample_scene(rng, rng.randint(1, 5))
        turns = dialogue(scene, rng, sample_kinds(rng, "conversation", 8))
        topic = ""
        for turn in turns:
            if turn.kind != "follow_up":
                topic = f"{turn.question} {turn.answer}"
                continue
            found += 1
            (thing,) = things(scene, topic)
            facts = {thing.colour, thing.size, *words(thing.place)}
            assert facts & set(words(turn.answer)), (topic, turn)
    assert found > 50


def test_nothing_known_is_said_of_pictures_of_nothing() -> None:
    rng = random.Random(1)
    for group in GROUPS:
        scene = sample_scene(rng, nothing_share=1.0)
        turns = dialogue(scene, rng, list(GROUPS[group]))
        assert turns and {turn.answer for turn in turns} == {NOTHING_KNOWN}


def test_the_papers_three_kinds_are_all_there() -> None:
    assert set(GROUPS) == {"conversation", "detail", "reasoning"}
    assert {*CONVERSATION, *DETAIL, *REASONING, "follow_up", "nothing"} == set(TYPES)


def test_small_helpers() -> None:
    assert article("orange cup") == "an orange cup" and plural("fish") == "fish"
    assert loosen("Where is it?", random.Random(0)) in ("Where is it?", "where is it")

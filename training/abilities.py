"""What a finished checkpoint can do beyond single answers about pictures drawn as in training.

``python -m training.abilities CHECKPOINT`` asks and prints: the mean over question types when the
same scenes are drawn in other manners, how much of a description is true and how much it leaves
out, and whether pictures of nothing known are recognised as such.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

from llava_core.conversation import Conversation, user
from training.evaluation import (
    Answers,
    Draw,
    Item,
    add_answers,
    held_out_items,
    load_answerer,
)
from training.manners import AS_TRAINED, MANNERS
from training.questions import NOTHING_KNOWN, NUMBERS, Turn, any_question, plural
from training.samples import Scores, mean_over_types
from training.scenes import BACKGROUNDS, COLOURS, FINISHES, KINDS, NOTHINGS, Scene, sample_scene

BATCH = 50
T = TypeVar("T")
Named = Counter[tuple[str, str]]
"""How often each colour and kind is named."""


@dataclass(frozen=True)
class Described:
    """Descriptions of ``scenes`` scenes: of all things named, the share that is there, and the
    other way round. A thing is its colour and its kind."""

    precision: float
    recall: float
    scenes: int


@dataclass(frozen=True)
class Abilities:
    """``manners``: mean over question types, 0..1, for each of :data:`MANNERS`, with ``per_type``
    questions of each type; ``nothings``: share recognised of each kind of nothing."""

    described: Described
    nothings: dict[str, float]
    manners: dict[str, float]
    per_type: int


# --- descriptions ---------------------------------------------------------------------------------

_SINGULAR = {plural(kind): kind for kind in KINDS} | {kind: kind for kind in KINDS}
_NAMED = re.compile(
    rf"\b(?:({'|'.join(NUMBERS)}) )?(?:small |medium |large )?"
    rf"({'|'.join(COLOURS)}) ({'|'.join(_SINGULAR)})\b"
)


def named_things(text: str) -> Named:
    """Colours and kinds that a description names: "two red cups and a cat" names two red cups."""
    named: Named = Counter()
    for number, colour, kind in _NAMED.findall(text.lower()):
        times = NUMBERS.index(number) if number else 1
        named[colour, _SINGULAR[kind]] += times
    return named


def compare(pairs: Iterable[tuple[Named, Named]]) -> Described:
    """Precision and recall over (named, there) of many scenes taken together."""
    shared = named = there = scenes = 0
    for said, real in pairs:
        shared += (said & real).total()
        named, there, scenes = named + said.total(), there + real.total(), scenes + 1
    return Described(shared / max(named, 1), shared / max(there, 1), scenes)


def describe_scenes(answerer: Answers, scenes: Sequence[Scene], draw: Draw) -> Described:
    """Ask for descriptions of scenes, and compare them with what is there."""
    pairs = []
    for part in _parts(scenes):
        asked = [Conversation((user("Describe the picture.", draw(scene)),)) for scene in part]
        for scene, text in zip(part, answerer.answer(asked), strict=True):
            there = Counter((thing.colour, thing.kind) for thing in scene.things)
            pairs.append((named_things(text), there))
    return compare(pairs)


def crowd(seed: int, number: int) -> list[Scene]:
    """Scenes of one to five things, as many of each number; any place, also unclear ones."""
    rng = random.Random(f"held-out/descriptions/{seed}")
    return [sample_scene(rng, 1 + index % 5) for index in range(number)]


# --- nothings and manners -------------------------------------------------------------------------


def share_of_nothings(answerer: Answers, seed: int, number: int, draw: Draw) -> dict[str, float]:
    """Of ``number`` pictures of each kind of nothing, the share recognised as such."""
    shares = {}
    for kind in NOTHINGS:
        rng = random.Random(f"held-out/{kind}/{seed}")
        items = [_nothing(kind, rng) for _ in range(number)]
        shares[kind] = scores_of(answerer, items, draw).shares()["nothing"]
    return shares


def _nothing(kind: str, rng: random.Random) -> Item:
    background, finish = rng.choice(BACKGROUNDS), rng.choice(FINISHES)
    scene = Scene((), background, finish, rng.getrandbits(31), kind)
    return Item(scene, (), Turn("nothing", any_question(rng), NOTHING_KNOWN))


def scores_of(answerer: Answers, items: Sequence[Item], draw: Draw) -> Scores:
    """Right answers per question type."""
    scores = Scores()
    for part in _parts(items):
        add_answers(scores, answerer, part, [draw(item.scene) for item in part])
    return scores


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def measure(answerer: Answers, seed: int, per_type: int) -> Abilities:
    """Everything of this module, on scenes that training never draws.

    There are twice as many pictures of each kind of nothing as questions per type, and eight times
    as many descriptions.
    """
    manners = {}
    for name, manner in track(MANNERS.items(), "drawn in other manners"):
        items = held_out_items(seed, per_type, manner.fits)
        manners[name] = mean_over_types(scores_of(answerer, items, manner.draw).shares())
    draw = MANNERS[AS_TRAINED].draw
    described = describe_scenes(answerer, crowd(seed, 8 * per_type), draw)
    nothings = share_of_nothings(answerer, seed, 2 * per_type, draw)
    return Abilities(described, nothings, manners, per_type)


# --- showing them ---------------------------------------------------------------------------------


def rows_of(abilities: Abilities) -> list[tuple[str, str]]:
    """What was measured and its figure in percent."""
    described = abilities.described
    return [
        *(
            (f"questions, {MANNERS[name].words}", value)
            for name, value in _percent(abilities.manners)
        ),
        *_percent(
            {
                "descriptions: things named that are there": described.precision,
                "descriptions: things there that are named": described.recall,
            }
        ),
        *((f"nothing recognised: {name}", value) for name, value in _percent(abilities.nothings)),
    ]


def _percent(shares: dict[str, float]) -> Iterator[tuple[str, str]]:
    return ((name, f"{100 * share:.1f}") for name, share in shares.items())


def markdown(abilities: Abilities) -> str:
    """The figures as a Markdown table."""
    lines = [f"| {name} | {value} |" for name, value in rows_of(abilities)]
    return "\n".join(["| what | percent |", "|---|---|", *lines])


def main() -> None:
    """Command line: ``python -m training.abilities CHECKPOINT [--per-type 25]``."""
    parser = argparse.ArgumentParser(prog="python -m training.abilities", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint folder of the tiny model")
    parser.add_argument("--per-type", type=int, default=25, help="questions per type and manner")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    answerer = load_answerer(arguments.checkpoint)
    abilities = measure(answerer, arguments.seed, arguments.per_type)
    table = Table("what", "percent", title=arguments.checkpoint.name)
    for row in rows_of(abilities):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()

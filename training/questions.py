"""Questions about scenes and their right answers: the paper's three kinds of instruction data.

Conversation (things, colours, sizes, number, places, and follow-ups that need an earlier turn),
detailed description, and complex reasoning (the reason first, then the conclusion), after section 3
of Visual Instruction Tuning (https://arxiv.org/abs/2304.08485). The paper asks GPT-4 to write them
from captions and boxes; here the symbols of the scene are known, so rules write them, and a
question is only asked when its answer can be told without doubt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from training.scenes import (
    COLOURS,
    COLUMNS,
    KINDS,
    ROWS,
    Scene,
    Thing,
    in_clear_order,
    sample_scene,
)

NUMBERS = ("none", "one", "two", "three", "four", "five")
NOTHING_KNOWN = "I see none of the things I know."
NO_PICTURE = "I see no picture. Please add one."


@dataclass(frozen=True)
class Turn:
    """One question with its right answer. ``kind`` is the question type, for the tables."""

    kind: str
    question: str
    answer: str


Ask = Callable[[Scene, random.Random], Turn | None]


def article(words: str) -> str:
    """``words`` with "a" or "an" in front."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def at(place: str) -> str:
    """A place with its preposition."""
    return "in the centre" if place == "centre" else f"at the {place}"


def sentence(words: str) -> str:
    """First letter large, full stop at the end."""
    return f"{words[0].upper()}{words[1:]}."


def unique(things: tuple[Thing, ...], attribute: str) -> list[Thing]:
    """Things whose ``attribute`` no other thing shares."""
    values = [getattr(thing, attribute) for thing in things]
    return [thing for thing in things if values.count(getattr(thing, attribute)) == 1]


def _colour_word(rng: random.Random) -> str:
    return "color" if rng.random() < 0.3 else "colour"


def _pick(rng: random.Random, things: list[Thing]) -> Thing | None:
    return rng.choice(things) if things else None


# --- conversation ---------------------------------------------------------------------------------


def ask_kind(scene: Scene, rng: random.Random) -> Turn | None:
    thing = _pick(rng, unique(scene.things, "colour"))
    if thing is None:
        return None
    question = rng.choice(
        ["What is the {} thing?", "Which thing is {}?", "What thing is {}?", "What is {}?"]
    ).format(thing.colour)
    return Turn("kind", question, sentence(article(thing.kind)))


def ask_colour(scene: Scene, rng: random.Random) -> Turn | None:
    thing = _pick(rng, unique(scene.things, "kind"))
    if thing is None:
        return None
    question = rng.choice(
        ["What {c} is the {k}?", "What {c} is the {k}?", "Which {c} does the {k} have?"]
    ).format(c=_colour_word(rng), k=thing.kind)
    return Turn("colour", question, sentence(thing.colour))


def ask_size(scene: Scene, rng: random.Random) -> Turn | None:
    thing = _pick(rng, unique(scene.things, "kind"))
    if thing is None:
        return None
    question = rng.choice(["How large is the {}?", "What size is the {}?", "How big is the {}?"])
    return Turn("size", question.format(thing.kind), sentence(thing.size))


def ask_count(scene: Scene, rng: random.Random) -> Turn | None:
    form = rng.random()
    if form < 0.4:
        question = rng.choice(["How many things are there?", "How many things do you see?"])
        number = len(scene.things)
    elif form < 0.7:
        kind = _present_or_any(rng, [thing.kind for thing in scene.things], KINDS)
        question = f"How many {plural(kind)} are there?"
        number = sum(thing.kind == kind for thing in scene.things)
    else:
        colour = _present_or_any(rng, [thing.colour for thing in scene.things], COLOURS)
        question = f"How many {colour} things are there?"
        number = sum(thing.colour == colour for thing in scene.things)
    return Turn("count", question, sentence(NUMBERS[number]))


def plural(kind: str) -> str:
    """The plural of a kind of thing."""
    irregular = {"fish": "fish", "cross": "crosses"}
    return irregular.get(kind, f"{kind}s")


def _present_or_any(rng: random.Random, present: list[str], every: tuple[str, ...]) -> str:
    return rng.choice(present) if rng.random() < 0.8 else rng.choice(every)


def ask_place(scene: Scene, rng: random.Random) -> Turn | None:
    thing = _pick(rng, [t for t in unique(scene.things, "kind") if t.clear])
    if thing is None:
        return None
    question = rng.choice(["Where is the {}?", "Where is the {}?", "In which place is the {}?"])
    return Turn("place", question.format(thing.kind), sentence(at(thing.place)))


def ask_exists(scene: Scene, rng: random.Random) -> Turn | None:
    wanted = rng.random() < 0.5
    form = rng.random()
    thing = rng.choice(scene.things)
    if form < 0.35:
        absent = [k for k in KINDS if all(t.kind != k for t in scene.things)]
        words = article(thing.kind if wanted else rng.choice(absent))
    elif form < 0.55:
        gone = [c for c in COLOURS if all(t.colour != c for t in scene.things)]
        words = f"anything {thing.colour if wanted else rng.choice(gone)}"
    else:
        words = article(_pair(scene, rng, thing, wanted))
    opening = rng.choice(["Is there", "Is there", "Do you see", "Can you see"])
    return Turn("exists", f"{opening} {words}?", "Yes." if wanted else "No.")


def _pair(scene: Scene, rng: random.Random, thing: Thing, wanted: bool) -> str:
    """Colour and kind of a thing that is there, or of one that is not but nearly is."""
    if wanted:
        return f"{thing.colour} {thing.kind}"
    there = {(t.colour, t.kind) for t in scene.things}
    while True:
        colour, kind = thing.colour, thing.kind
        if rng.random() < 0.5:
            colour = _present_or_any(rng, [t.colour for t in scene.things], COLOURS)
        else:
            kind = _present_or_any(rng, [t.kind for t in scene.things], KINDS)
        if (colour, kind) not in there:
            return f"{colour} {kind}"
        thing = Thing(rng.choice(KINDS), rng.choice(COLOURS), "small", 0.5, 0.5, 0.1)


def ask_at_place(scene: Scene, rng: random.Random) -> Turn | None:
    if not all(thing.clear for thing in scene.things):
        return None
    if rng.random() < 0.8:
        place = rng.choice(scene.things).place
    else:
        row, column = rng.choice(ROWS), rng.choice(COLUMNS)
        place = "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"
    there = [thing for thing in scene.things if thing.place == place]
    if len(there) > 1:
        return None
    question = f"What is {at(place)}?"
    if not there:
        return Turn("at_place", question, "Nothing.")
    return Turn("at_place", question, sentence(article(f"{there[0].colour} {there[0].kind}")))


def ask_absent(scene: Scene, rng: random.Random) -> Turn | None:
    kind = rng.choice([k for k in KINDS if all(t.kind != k for t in scene.things)])
    question = rng.choice(["What {c} is the {k}?", "How large is the {k}?", "Where is the {k}?"])
    return Turn("absent", question.format(c=_colour_word(rng), k=kind), f"There is no {kind}.")


def ask_follow_up(thing: Thing, known: str, rng: random.Random) -> Turn | None:
    """A question with "it", after a turn that made ``thing`` the topic by telling ``known``."""
    options = [f for f in ("colour", "size", "place") if f != known]
    wanted = rng.choice(options)
    if wanted == "place":
        if not thing.clear:
            return None
        return Turn("follow_up", "Where is it?", sentence(at(thing.place)))
    if wanted == "size":
        question = rng.choice(["How large is it?", "How big is it?", "What size is it?"])
        return Turn("follow_up", question, sentence(thing.size))
    question = f"What {_colour_word(rng)} is it?"
    return Turn("follow_up", question, sentence(thing.colour))


# --- detailed description -------------------------------------------------------------------------


def _described(thing: Thing) -> str:
    return f"{article(f'{thing.size} {thing.colour} {thing.kind}')} {at(thing.place)}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def describe(scene: Scene) -> str:
    """Every thing in reading order with size, colour, kind and place."""
    number = len(scene.things)
    opening = "There is one thing" if number == 1 else f"There are {NUMBERS[number]} things"
    return f"{opening}: {_listed([_described(thing) for thing in scene.things])}."


def ask_describe(scene: Scene, rng: random.Random) -> Turn | None:
    if not in_clear_order(scene.things):
        return None
    question = rng.choice(
        ["Describe the picture.", "Describe this image in detail.", "What is in the picture?"]
    )
    return Turn("describe", question, describe(scene))


def ask_list(scene: Scene, rng: random.Random) -> Turn | None:
    if not in_clear_order(scene.things):
        return None
    question = rng.choice(["What do you see?", "What things are there?", "Name the things."])
    parts = [article(f"{thing.colour} {thing.kind}") for thing in scene.things]
    return Turn("list", question, sentence(_listed(parts)))


def ask_about(scene: Scene, rng: random.Random) -> Turn | None:
    thing = _pick(rng, [t for t in unique(scene.things, "kind") if t.clear])
    if thing is None:
        return None
    question = rng.choice(["Tell me about the {}.", "Describe the {}."]).format(thing.kind)
    return Turn("about", question, f"It is {_described(thing)}.")


# --- complex reasoning ----------------------------------------------------------------------------


def _two(scene: Scene, rng: random.Random) -> tuple[Thing, Thing] | None:
    things = unique(scene.things, "kind")
    if len(things) < 2:
        return None
    first, second = rng.sample(things, 2)
    return first, second


def ask_relation(scene: Scene, rng: random.Random) -> Turn | None:
    pair = _two(scene, rng)
    if pair is None or not (pair[0].clear and pair[1].clear):
        return None
    first, second = pair
    forms = []
    if first.column != second.column:
        true = "to the left" if first.column < second.column else "to the right"
        forms += [("to the left", true), ("to the right", true)]
    if first.row != second.row:
        true = "above" if first.row < second.row else "below"
        forms += [("above", true), ("below", true)]
    if not forms:
        return None
    asked, true = rng.choice(forms)
    answer = (
        f"The {first.kind} is {at(first.place)} and the {second.kind} is {at(second.place)}: "
        f"it is {true}, so {'yes' if asked == true else 'no'}."
    )
    relation = f"{asked} of" if asked.startswith("to") else asked
    return Turn("relation", f"Is the {first.kind} {relation} the {second.kind}?", answer)


def ask_larger(scene: Scene, rng: random.Random) -> Turn | None:
    pair = _two(scene, rng)
    if pair is None or pair[0].size == pair[1].size:
        return None
    first, second = pair
    word = rng.choice(["larger", "smaller"])
    larger = first if first.radius > second.radius else second
    chosen = larger if word == "larger" else (second if larger is first else first)
    answer = (
        f"The {first.kind} is {first.size} and the {second.kind} is {second.size}, "
        f"so the {chosen.kind}."
    )
    return Turn("larger", f"Which is {word}, the {first.kind} or the {second.kind}?", answer)


def ask_same_colour(scene: Scene, rng: random.Random) -> Turn | None:
    pair = _two(scene, rng)
    if pair is None:
        return None
    first, second = pair
    answer = (
        f"The {first.kind} is {first.colour} and the {second.kind} is {second.colour}, "
        f"so {'yes' if first.colour == second.colour else 'no'}."
    )
    question = f"Do the {first.kind} and the {second.kind} have the same {_colour_word(rng)}?"
    return Turn("same_colour", question, answer)


def ask_without(scene: Scene, rng: random.Random) -> Turn | None:
    thing = _pick(rng, unique(scene.things, "kind"))
    if thing is None:
        return None
    number = len(scene.things)
    opening = "There is one thing" if number == 1 else f"There are {NUMBERS[number]} things"
    answer = f"{opening}, so {NUMBERS[number - 1]} would be left."
    return Turn("without", f"How many things are left without the {thing.kind}?", answer)


# --- talk that needs no picture -------------------------------------------------------------------

SMALL_TALK = (
    ("Hello!", "Hello! Ask me about your picture."),
    ("Hi", "Hello! Ask me about your picture."),
    ("Thank you.", "You are welcome."),
    ("Thanks!", "You are welcome."),
    ("Who are you?", "I am a tiny LLaVA. I know drawn things, colours, sizes and places."),
    ("What can you do?", "I am a tiny LLaVA. I know drawn things, colours, sizes and places."),
    ("What can you see?", "I am a tiny LLaVA. I know drawn things, colours, sizes and places."),
)
OUT_OF_WORLD = "I only know drawn things, their colours, sizes, places and number."
OTHER_QUESTIONS = (
    "What is the capital of France?",
    "Tell me a joke.",
    "Write a poem about the sea.",
    "How old are you?",
    "What time is it?",
    "Who won the match?",
    "Translate this into German.",
    "What is the meaning of life?",
    "Can you write code?",
    "What does the text say?",
    "How do I cook rice?",
    "Who is this person?",
    "What is the weather like?",
    "Is it going to rain tomorrow?",
    "What year was this taken?",
    "What brand is this?",
    "Read the sign.",
    "Is he happy?",
    "What is she wearing?",
    "Why is the sky blue?",
    "Explain quantum physics.",
    "What is 12 times 7?",
    "Give me a recipe.",
    "Do you like music?",
)


def ask_talk(scene: Scene, rng: random.Random) -> Turn | None:
    if rng.random() < 0.4:
        question, answer = rng.choice(SMALL_TALK)
        return Turn("talk", question, answer)
    return Turn("talk", rng.choice(OTHER_QUESTIONS), OUT_OF_WORLD)


# --- putting turns together -----------------------------------------------------------------------

CONVERSATION: dict[str, Ask] = {
    "kind": ask_kind,
    "colour": ask_colour,
    "size": ask_size,
    "count": ask_count,
    "place": ask_place,
    "exists": ask_exists,
    "at_place": ask_at_place,
    "absent": ask_absent,
}
DETAIL: dict[str, Ask] = {"describe": ask_describe, "list": ask_list, "about": ask_about}
REASONING: dict[str, Ask] = {
    "relation": ask_relation,
    "larger": ask_larger,
    "same_colour": ask_same_colour,
    "without": ask_without,
}
GROUPS = {"conversation": CONVERSATION, "detail": DETAIL, "reasoning": REASONING}
TYPES = (*CONVERSATION, "follow_up", *DETAIL, *REASONING, "nothing")
"""All question types of the accuracy tables."""


def loosen(question: str, rng: random.Random) -> str:
    """The question as a hurried person types it, in one case of five: small letters, no mark."""
    if rng.random() < 0.8:
        return question
    return question[0].lower() + question[1:].rstrip("?.!")


def turn_of(kind: str, scene: Scene, rng: random.Random) -> Turn | None:
    """One question of the given type about the scene, or None where it cannot be asked."""
    if scene.nothing or not scene.things:
        stand_in = any_question(rng)
        return Turn("nothing", stand_in, NOTHING_KNOWN)
    asks = {**CONVERSATION, **DETAIL, **REASONING, "talk": ask_talk}
    return asks[kind](scene, rng)


def any_question(rng: random.Random) -> str:
    """A question of any type, as asked about some picture or other."""
    while True:
        scene = sample_scene(rng, rng.randint(1, 4))
        group = rng.choice([CONVERSATION, CONVERSATION, DETAIL, REASONING])
        turn = rng.choice(list(group.values()))(scene, rng)
        if turn is not None:
            return turn.question


def topic_after(turn: Turn, scene: Scene) -> tuple[Thing, str] | None:
    """The thing that "it" means after this turn, and what was told of it; None where unclear."""
    told = {"kind": "kind", "colour": "colour", "size": "size", "place": "place", "about": ""}
    if turn.kind == "at_place" and turn.answer != "Nothing.":
        words = turn.answer.rstrip(".").split()
        matching = [t for t in scene.things if f"{t.colour} {t.kind}" == " ".join(words[1:])]
        return (matching[0], "colour") if len(matching) == 1 else None
    if turn.kind not in told or turn.kind == "about":
        return None
    text = turn.question if turn.kind != "kind" else turn.answer
    matching = [t for t in scene.things if t.kind in text.rstrip("?.").split()]
    return (matching[0], told[turn.kind]) if len(matching) == 1 else None


def dialogue(scene: Scene, rng: random.Random, kinds: list[str]) -> list[Turn]:
    """Turns of the given types, as far as the scene allows, with follow-ups in between.

    After a turn with a clear topic, every third time one or two questions with "it" follow.
    """
    turns: list[Turn] = []
    for kind in kinds:
        turn = turn_of(kind, scene, rng)
        if turn is None or (kind not in CONVERSATION and _answered(turns, turn)):
            continue
        turns.append(Turn(turn.kind, loosen(turn.question, rng), turn.answer))
        topic = topic_after(turn, scene) if scene.things else None
        while topic is not None and rng.random() < 0.35:
            follow = ask_follow_up(*topic, rng)
            if follow is None:
                break
            turns.append(Turn(follow.kind, loosen(follow.question, rng), follow.answer))
    return turns


def _answered(turns: list[Turn], turn: Turn) -> bool:
    return turn.kind != "nothing" and any(
        (earlier.kind, earlier.answer) == (turn.kind, turn.answer) for earlier in turns
    )


HARDEST = {"relation": 3, "describe": 2, "list": 2}
"""Relations, and descriptions of the whole picture, are hard to learn and asked more often."""


def sample_kinds(
    rng: random.Random, group: str, number: int, often: Mapping[str, int] = HARDEST
) -> list[str]:
    """``number`` question types of a group ("conversation" ...), with a little small talk.

    A type is drawn as often as ``often`` says, or else once.
    """
    names = [name for name in GROUPS[group] for _ in range(often.get(name, 1))]
    return ["talk" if rng.random() < 0.03 else rng.choice(names) for _ in range(number)]

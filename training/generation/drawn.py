"""The drawn world's own teacher: rules instead of a model, in the form in which models reply."""

from __future__ import annotations

import random

from training.generation.prompts import Kind
from training.generation.replies import Pair, write_pairs
from training.generation.source import Subject
from training.questions import NOTHING_KNOWN, describe, dialogue, sample_kinds

TURNS: dict[Kind, int] = {"conversation": 8, "reasoning": 3}
"""Questions that are tried for one picture; not every one fits."""


def drawn_reply(kind: Kind, subject: Subject, seed: int) -> str | None:
    """What the rules say about a drawn scene; None where nothing can be asked without doubt.

    The same for the same scene, kind and seed.
    """
    scene = subject.scene
    if scene is None:
        raise ValueError(f"{subject.id} is not drawn")
    if kind == "detail":
        return describe(scene) if scene.things else NOTHING_KNOWN
    rng = random.Random(f"{seed}:{kind}:{subject.id}")
    pairs: dict[str, Pair] = {}
    kept = False
    for turn in dialogue(scene, rng, sample_kinds(rng, kind, TURNS[kind], {})):
        if turn.kind == "follow_up" and not kept:
            continue  # "it" would be something else
        question = turn.question.lower().rstrip("?.!")
        kept = question not in pairs and (turn.kind != "talk" or kind == "conversation")
        if kept:
            pairs[question] = Pair(turn.question, turn.answer)
    return write_pairs(list(pairs.values())) if pairs else None

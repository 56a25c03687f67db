"""Held-out accuracy per question type, by greedy decoding of a saved checkpoint.

Every question is asked twice: with its own picture and with another one. What stays right with a
mismatched picture is guessing. Answers are compared exactly after normalising case and punctuation.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from llava_core.conversation import Conversation, Message, assistant, user
from llava_core.templates import Renderer, expand_image_tokens
from training.questions import CONVERSATION, TYPES, Turn, ask_follow_up, topic_after, turn_of
from training.samples import Scores, mean_over_types
from training.scenes import Scene, sample_scene
from training.tokenizer import IMAGE, token_id


@dataclass(frozen=True)
class Item:
    """One question about one scene, with the turns before it (only follow-ups have any)."""

    scene: Scene
    before: tuple[Turn, ...]
    turn: Turn


@dataclass(frozen=True)
class Table:
    """Accuracy per type with right and with mismatched pictures, and the number of questions."""

    matched: dict[str, float]
    mismatched: dict[str, float]
    number: dict[str, int]

    @property
    def mean(self) -> float:
        """Mean over question types with the right pictures, 0..1."""
        return mean_over_types(self.matched)

    @property
    def mean_mismatched(self) -> float:
        """The same with mismatched pictures."""
        return mean_over_types(self.mismatched)


def normalise_answer(text: str) -> str:
    """Small letters, no punctuation, single spaces."""
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(kept.split())


def _any(scene: Scene) -> bool:
    return True


def held_out_items(seed: int, per_type: int, fits: Callable[[Scene], bool] = _any) -> list[Item]:
    """``per_type`` questions of each type on scenes that training never draws.

    Scenes that do not fit are left out.
    """
    rng = random.Random(f"held-out/{seed}")
    items = []
    for kind in TYPES:
        found = 0
        while found < per_type:
            item = _item(kind, rng)
            if item is not None and fits(item.scene):
                items.append(item)
                found += 1
    return items


def _item(kind: str, rng: random.Random) -> Item | None:
    if kind == "nothing":
        scene = sample_scene(rng, 0 if rng.random() < 0.1 else None, nothing_share=1.0)
        turn = turn_of("kind", scene, rng)
        return Item(scene, (), turn) if turn else None
    scene = sample_scene(rng, rng.randint(1, 5))
    if kind != "follow_up":
        turn = turn_of(kind, scene, rng)
        return Item(scene, (), turn) if turn else None
    first = turn_of(rng.choice(list(CONVERSATION)), scene, rng)
    topic = topic_after(first, scene) if first else None
    if first is None or topic is None:
        return None
    follow = ask_follow_up(*topic, rng)
    return Item(scene, (first,), follow) if follow else None


Draw = Callable[[Scene], Image.Image]


class Answers(Protocol):
    """Whatever answers conversations."""

    def answer(self, conversations: Sequence[Conversation]) -> list[str]:
        """One answer per conversation."""


@dataclass(frozen=True)
class Answerer:
    """A checkpoint that answers many questions at once, greedily."""

    model: LlavaForConditionalGeneration
    renderer: Renderer
    pixels: Callable[[Sequence[Image.Image]], torch.Tensor]
    image_id: int
    pad_id: int
    visual_tokens: int

    def answer(self, conversations: Sequence[Conversation]) -> list[str]:
        """One answer per conversation; each holds exactly one picture."""
        rows = []
        for conversation in conversations:
            rendered = self.renderer.render(conversation, generation_prompt=True)
            rendered = expand_image_tokens(rendered, self.image_id, [self.visual_tokens])
            rows.append(rendered.token_ids)
        width = max(map(len, rows))
        device = self.model.device
        ids = torch.tensor([[self.pad_id] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        images = [image for conversation in conversations for image in conversation.images]
        with torch.inference_mode():
            output = self.model.generate(  # type: ignore[misc]
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                pixel_values=self.pixels(images).to(device, self.model.dtype),
                max_new_tokens=96,
                do_sample=False,
                pad_token_id=self.pad_id,
            )
        texts: list[str] = self.renderer.tokenizer.batch_decode(
            output[:, width:], skip_special_tokens=True
        )
        return texts


def load_answerer(folder: Path, device: torch.device | str = "cpu") -> Answerer:
    """A saved checkpoint of the tiny model, ready to be asked many questions at once."""
    model: LlavaForConditionalGeneration = LlavaForConditionalGeneration.from_pretrained(
        folder, device_map=str(device)
    )
    model.train(False)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    images = CLIPImageProcessorPil.from_pretrained(folder)

    def pixels(pictures: Sequence[Image.Image]) -> torch.Tensor:
        values: torch.Tensor = images(list(pictures), return_tensors="pt")["pixel_values"]
        return values

    return Answerer(
        model,
        Renderer(tokenizer),
        pixels,
        token_id(tokenizer, IMAGE),
        token_id(tokenizer, "<pad>"),
        int(model.config.image_seq_length),
    )


def evaluate(
    answerer: Answers, items: Sequence[Item], draw: Draw, batch: int = 64
) -> Iterator[tuple[int, Table]]:
    """Ask everything; yields the number of questions done and the table so far."""
    order = sorted(range(len(items)), key=lambda i: TYPES.index(_type(items[i])))
    matched, mismatched = Scores(), Scores()
    for start in range(0, len(order), batch):
        part = [items[i] for i in order[start : start + batch]]
        wrong = [stranger(items, i) for i in order[start : start + batch]]
        for scores, scenes in ((matched, [item.scene for item in part]), (mismatched, wrong)):
            add_answers(scores, answerer, part, [draw(scene) for scene in scenes])
        yield start + len(part), _table(matched, mismatched)


def add_answers(
    scores: Scores, answerer: Answers, items: Sequence[Item], pictures: Sequence[Image.Image]
) -> None:
    """Ask the items with these pictures, and count what is right."""
    asked = [conversation_of(item, picture) for item, picture in zip(items, pictures, strict=True)]
    for item, text in zip(items, answerer.answer(asked), strict=True):
        scores.add(_type(item), is_right(text, item.turn.answer))


def is_right(text: str, answer: str) -> bool:
    """Whether the answers are the same, case and punctuation apart."""
    return normalise_answer(text) == normalise_answer(answer)


def stranger(items: Sequence[Item], index: int) -> Scene:
    """Another scene; for pictures of nothing one with things, so that a mismatch is one."""
    others = _shuffled(len(items))
    position = others.index(index)
    for step in range(1, len(others)):
        scene = items[others[(position + step) % len(others)]].scene
        if bool(scene.things) or bool(items[index].scene.things):
            return scene
    return items[others[position - 1]].scene


@cache
def _shuffled(number: int) -> tuple[int, ...]:
    order = list(range(number))
    random.Random(1).shuffle(order)
    return tuple(order)


def _type(item: Item) -> str:
    return item.turn.kind


def _table(matched: Scores, mismatched: Scores) -> Table:
    return Table(matched.shares(), mismatched.shares(), dict(matched.total))


def conversation_of(item: Item, picture: Image.Image) -> Conversation:
    """The item's turns with the picture in the first question; it awaits an answer."""
    messages: list[Message] = []
    for turn in item.before:
        messages += [user(turn.question, *([] if messages else [picture])), assistant(turn.answer)]
    messages.append(user(item.turn.question, *([] if messages else [picture])))
    return Conversation(tuple(messages))

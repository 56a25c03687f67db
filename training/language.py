"""The tiny language model, prepared on text alone: it learns to look things up before it sees.

Scenes come as words. Either as a sentence before the question, or as a *bag of words* per patch:
the sum of the word embeddings of what the patch shows (" star" + " red" + " large" ...), standing
where the visual tokens of a picture will stand. The second is what the projection W is meant to
produce, so that stage 1 has something to align to; no picture is involved.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from llava_core.conversation import Message
from llava_core.templates import Renderer
from llava_core.training.optim import muon_and_adamw
from llava_core.training.task import Task
from training.grid import Grid, grid_of
from training.questions import (
    NO_PICTURE,
    NOTHING_KNOWN,
    Turn,
    any_question,
    article,
    ask_talk,
    at,
    dialogue,
    sample_kinds,
)
from training.samples import (
    Batch,
    Sample,
    Scores,
    answer_logits,
    answer_loss,
    collate,
    encode,
    mean_over_types,
    messages_of,
    split_evenly,
)
from training.scenes import COLOURS, COLUMNS, KINDS, ROWS, SIZES, Scene, sample_scene
from training.tokenizer import IMAGE, single_token, token_id

CONTEXT = 1024
ROPE_THETA = 1_000_000.0
"""Slow rotation, so that a word finds its like at any distance: at 1,000 most dimensions of a head
turn too fast to compare contents 200 tokens apart."""
NOISE = 0.1
"""Noise on bags of words in training, as a share of their standard deviation."""
WORD_LISTS = 0.3
"""Share of scenes that are answered with their words in any order (see words_in_any_order)."""
WORDS_ONLY = 200
"""Steps at the start with nothing but word lists. Asked from the first step on, questions kept the
model guessing among the things of a scene for thousands of steps; after word lists they do not."""
POOL = 4
"""Batches whose samples are sorted by length together, so that little is padding."""


def build_language_model(
    tokenizer: PreTrainedTokenizerFast, width: int = 192, layers: int = 5
) -> Qwen3ForCausalLM:
    """About 2.4M parameters. Initial weights of 1/sqrt(width): the default is too small here."""
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 32,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        initializer_range=width**-0.5,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    config._attn_implementation = "sdpa"
    model = Qwen3ForCausalLM(config)
    _match_same_content(model)
    return model


def _match_same_content(model: Qwen3ForCausalLM) -> None:
    """Half of the heads begin with keys equal to queries: they attend to what is like themselves.

    Looking up is finding the patch that holds the asked word, and random W_Q, W_K have no such
    preference. After "mimetic initialization" (https://arxiv.org/abs/2305.09828).
    """
    with torch.no_grad():
        for layer in model.model.layers:
            attention = layer.self_attn
            rows = attention.q_proj.weight.shape[0] // 2
            attention.k_proj.weight[:rows] = attention.q_proj.weight[:rows]


def split_parameters(
    model: torch.nn.Module,
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Matrices of the layers, for Muon, and everything else (embeddings, norms), for AdamW."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.ndim == 2 and "layers." in name
            (matrices if is_matrix else others).append(parameter)
    return matrices, others


class Bags:
    """What each patch shows, as ids of words: page, or kind, colour, size, row, column, centre."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        def ids(words: tuple[str, ...]) -> list[int]:
            return [single_token(tokenizer, f" {word}") for word in words]

        self.tables = [ids(KINDS), ids(COLOURS), ids(SIZES), ids(ROWS), ids(COLUMNS)]
        self.thing = single_token(tokenizer, " thing")
        self.page = single_token(tokenizer, " nothing")

    def of(self, grid: Grid, patches: list[int]) -> list[list[int]]:
        """Six word ids per patch, -1 where there are fewer."""
        rows = []
        for patch in patches:
            *attributes, centre = grid.labels[patch].tolist()
            if grid.owner[patch] < 0:
                rows.append([self.page, -1, -1, -1, -1, -1])
            else:
                words = [table[a] for table, a in zip(self.tables, attributes, strict=True)]
                rows.append([*words, self.thing if centre else -1])
        return rows


@dataclass(frozen=True)
class _Bagged:
    sample: Sample
    bags: list[list[int]]


class LanguageTask(Task):
    """Answers about scenes in words; loss on the answers only."""

    def __init__(
        self,
        model: Qwen3ForCausalLM,
        tokenizer: PreTrainedTokenizerFast,
        *,
        batch_tokens: int = 3000,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        model.to(self.device)  # type: ignore[arg-type]
        self.module: torch.nn.Module = model
        self.model = model
        self.batch_tokens, self.seed = batch_tokens, seed
        self.renderer = Renderer(tokenizer)
        self.bags = Bags(tokenizer)
        self.pad_id = token_id(tokenizer, "<pad>")
        self.image_id = token_id(tokenizer, IMAGE)
        matrices, others = split_parameters(model)
        self.optimisers = muon_and_adamw(matrices, others, muon_lr=0.05, adam_lr=6e-3)
        self._pool: tuple[int, list[list[_Bagged]]] = (-1, [])

    def loss(self, step: int) -> Tensor:
        """Mean loss over the answer tokens of a batch drawn by seed and step."""
        number, index = divmod(step, POOL)
        if self._pool[0] != number:
            self._pool = (number, self._draw_pool(number))
        return answer_loss(*self._logits(self._pool[1][index], step=step)[1])

    def evaluate(self) -> dict[str, float]:
        """Share of right answers per question type on scenes of another seed."""
        scores = Scores()
        rng = random.Random(987_654_321)
        self.module.eval()
        with torch.inference_mode():
            for _ in range(6):
                samples = [self._sample(rng, "bags") for _ in range(32)]
                batch, (logits, targets) = self._logits(samples)
                scores.add_batch(batch, logits, targets)
        self.module.train()
        shares = scores.shares()
        return {"mean": mean_over_types(shares), **shares}

    def _draw_pool(self, number: int) -> list[list[_Bagged]]:
        rng = random.Random(f"{self.seed}/{number}")
        early = number * POOL < WORDS_ONLY
        samples: list[_Bagged] = []
        while sum(len(bagged.sample.ids) for bagged in samples) < POOL * self.batch_tokens:
            samples.append(self._words(rng) if early else self._sample(rng))
        samples.sort(key=lambda bagged: len(bagged.sample.ids))
        batches = split_evenly(samples, [len(bagged.sample.ids) for bagged in samples], POOL)
        rng.shuffle(batches)
        return batches

    def _sample(self, rng: random.Random, form: str | None = None) -> _Bagged:
        form = form or rng.choices(["bags", "words", "none"], [0.82, 0.13, 0.05])[0]
        if form == "none":
            return self._without_picture(rng)
        if form == "bags" and rng.random() < WORD_LISTS:
            return self._words(rng)
        scene = sample_scene(rng)
        group, number = rng.choice(
            [("conversation", 12), ("conversation", 12), ("detail", 3), ("reasoning", 6)]
        )
        turns = dialogue(scene, rng, sample_kinds(rng, group, number))
        if not turns:
            return self._sample(rng, form)
        if form == "words":
            messages = messages_of(turns, context=scene_in_words(scene, rng), picture=False)
            return _Bagged(self._encode(messages, turns, []), [])
        return self._bagged(scene, turns, rng)

    def _words(self, rng: random.Random) -> _Bagged:
        scene = sample_scene(rng, rng.randint(3, 5))
        turns = [Turn("words", "Words.", words_in_any_order(scene, rng))]
        return self._bagged(scene, turns, rng)

    def _bagged(self, scene: Scene, turns: list[Turn], rng: random.Random) -> _Bagged:
        grid = grid_of(scene)
        patches = _some_patches(grid, rng)
        sample = self._encode(messages_of(turns), turns, [len(patches)])
        return _Bagged(sample, self.bags.of(grid, patches))

    def _without_picture(self, rng: random.Random) -> _Bagged:
        turns = []
        for _ in range(3):
            talk = ask_talk(sample_scene(rng, 1), rng)
            blind = Turn("nothing", any_question(rng), NO_PICTURE)
            turns.append(talk if talk and rng.random() < 0.4 else blind)
        return _Bagged(self._encode(messages_of(turns, picture=False), turns, []), [])

    def _encode(self, messages: list[Message], turns: list[Turn], counts: list[int]) -> Sample:
        kinds = [turn.kind for turn in turns]
        return encode(self.renderer, messages, kinds, self.image_id, counts, [0] * len(counts))

    def _logits(
        self, bagged: list[_Bagged], step: int | None = None
    ) -> tuple[Batch, tuple[Tensor, Tensor]]:
        batch = collate([one.sample for one in bagged], self.pad_id)
        generator = torch.Generator().manual_seed(step or 0)
        by_id = {id(one.sample): one.bags for one in bagged}

        def visual(sample: Sample) -> Tensor:
            words = torch.tensor(by_id[id(sample)], device=self.device)
            table = self.model.get_input_embeddings()
            vectors: Tensor = (table(words.clamp(min=0)) * (words >= 0).unsqueeze(-1)).sum(1)
            if step is None:
                return vectors
            noise = torch.randn(vectors.shape, generator=generator).to(self.device)
            return vectors + NOISE * vectors.detach().std() * noise

        language, head = self.model.model, self.model.lm_head
        return batch, answer_logits(batch, visual, language, head, self.image_id)


def scene_in_words(scene: Scene, rng: random.Random) -> str:
    """The scene as a sentence, its things in any order."""
    if not scene.things:
        return NOTHING_KNOWN
    things = rng.sample(scene.things, len(scene.things))
    parts = [f"{article(f'{t.size} {t.colour} {t.kind}')} {at(t.place)}" for t in things]
    return f"There is {', '.join(parts)}."


def words_in_any_order(scene: Scene, rng: random.Random) -> str:
    """The words of each thing in any order, thing after thing: "large left star red top; ...".

    Every next word is one look-up from the word before, without a question in between. From this
    the heads that bind a thing's words together arise early; questions then build on them.
    """
    things = []
    for thing in rng.sample(scene.things, len(scene.things)):
        words = [thing.kind, thing.colour, thing.size, ROWS[thing.row], COLUMNS[thing.column]]
        things.append(" ".join(rng.sample(words, len(words))))
    return "; ".join(things) + "."


def _some_patches(grid: Grid, rng: random.Random) -> list[int]:
    """Patches in raster order: every thing's centre, and a random share of the others."""
    share = rng.choice([0.05, 0.15, 0.3, 1.0]) if rng.random() < 0.4 else 0.0
    centres = grid.labels[:, 5] == 1
    kept = [p for p in range(len(centres)) if centres[p] or rng.random() < share]
    return kept or [0]

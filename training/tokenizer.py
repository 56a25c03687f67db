"""The tiny model's tokenizer: byte-level BPE trained on the world's own sentences.

Byte level, so that any text a person types has tokens; every word of the world is one token.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from llava_core.templates import NAMED_TEMPLATES
from training.questions import (
    NO_PICTURE,
    NOTHING_KNOWN,
    OTHER_QUESTIONS,
    dialogue,
    plural,
    sample_kinds,
)
from training.scenes import COLOURS, COLUMNS, KINDS, ROWS, SIZES, sample_scene

IMAGE = "<image>"
SPECIAL = ("<pad>", "<s>", "</s>", IMAGE, "USER:", "ASSISTANT:")
VOCABULARY = 896


def world_words() -> list[str]:
    """Every word that names something of the world, with the space that precedes it in a text."""
    words = [*KINDS, *COLOURS, *SIZES, *ROWS, *COLUMNS, "thing", "nothing"]
    return [f" {word}" for word in (*words, *(plural(kind) for kind in KINDS))]


def _corpus(seed: int, scenes: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(scenes):
        for group in ("conversation", "detail", "reasoning"):
            for turn in dialogue(sample_scene(rng), rng, sample_kinds(rng, group, 4)):
                yield f" {turn.question}"
                yield turn.question
                yield f" {turn.answer}"
    yield from (f" {text}" for text in (*OTHER_QUESTIONS, NO_PICTURE, NOTHING_KNOWN))
    yield from [" ".join(world_words())] * 50


def train_tokenizer(seed: int = 0, scenes: int = 3000) -> PreTrainedTokenizerFast:
    """A tokenizer with LLaVA v1's chat template; at most 896 entries, the same for every run."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_corpus(seed, scenes), trainer)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=[IMAGE, "USER:", "ASSISTANT:"],
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )
    tokenizer.chat_template = NAMED_TEMPLATES["vicuna_v1"]
    return tokenizer


def single_token(tokenizer: PreTrainedTokenizerFast, word: str) -> int:
    """The id of a word of the world. Raises ``ValueError`` where it is more than one token."""
    ids = tokenizer.encode(word, add_special_tokens=False)
    if len(ids) != 1:
        raise ValueError(f"{word!r} has {len(ids)} tokens; train the tokenizer on more scenes")
    return int(ids[0])


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """The id of a special token."""
    index = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(index, int)
    return index

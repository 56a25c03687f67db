"""Answers token by token: the same as transformers' own, repeatable, and stopped in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from llava_core.conversation import Conversation, assistant, user
from llava_core.engine.answer import Piece
from llava_core.engine.generate import generate
from llava_core.engine.sampling import Choice, Sampler, SamplingParams
from llava_core.engine.text import MAX_PENDING, IncrementalText, StopStrings
from llava_core.errors import NotANumber
from llava_core.model import Checkpoint
from tests.tiny_checkpoint import make_tokenizer

PICTURE = Image.new("RGB", (50, 40), "red")
TALKS = [
    Conversation((user("What colour is the star?", PICTURE),)),
    Conversation((user("Where is it?"),)),
    Conversation(
        (user("What?", PICTURE), assistant("A star."), user("And here?", PICTURE.rotate(90)))
    ),
]


def tokens(pieces: list[Piece]) -> list[int]:
    return [piece.token_id for piece in pieces if piece.token_id is not None]


def answer(checkpoint: Checkpoint, **params: object) -> list[Piece]:
    return list(generate(checkpoint, TALKS[0], SamplingParams(**params)))  # type: ignore[arg-type]


@pytest.mark.parametrize("talk", TALKS)
def test_greedy_equals_transformers_own(checkpoint: Checkpoint, talk: Conversation) -> None:
    inputs = checkpoint.prepare(talk)
    theirs = checkpoint.model.generate(  # type: ignore[operator]
        input_ids=inputs.input_ids, **inputs.pictures, max_new_tokens=24, do_sample=False
    )[0, inputs.prompt_tokens :].tolist()
    ours = tokens(list(generate(checkpoint, talk, SamplingParams(max_tokens=24))))
    assert ours == theirs


def test_a_repetition_penalty_equals_transformers_own(checkpoint: Checkpoint) -> None:
    inputs = checkpoint.prepare(TALKS[1])
    theirs = checkpoint.model.generate(  # type: ignore[operator]
        input_ids=inputs.input_ids, max_new_tokens=24, do_sample=False, repetition_penalty=1.3
    )[0, inputs.prompt_tokens :].tolist()
    params = SamplingParams(max_tokens=24, repetition_penalty=1.3)
    ours = tokens(list(generate(checkpoint, TALKS[1], params)))
    assert ours == theirs
    assert ours != tokens(list(generate(checkpoint, TALKS[1], SamplingParams(max_tokens=24))))


def test_a_repetition_penalty_sees_text_and_no_pictures(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []

    def noted(sampler: Sampler, logits: torch.Tensor, seen: set[int]) -> Choice:
        looked_at.append(set(seen))
        return Choice(int(logits.argmax()))

    monkeypatch.setattr(Sampler, "pick", noted)
    said = tokens(answer(checkpoint, max_tokens=3))
    prompt = set(checkpoint.prepare(TALKS[0]).input_ids[0].tolist())
    text = prompt - {checkpoint.renderer.image_token_id}
    assert len(text) == len(prompt) - 1
    assert looked_at == [text, text | {said[0]}, text | set(said[:2])]


def test_every_token_comes_with_its_log_probability(checkpoint: Checkpoint) -> None:
    inputs = checkpoint.prepare(TALKS[0])
    told = answer(checkpoint, max_tokens=12, logprobs=2)
    said = torch.tensor([tokens(told)])
    with torch.inference_mode():
        ids = torch.cat([inputs.input_ids, said], 1)
        logits = checkpoint.model(input_ids=ids, **inputs.pictures).logits[0, :-1].double()
    expected = logits.log_softmax(-1)[-said.shape[1] :].gather(1, said.T)[:, 0]
    given = [piece.choice.logprob for piece in told if piece.choice]
    assert given == pytest.approx(expected.tolist(), abs=1e-4)
    assert all(p.choice and p.choice.top[0] == (p.token_id, p.choice.logprob) for p in told)
    assert all(p.choice and len(set(p.names)) == len(p.choice.top) == 2 for p in told)


def test_nothing_is_told_unless_it_is_asked_for(checkpoint: Checkpoint) -> None:
    pieces = answer(checkpoint, max_tokens=3)
    assert [p.choice and p.choice.logprob for p in pieces] == [None] * 3
    assert not any(piece.names for piece in pieces)


def test_log_probabilities_come_with_their_own_step_although_the_text_is_held_back(
    checkpoint: Checkpoint,
) -> None:
    whole = "".join(piece.text for piece in answer(checkpoint, max_tokens=12))
    held = answer(checkpoint, max_tokens=12, stop=(f"{whole}never",), logprobs=0)
    assert [piece.text for piece in held] == [""] * 11 + [whole]
    assert all(piece.choice and piece.choice.logprob is not None for piece in held)


def test_a_model_that_computes_no_number_says_so(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = checkpoint.model.get_output_embeddings()
    monkeypatch.setattr(head, "forward", lambda states: states.new_full((1, 1, 300), torch.nan))
    with pytest.raises(NotANumber, match="computed no number"):
        answer(checkpoint)


def test_a_seed_makes_it_repeatable_whatever_else_runs(checkpoint: Checkpoint) -> None:
    first = tokens(answer(checkpoint, temperature=1.0, seed=7, max_tokens=20))
    torch.manual_seed(123)
    assert tokens(answer(checkpoint, temperature=1.0, seed=7, max_tokens=20)) == first
    assert tokens(answer(checkpoint, temperature=1.0, seed=8, max_tokens=20)) != first


def test_the_global_random_state_is_left_alone(checkpoint: Checkpoint) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    answer(checkpoint, temperature=1.0, seed=1, max_tokens=5)
    assert torch.equal(torch.rand(3), expected)


def test_it_ends_at_max_tokens_and_counts(checkpoint: Checkpoint) -> None:
    pieces = answer(checkpoint, max_tokens=5)
    assert [piece.completion_tokens for piece in pieces] == [1, 2, 3, 4, 5]
    assert [piece.finish_reason for piece in pieces] == [None] * 4 + ["length"]
    assert {piece.prompt_tokens for piece in pieces} == {checkpoint.prepare(TALKS[0]).prompt_tokens}


def test_it_ends_with_the_context(checkpoint: Checkpoint) -> None:
    prompt = checkpoint.prepare(TALKS[0]).prompt_tokens
    small = replace(checkpoint, context_length=prompt + 3)
    pieces = answer(small, max_tokens=10_000)
    assert pieces[-1].completion_tokens == 3 and pieces[-1].finish_reason == "length"


@pytest.mark.parametrize("listed", [False, True])
def test_it_ends_at_any_end_token(
    checkpoint: Checkpoint, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answer(checkpoint, max_tokens=8)
    chosen = tokens(before)
    place = next(i for i in range(2, 8) if chosen[i] not in chosen[:i])
    ends = [0, chosen[place]] if listed else chosen[place]
    monkeypatch.setattr(checkpoint.model.generation_config, "eos_token_id", ends)
    pieces = answer(checkpoint, max_tokens=8)
    assert tokens(pieces) == chosen[: place + 1] and pieces[-1].finish_reason == "stop"
    said = ["".join(piece.text for piece in some) for some in (pieces, before[:place])]
    assert said[0] == said[1], "the end token itself is not text"


def test_cancelling_takes_effect_within_two_steps(checkpoint: Checkpoint) -> None:
    steps = 0
    forward = checkpoint.model.forward

    def counted(*args: object, **kwargs: object) -> object:
        nonlocal steps
        steps += 1
        return forward(*args, **kwargs)

    checkpoint.model.forward = counted
    gone: list[int] = []
    pieces = []
    try:
        for piece in generate(
            checkpoint,
            TALKS[1],
            SamplingParams(max_tokens=50, temperature=1, seed=3),
            lambda: bool(gone),
        ):
            pieces.append(piece)
            if len(pieces) == 3:
                gone.append(steps)
    finally:
        checkpoint.model.forward = forward
    assert pieces[-1].finish_reason == "cancelled" and pieces[-1].token_id is None
    assert steps - gone[0] <= 2


def test_a_stop_string_ends_it_before_the_string(checkpoint: Checkpoint) -> None:
    whole = "".join(piece.text for piece in answer(checkpoint, max_tokens=20))
    stop = whole[4:7]
    pieces = answer(checkpoint, max_tokens=20, stop=(stop,))
    text = "".join(piece.text for piece in pieces)
    assert pieces[-1].finish_reason == "stop" and text == whole[: whole.index(stop)]


def test_unfinished_text_of_a_cut_answer_is_not_lost(checkpoint: Checkpoint) -> None:
    whole = "".join(piece.text for piece in answer(checkpoint, max_tokens=12))
    held = "".join(p.text for p in answer(checkpoint, max_tokens=12, stop=(f"{whole[-1]}never",)))
    assert held == whole


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["grün 🙂👍🏽 done", "日本語", " two  spaces", "a\n\n    b", "e\u0301"]
)
def test_text_grows_without_half_characters(text: str) -> None:
    tokenizer = make_tokenizer()
    stream = IncrementalText(tokenizer)
    shown = ""
    for token in tokenizer.encode(text, add_special_tokens=False):
        shown += stream.push(token)
        assert "\ufffd" not in shown and text.startswith(shown)
    assert shown + stream.flush() == text


def test_special_tokens_say_nothing_and_split_nothing() -> None:
    tokenizer = make_tokenizer()
    stream = IncrementalText(tokenizer)
    smile = tokenizer.encode("🙂", add_special_tokens=False)
    image = tokenizer.convert_tokens_to_ids("<image>")
    said = [stream.push(token) for token in [*smile[:2], *[image] * 20, *smile[2:]]]
    assert "".join(said) == "🙂" and said[-1] == "🙂"


def test_the_cost_of_a_token_does_not_grow_with_the_answer() -> None:
    tokenizer = make_tokenizer()
    stream = IncrementalText(tokenizer)
    longest = 0
    decode = stream._decode

    def measured(ids: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(ids))
        return decode(ids)

    stream._decode = measured
    for token in tokenizer.encode("The star is red 🙂. " * 50, add_special_tokens=False):
        stream.push(token)
    assert longest <= 2 * MAX_PENDING


def test_words_of_a_sentencepiece_tokenizer_keep_their_spaces() -> None:
    """Llama 2 writes a space as a mark before each word and drops the first of them."""
    words = {"<unk>": 0, "▁The": 1, "▁star": 2, "s": 3, "▁": 4, "<0xF0>": 5, "<0x9F>": 6}
    words |= {"<0x99>": 7, "<0x82>": 8}
    backend = Tokenizer(models.BPE(vocab=words, merges=[], unk_token="<unk>", byte_fallback=True))
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    stream = IncrementalText(tokenizer)
    shown = [stream.push(token) for token in (1, 2, 3, 4, 5, 6, 7, 8, 2)]
    assert "".join(shown) == "The stars 🙂 star"
    assert shown[:3] == ["The", " star", "s"]


def test_a_broken_character_at_the_end_is_shown_as_such() -> None:
    tokenizer = make_tokenizer()
    stream = IncrementalText(tokenizer)
    half = tokenizer.encode("🙂", add_special_tokens=False)[:2]
    assert "".join(stream.push(token) for token in half) == ""
    assert stream.flush() == "\ufffd"


@pytest.mark.parametrize(
    ("pieces", "stop", "shown"),
    [
        (["Hello ", "wor", "ld"], ["world"], "Hello "),
        (["a", "b", "c", "d"], ["bx", "cd"], "ab"),
        (["ab", "ab", "abc!"], ["abc"], "abab"),
        (["no", "thing"], ["else"], "nothing"),
        (["x###", "y"], ["###", "y"], "x"),
        (["end"], [""], "end"),
    ],
)
def test_stop_strings_over_pieces(pieces: list[str], stop: list[str], shown: str) -> None:
    stopper = StopStrings(stop)
    text = "".join(stopper.push(piece) for piece in pieces)
    assert text + ("" if stopper.found else stopper.flush()) == shown

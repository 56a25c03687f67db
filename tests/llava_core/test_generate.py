"""Answers token by token: the same as transformers' own, repeatable, and stopped in time."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from llava_core.conversation import Conversation, assistant, user
from llava_core.engine.generate import Piece, generate
from llava_core.engine.sampling import Sampler, SamplingParams, nucleus
from llava_core.engine.text import IncrementalText, StopStrings
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
    assert [piece.completion_tokens for piece in pieces] == list(range(1, len(pieces) + 1))
    assert pieces[-1].finish_reason in ("length", "stop")
    assert all(piece.finish_reason is None for piece in pieces[:-1])
    assert pieces[0].prompt_tokens == checkpoint.prepare(TALKS[0]).prompt_tokens


def test_it_ends_with_the_context(checkpoint: Checkpoint) -> None:
    talk = Conversation((user("x" * 190),))
    room = checkpoint.context_length - checkpoint.prepare(talk).prompt_tokens
    pieces = list(generate(checkpoint, talk, SamplingParams(max_tokens=10_000, temperature=2)))
    assert pieces[-1].completion_tokens <= room
    if pieces[-1].completion_tokens == room:
        assert pieces[-1].finish_reason == "length"


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


# --- sampling -------------------------------------------------------------------------------------


def test_nucleus_keeps_the_smallest_set_that_reaches_top_p() -> None:
    kept = nucleus(torch.tensor([0.1, 0.5, 0.3, 0.1]), 0.7)
    assert torch.allclose(kept, torch.tensor([0.0, 0.625, 0.375, 0.0]))
    assert torch.allclose(nucleus(torch.tensor([0.6, 0.4]), 0.01), torch.tensor([1.0, 0.0]))


def test_temperature_zero_is_the_most_likely_token() -> None:
    assert Sampler(SamplingParams()).choose(torch.tensor([0.0, 3.0, 1.0])) == 1


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 2}, {"max_tokens": 0}]
)
def test_values_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SamplingParams(**wrong)  # type: ignore[arg-type]

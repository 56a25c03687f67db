"""Image-text models that are no LLaVAs answer by their own ``generate``, token by token."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from llava_core.conversation import Conversation, assistant, user
from llava_core.engine.decoder import why_not
from llava_core.engine.generate import generate
from llava_core.engine.sampling import SamplingParams
from llava_core.errors import ContextError, TemplateError
from llava_core.loading import load_checkpoint
from llava_core.model import Checkpoint
from tests.outside_models import make_idefics3, make_paligemma

# transformers' processor of PaliGemma and NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PICTURE = Image.new("RGB", (60, 40), "red")
TALK = Conversation(
    (user("What colour is it?", PICTURE), assistant("Red."), user("And here?", PICTURE.rotate(90)))
)
MAKERS = {"idefics3": make_idefics3, "paligemma": make_paligemma}


@pytest.fixture(scope="module", params=MAKERS)
def outside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    make: Callable[[Path], Path] = MAKERS[request.param]
    return load_checkpoint(make(tmp_path_factory.mktemp(request.param)), "32bit", "cpu")


def theirs(checkpoint: Checkpoint, talk: Conversation, tokens: int, **options: Any) -> list[int]:
    """What transformers answers to the messages as its own template and processor take them."""
    roles = [
        {
            "role": message.role,
            "content": [
                *({"type": "image", "image": image} for image in message.images),
                {"type": "text", "text": message.text},
            ],
        }
        for message in talk.messages
    ]
    processor: Any = checkpoint.processor
    inputs = processor.apply_chat_template(
        roles, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    inputs.pop("labels", None)
    model: Any = checkpoint.model
    said = model.generate(**inputs, max_new_tokens=tokens, do_sample=False, **options)
    found: list[int] = said[0, inputs["input_ids"].shape[1] :].tolist()
    return found


def ours(checkpoint: Checkpoint, talk: Conversation, **params: Any) -> list[int | None]:
    return [piece.token_id for piece in generate(checkpoint, talk, SamplingParams(**params))]


def test_it_answers_as_transformers_does(outside: Checkpoint) -> None:
    assert not outside.in_family
    assert ours(outside, TALK, max_tokens=20) == theirs(outside, TALK, 20)
    penalty = {"repetition_penalty": 1.5}
    assert ours(outside, TALK, max_tokens=20, **penalty) == theirs(outside, TALK, 20, **penalty)


def test_the_engine_says_that_it_does_not_run_it(outside: Checkpoint) -> None:
    kind = outside.model.config.model_type
    reason = why_not(outside.model)
    assert (
        reason == f"its architecture is {kind}; the engine runs llava, llava_next, llava_onevision"
    )


def test_sampling_is_ours_and_repeatable(outside: Checkpoint) -> None:
    hot = {"temperature": 1.5, "max_tokens": 12}
    first, again = (ours(outside, TALK, seed=7, **hot) for _ in range(2))
    assert first == again
    assert first != ours(outside, TALK, seed=8, **hot)


def test_cancelled_it_stops_computing(outside: Checkpoint) -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    pieces = list(generate(outside, TALK, SamplingParams(max_tokens=100), cancelled))
    assert [piece.finish_reason for piece in pieces] == [None, None, None, "cancelled"]
    assert "generate" not in {thread.name for thread in threading.enumerate()}
    # Whoever loses interest without saying so leaves no thread behind either.
    unheard = generate(outside, TALK, SamplingParams(max_tokens=100))
    next(unheard)
    unheard.close()  # type: ignore[attr-defined]
    assert "generate" not in {thread.name for thread in threading.enumerate()}


def test_what_fails_in_the_model_is_told(
    outside: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(outside.model.get_output_embeddings(), "forward", broken)
    with pytest.raises(RuntimeError, match="no such kernel"):
        ours(outside, TALK, max_tokens=3)


def test_too_long_a_conversation_is_refused_with_the_numbers(outside: Checkpoint) -> None:
    talk = Conversation((user("word " * 400, PICTURE),))
    with pytest.raises(ContextError, match="the model has room for 256"):
        ours(outside, talk, max_tokens=3)


def test_text_alone_is_answered_or_refused_in_a_sentence(outside: Checkpoint) -> None:
    talk = Conversation((user("Where is it?"),))
    if outside.model.config.model_type == "idefics3":
        assert ours(outside, talk, max_tokens=8) == theirs(outside, talk, 8)
    else:
        with pytest.raises(TemplateError, match="images` are expected"):
            ours(outside, talk, max_tokens=8)


def test_typed_image_tokens_are_plain_text(outside: Checkpoint) -> None:
    talk = Conversation((user("Is this <image> one?", PICTURE),))
    token = outside.renderer.image_token_id
    whole = outside.prepare(talk).input_ids
    without = outside.prepare(Conversation((user("Is this one?", PICTURE),))).input_ids
    assert torch.equal((whole == token).sum(), (without == token).sum())

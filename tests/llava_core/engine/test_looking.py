"""Where an answer looked: the model's own attention, word by word, at no cost for the others."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from llava_core.conversation import Conversation, assistant, user
from llava_core.engine import runner
from llava_core.engine.engine import Engine
from llava_core.engine.looking import Word, side_of, words_of
from llava_core.engine.scheduler import Limits
from llava_core.errors import CoreError
from llava_core.model import Checkpoint
from tests.llava_core.engine.engines import TALKS, Right, ask, engine_of, run_out
from tests.llava_core.engine.test_paged import paged_engine

ANSWER = "The star is red and large."


def answered(talk: int) -> Conversation:
    return Conversation((*TALKS[talk].messages, assistant(ANSWER)))


def words_by(engine: Engine, conversation: Conversation) -> list[Word]:
    told: list[list[Word] | CoreError] = []
    engine.explain(conversation, told.append)
    run_out(engine)
    [words] = told
    assert isinstance(words, list)
    return words


def expected(checkpoint: Checkpoint, conversation: Conversation) -> torch.Tensor:
    """transformers' own attention (answer tokens, tokens), mean over layers and heads."""
    inputs = checkpoint.prepare_answered(conversation)
    model: Any = copy.deepcopy(checkpoint.model)
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        output = model(input_ids=inputs.input_ids, **inputs.pictures, output_attentions=True)
    assert inputs.answer
    start, end = inputs.answer
    mean = torch.stack(output.attentions).mean((0, 2))[0]
    return mean[start - 1 : end - 2]


@pytest.mark.parametrize("talk", [0, 3, 4])
@pytest.mark.parametrize("rows", [512, 3])
def test_it_is_the_models_own_attention(any_right: Right, talk: int, rows: int) -> None:
    checkpoint, conversation = any_right.checkpoint, answered(talk)
    engine = engine_of(checkpoint, Limits(rows_alone=rows))
    words = words_by(engine, conversation)
    attention = expected(checkpoint, conversation)
    image = checkpoint.renderer.image_token_id
    places = (checkpoint.prepare_answered(conversation).input_ids[0] == image).nonzero()[:, 0]
    shares = attention[:, places].sum(1)
    assert "".join(word.text for word in words).strip() == ANSWER
    first = words[0]
    assert first.share == pytest.approx(
        float(shares[: tokens_in(first, checkpoint)].mean()), abs=1e-4
    )
    grid = torch.tensor(first.grids[0])
    own = attention[: tokens_in(first, checkpoint), places].mean(0)[: grid.numel()]
    most = float(attention[: tokens_in(first, checkpoint), places].mean(0).max())
    torch.testing.assert_close(grid, (own / most).view_as(grid), atol=2e-3, rtol=0)


def tokens_in(word: Word, checkpoint: Checkpoint) -> int:
    return len(checkpoint.tokenizer.encode(word.text, add_special_tokens=False))


def test_pages_give_the_same(right: Right) -> None:
    runs = words_by(engine_of(right.checkpoint), answered(0))
    pages = words_by(paged_engine(right.checkpoint, Limits()), answered(0))
    assert [w.text for w in runs] == [w.text for w in pages]
    for ours, theirs in zip(runs, pages, strict=True):
        torch.testing.assert_close(torch.tensor(ours.grids), torch.tensor(theirs.grids))


def test_every_picture_has_a_grid(right: Right) -> None:
    words = words_by(engine_of(right.checkpoint), answered(4))
    for word in words:
        assert [len(grid) for grid in word.grids] == [4, 4]
        assert max(value for grid in word.grids for row in grid for value in row) == 1.0
        assert 0 < word.share < 1


def test_without_a_picture_there_are_words_and_no_grids(right: Right) -> None:
    words = words_by(engine_of(right.checkpoint), answered(7))
    assert words and all(word.grids == () and word.share == 0 for word in words)


def test_only_the_answer_is_computed_again(right: Right) -> None:
    engine = engine_of(right.checkpoint)
    ask(engine, 0)
    run_out(engine)
    before = engine.figures.prompt_tokens
    words_by(engine, answered(0))
    inputs = right.checkpoint.prepare_answered(answered(0))
    assert inputs.answer
    assert engine.figures.prompt_tokens - before == inputs.prompt_tokens - inputs.answer[0] + 1


def test_who_does_not_ask_pays_nothing(right: Right, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("attention was noted for nobody")

    monkeypatch.setattr(runner, "Watched", fail)
    _, told = ask(engine_of(right.checkpoint), 0)
    engine = engine_of(right.checkpoint)
    _, told = ask(engine, 0)
    run_out(engine)
    assert told.tokens == right.tokens(0)


def test_beside_an_explanation_answers_are_the_same(right: Right) -> None:
    engine = engine_of(right.checkpoint, Limits(rows_alone=9, rows_beside=4))
    told = [ask(engine, talk)[1] for talk in (0, 3)]
    words: list[object] = []
    engine.explain(answered(6), words.append)
    run_out(engine)
    assert [each.tokens for each in told] == [right.tokens(0), right.tokens(3)] and len(words) == 1


def test_a_question_has_nothing_to_explain(right: Right) -> None:
    with pytest.raises(ValueError, match="no answer"):
        engine_of(right.checkpoint).explain(TALKS[0], lambda told: None)


def test_words_begin_with_white_space() -> None:
    texts = ["The", " st", "ar", " is", "\n", "red", "."]
    assert words_of(texts) == [[0], [1, 2], [3], [4, 5, 6]]
    assert words_of([]) == []


def test_scripts_without_spaces_have_a_word_for_each_token() -> None:
    assert words_of(["星", "是", "红色", "的", "。"]) == [[0], [1], [2], [3], [4]]
    assert words_of(["Ein", " rot", "es", "Ω", "\ufffd"]) == [[0], [1, 2, 3, 4]]


def test_a_character_of_several_tokens_is_whole_in_its_word(right: Right) -> None:
    talk = Conversation((*TALKS[0].messages, assistant("A 🌟 star.")))
    words = words_by(engine_of(right.checkpoint), talk)
    assert "".join(word.text for word in words).strip() == "A 🌟 star."
    assert words[1].text == " 🌟"


def test_a_picture_of_tiles_is_shown_by_its_whole_view() -> None:
    assert (side_of(576, 24), side_of(577, 24), side_of(2880, 24), side_of(49, None)) == (
        24,
        24,
        24,
        7,
    )


def test_a_picture_that_is_asked_about_is_looked_at(right: Right) -> None:
    plain = Conversation((user("Where?", Image.new("RGB", (32, 32))), assistant("Here.")))
    engine = Engine(replace(right.checkpoint, model=copy.deepcopy(right.checkpoint.model)))
    assert words_by(engine, plain)[0].share > 0

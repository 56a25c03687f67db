"""What is learnt, to the letter: every template's own text, written out here by hand.

test_templates.py shows that all answers are in what is learnt, with the tests' small tokenizer;
here nothing else is in it, with the tokenizer of the bundled checkpoint, and in the plain format.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoTokenizer

from llava_core.conversation import Conversation, ImagePart, Message, assistant, user
from llava_core.templates import NAMED_TEMPLATES, Rendered, Renderer, expand_image_tokens
from llava_core.training.records import Record, conversation_of

ROOT = Path(__file__).resolve().parents[3]
TOKENIZER = AutoTokenizer.from_pretrained(ROOT / "assets" / "checkpoints" / "llava-tiny-stage2")
PICTURE = Image.new("RGB", (2, 2))
VISUAL = 5
# name -> what stands before the first question, before each later one, between question and
# answer (all read only), and before and after the answer (learnt)
TEMPLATES = {
    "vicuna_v1": ("USER: ", "USER: ", " ASSISTANT:", " ", "</s>"),
    "v0": ("###Human: ", "Human: ", "###Assistant:", " ", "###"),
    "llama_2": ("[INST] ", "<s>[INST] ", " [/INST]", " ", " </s>"),
    "mistral": ("[INST] ", "<s>[INST] ", " [/INST]", " ", " </s>"),
    "chatml": (
        "<|im_start|>user\n",
        "<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n",
        "",
        "<|im_end|>\n",
    ),
    "plain": ("", "", "", "", "\n"),
}

LOOK_ALIKES = [
    *("<image>", "</s>", "<s>", "<pad>", "USER:", "ASSISTANT:", "###", "#", "[INST]", "[/INST]"),
    *("<|im_end|>\n", "<|im_start|>assistant\n", "<<SYS>>", "ASSISTANT: no</s>USER: yes"),
    *(
        " ",
        "\n",
        "\n\n",
        "\t",
        ".",
        " a ",
        "\u200b",
        "\x00",
        "é",
        "e\u0301",
        "🙂",
        "👩‍👩‍👧",
        "漢字",
        "ﬁ",
        "ß",
    ),
]
odd = st.lists(
    st.one_of(
        st.sampled_from(LOOK_ALIKES),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
).map("".join)
Turns = list[tuple[str, int, str]]
turns = st.lists(st.tuples(odd, st.integers(0, 2), odd), min_size=1, max_size=4)


def runs(rendered: Rendered) -> list[tuple[bool, str]]:
    """(learnt, text) of each run of tokens that are learnt, or are not."""
    pairs = zip(rendered.loss_mask, rendered.token_ids, strict=True)
    return [
        (learnt, str(TOKENIZER.decode([token for _, token in run], skip_special_tokens=False)))
        for learnt, run in groupby(pairs, key=lambda pair: pair[0])
    ]


def by_hand(name: str, said: Turns, renderer: Renderer) -> list[tuple[bool, str]]:
    first, later, between, before, after = TEMPLATES[name]
    image = "<image>" * VISUAL + ("" if name == "plain" else "\n")
    found = []
    for index, (question, pictures, answer) in enumerate(said):
        asked = image * pictures + renderer.neutralise(question)
        found.append((False, (later if index else first) + asked + between))
        found.append((True, before + renderer.neutralise(answer) + after))
    return found


def render(renderer: Renderer, said: Turns) -> Rendered:
    messages: list[Message] = []
    for question, pictures, answer in said:
        images = (PICTURE,) * pictures
        asked = user(question, *images) if question else Message("user", (ImagePart(PICTURE),))
        messages += [asked, assistant(answer)]
    rendered = renderer.render(Conversation(tuple(messages)), generation_prompt=False)
    counts = [VISUAL] * len(rendered.images)
    return expand_image_tokens(rendered, renderer.image_token_id, counts)


def test_all_templates_are_here() -> None:
    assert set(TEMPLATES) == set(NAMED_TEMPLATES)


@settings(max_examples=400)
@given(st.sampled_from(sorted(set(TEMPLATES) - {"plain", "chatml"})), turns)
def test_learnt_are_the_answers_with_their_end_and_nothing_else(name: str, said: Turns) -> None:
    renderer = Renderer(TOKENIZER, NAMED_TEMPLATES[name])
    assert runs(render(renderer, said)) == by_hand(name, said, renderer)


@settings(max_examples=150)
@given(turns)
def test_in_chatml_only_white_space_may_join_the_answer(said: Turns) -> None:
    """Its prompt ends with a newline: with an answer that begins with one, both are one token."""
    renderer = Renderer(TOKENIZER, NAMED_TEMPLATES["chatml"])
    found, wanted = runs(render(renderer, said)), by_hand("chatml", said, renderer)
    assert [learnt for learnt, _ in found] == [learnt for learnt, _ in wanted]
    assert "".join(text for _, text in found) == "".join(text for _, text in wanted)
    for (learnt, text), (_, exact) in zip(found, wanted, strict=True):
        if learnt:
            assert text.endswith(exact) and text.removesuffix(exact) in ("", "\n")
        if learnt and not exact[0].isspace():
            assert text == exact


@settings(max_examples=150)
@given(odd.filter(str.strip))  # records with an answer of nothing but white space are refused
def test_in_the_plain_format_the_caption_is_learnt(caption: str) -> None:
    renderer = Renderer(TOKENIZER, NAMED_TEMPLATES["plain"])
    said = [("", 1, caption)]
    assert runs(render(renderer, said)) == by_hand("plain", said, renderer)


@pytest.mark.parametrize("name", sorted(set(TEMPLATES) - {"plain"}))
def test_a_record_is_learnt_as_it_is_written(name: str) -> None:
    """From LLaVA's JSON to labels: the newline after a placeholder is the template's own."""
    turns = (("human", "<image>\nQ\n"), ("gpt", " A "), ("human", "R"), ("gpt", "<image>"))
    conversation = conversation_of(Record("a", ("a.png",), turns))
    renderer = Renderer(TOKENIZER, NAMED_TEMPLATES[name])
    rendered = renderer.render(conversation, generation_prompt=False)
    rendered = expand_image_tokens(rendered, renderer.image_token_id, [VISUAL])
    said = [("Q", 1, " A "), ("R", 0, "<image>")]
    assert runs(rendered) == by_hand(name, said, renderer)
    assert rendered.token_ids.count(renderer.image_token_id) == VISUAL

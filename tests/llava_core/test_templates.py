"""One renderer: literal formats, labels by construction, texts that stay texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tokenizers.processors import ByteLevel
from transformers import PreTrainedTokenizerFast

from llava_core.conversation import (
    Conversation,
    ImagePart,
    Message,
    TextPart,
    assistant,
    system,
    user,
)
from llava_core.errors import TemplateError
from llava_core.templates import NAMED_TEMPLATES, Renderer, expand_image_tokens
from tests.tiny_checkpoint import make_tokenizer

PICTURE = Image.new("RGB", (2, 2))
TOKENIZER = make_tokenizer()
LITERAL = {
    "vicuna_v1": "SYS USER: <image>\nQ1 ASSISTANT: A1</s>USER: Q2 ASSISTANT:",
    "v0": "SYS###Human: <image>\nQ1###Assistant: A1###Human: Q2###Assistant:",
    "llama_2": "[INST] <<SYS>>\nSYS\n<</SYS>>\n\n<image>\nQ1 [/INST] A1 </s><s>[INST] Q2 [/INST]",
    "mistral": "[INST] <image>\nQ1 [/INST] A1 </s><s>[INST] Q2 [/INST]",
    "chatml": (
        "<|im_start|>system\nSYS<|im_end|>\n<|im_start|>user\n<image>\nQ1<|im_end|>\n"
        "<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nQ2<|im_end|>\n"
        "<|im_start|>assistant\n"
    ),
}
CHATS = tuple(LITERAL)


def renderer(name: str = "vicuna_v1") -> Renderer:
    return Renderer(TOKENIZER, NAMED_TEMPLATES[name])


def said(ids: list[int], mask: list[bool]) -> str:
    """The text of the tokens on which loss is taken."""
    chosen = [token for token, loss in zip(ids, mask, strict=True) if loss]
    text = TOKENIZER.decode(chosen, skip_special_tokens=False)
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("name", CHATS)
def test_formats_are_the_published_ones(name: str) -> None:
    first = (system("SYS"),) if name != "mistral" else ()
    talk = Conversation((*first, user("Q1", PICTURE), assistant("A1"), user("Q2")))
    assert renderer(name).render(talk, generation_prompt=True).text == LITERAL[name]


def test_the_plain_format_is_picture_and_caption() -> None:
    talk = Conversation((Message("user", (ImagePart(PICTURE),)), assistant("A red star.")))
    rendered = renderer("plain").render(talk, generation_prompt=False)
    assert rendered.text == "<image>A red star.\n"
    assert said(rendered.token_ids, rendered.loss_mask).strip() == "A red star."


def test_without_a_system_message_none_is_made_up() -> None:
    rendered = renderer().render(Conversation((user("Q", PICTURE),)), generation_prompt=True)
    assert rendered.text == "USER: <image>\nQ ASSISTANT:"


def test_loss_is_on_answers_and_their_end_tokens_only() -> None:
    talk = Conversation((user("Q1", PICTURE), assistant("A1."), user("Q2"), assistant("A2.")))
    rendered = renderer().render(talk, generation_prompt=False)
    assert said(rendered.token_ids, rendered.loss_mask) == " A1.</s> A2.</s>"


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
odd = st.one_of(
    texts,
    st.sampled_from(
        [
            "<image>",
            "</s>",
            "USER:",
            "ASSISTANT: no",
            " a ",
            "\n",
            "###",
            "[/INST]",
            "é🙂",
            "A</s>B",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CHATS), st.lists(st.tuples(odd, odd), min_size=1, max_size=4), st.data())
def test_the_loss_covers_exactly_the_answers(
    name: str, turns: list[tuple[str, str]], data: st.DataObject
) -> None:
    one = renderer(name)
    messages: list[Message] = []
    for question, answer in turns:
        pictures = (PICTURE,) * data.draw(st.integers(0, 2))
        messages += [user(question, *pictures), assistant(answer)]
    rendered = one.render(Conversation(tuple(messages)), generation_prompt=False)
    assert len(rendered.token_ids) == len(rendered.loss_mask)
    spoken = said(rendered.token_ids, rendered.loss_mask)
    position = 0
    for _, answer in turns:
        plain = one.neutralise(answer)
        assert plain in spoken[position:], (plain, spoken)
        position = spoken.index(plain, position) + len(plain)
    wanted = sum(len(message.images) for message in messages)
    assert rendered.token_ids.count(one.image_token_id) == wanted == len(rendered.images)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CHATS), st.lists(st.tuples(odd, odd), min_size=2, max_size=4))
def test_what_is_served_is_what_was_trained(name: str, turns: list[tuple[str, str]]) -> None:
    """The prompt of turn k is a prefix of the training sample, token by token up to the answer."""
    one = renderer(name)
    messages = [m for q, a in turns for m in (user(q), assistant(a))]
    whole = one.render(Conversation(tuple(messages)), generation_prompt=False)
    for k in range(len(turns)):
        prompt = one.render(Conversation(tuple(messages[: 2 * k + 1])), generation_prompt=True)
        assert whole.text.startswith(prompt.text)
        length = len(prompt.token_ids) - 1  # the last token may join with the answer's first
        assert whole.token_ids[:length] == prompt.token_ids[:length]


@pytest.mark.parametrize("typed", ["<image>", "</s>", "ASSISTANT:", "<image> <image>"])
def test_special_tokens_in_a_text_are_plain_text(typed: str) -> None:
    rendered = renderer().render(
        Conversation((user(f"say {typed} now", PICTURE),)), generation_prompt=True
    )
    special = set(TOKENIZER.all_special_ids)
    named = [token for token in rendered.token_ids if token in special]
    assert TOKENIZER.convert_ids_to_tokens(named) == ["USER:", "<image>", "ASSISTANT:"]


def test_templates_that_take_strings_only_work_too() -> None:
    template = (
        "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] }}"
        "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
    )
    one = Renderer(TOKENIZER, template)
    messages = (user("Q", PICTURE), assistant("A"), user("Q2"))
    prompt = one.render(Conversation(messages), generation_prompt=True)
    assert prompt.text == "<user><image>\nQ<assistant>A</s><user>Q2<assistant>"
    sample = one.render(Conversation(messages[:2]), generation_prompt=False)
    assert said(sample.token_ids, sample.loss_mask) == "A</s>"


def test_a_template_that_rewrites_history_serves_but_does_not_train() -> None:
    template = "{% for m in messages %}{{ loop.length }}{{ m['content'] }}{% endfor %}"
    one = Renderer(TOKENIZER, template)
    with pytest.raises(TemplateError, match="rewrites earlier turns"):
        one.render(Conversation((user("Q"), assistant("A"))), generation_prompt=False)
    talk = Conversation((user("Q"), assistant("A"), user("R")))
    prompt = one.render(talk, generation_prompt=True)
    assert prompt.text == "3Q3A3R" and not any(prompt.loss_mask)


@pytest.mark.parametrize("name", [*CHATS, "plain"])
def test_the_text_is_what_transformers_itself_renders(name: str) -> None:
    talk = Conversation((user("Q1", PICTURE), assistant("A1"), user("Q2")))
    one = renderer(name)
    messages = [one._message(message) for message in talk.messages]
    theirs = TOKENIZER.apply_chat_template(
        messages, chat_template=one.chat_template, add_generation_prompt=True, tokenize=False
    )
    assert one.render(talk, generation_prompt=True).text == theirs


def test_a_special_token_cut_into_two_parts_stays_text() -> None:
    parts = (TextPart("<ima"), TextPart("g"), TextPart("e> </"), TextPart("s>"), ImagePart(PICTURE))
    rendered = renderer().render(Conversation((Message("user", parts),)), generation_prompt=True)
    special = [i for i in rendered.token_ids if i in set(TOKENIZER.all_special_ids)]
    assert TOKENIZER.convert_ids_to_tokens(special) == ["USER:", "<image>", "ASSISTANT:"]


def test_a_special_token_that_overlaps_itself_stays_text() -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>", "###"]})
    one = Renderer(tokenizer, NAMED_TEMPLATES["vicuna_v1"])
    rendered = one.render(Conversation((user("#" * 7),)), generation_prompt=True)
    assert tokenizer.convert_tokens_to_ids("###") not in rendered.token_ids


def test_tokens_of_space_count_where_the_tokenizer_trims_its_offsets() -> None:
    """Llama 3's tokenizer says of a token of space that it covers no character."""
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.post_processor = ByteLevel(trim_offsets=True)
    offsets = tokenizer("a   b", return_offsets_mapping=True)["offset_mapping"]
    assert any(start == end for start, end in offsets), "the case at hand"
    talk = Conversation((user("Q  Q"), assistant("A   b  "), user(" Q"), assistant("C")))
    rendered = Renderer(tokenizer).render(talk, generation_prompt=False)
    assert said(rendered.token_ids, rendered.loss_mask) == " A   b  </s> C</s>"


def test_a_template_without_pictures_is_refused() -> None:
    template = (
        "{% for m in messages %}{% for p in m['content'] %}{{ p['text'] }}{% endfor %}{% endfor %}"
    )
    one = Renderer(TOKENIZER, template)
    with pytest.raises(TemplateError, match="0 image placeholders for 1 pictures"):
        one._typed = True
        one.render(Conversation((user("Q", PICTURE),)), generation_prompt=False)


def test_a_tokenizer_without_template_needs_a_named_one() -> None:
    bare = make_tokenizer()
    bare.chat_template = None
    with pytest.raises(TemplateError, match="no chat template"):
        Renderer(bare)


def test_the_bos_token_is_added_where_the_tokenizer_adds_it() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_tokenizer()
    backend = tokenizer.backend_tokenizer
    backend.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    with_bos = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    one = Renderer(with_bos, NAMED_TEMPLATES["vicuna_v1"])
    rendered = one.render(Conversation((user("Q"),)), generation_prompt=True)
    assert rendered.token_ids[0] == with_bos.bos_token_id
    assert rendered.token_ids.count(with_bos.bos_token_id) == 1 and rendered.loss_mask[0] is False


def test_expanding_makes_room_for_visual_tokens() -> None:
    turns = (user("Q", PICTURE), assistant("A"), user("Q2", PICTURE), assistant("B"))
    rendered = renderer().render(Conversation(turns), generation_prompt=False)
    image = TOKENIZER.convert_tokens_to_ids("<image>")
    assert isinstance(image, int)
    expanded = expand_image_tokens(rendered, image, [3, 5])
    assert expanded.token_ids.count(image) == 8
    assert len(expanded.token_ids) == len(rendered.token_ids) + 6
    assert said(expanded.token_ids, expanded.loss_mask) == " A</s> B</s>"
    with pytest.raises(ValueError, match="2 image tokens, but counts for 1"):
        expand_image_tokens(rendered, image, [3])

"""Conversation -> token ids and loss mask: the one renderer, for training and for serving.

A checkpoint's own Jinja chat template decides the text. Labels come by construction: the answer of
a turn is what the template adds between the prompt before it and the conversation up to it, so the
mask needs no search for separators and cannot miss a turn. Formats of the named templates: LLaVA's
repository (https://github.com/haotian-liu/LLaVA) and the model cards of the language models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import (
    _compile_jinja_template,  # apply_chat_template takes 20 times as long for each call
)

from llava_core.conversation import Conversation, ImagePart, Message
from llava_core.errors import TemplateError

VICUNA_SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
"""The system sentence that Vicuna 1.1 was tuned with; pass it as a system message."""

_BODY = (
    "{%- macro body(message) -%}{%- if message['content'] is string -%}{{ message['content'] }}"
    "{%- else -%}{%- for part in message['content'] -%}{%- if part['type'] == 'image' -%}"
    "{{ '<image>\\n' }}{%- else -%}{{ part['text'] }}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{%- endmacro -%}"
)
_CAPTION = _BODY.replace("<image>\\n", "<image>")

NAMED_TEMPLATES: dict[str, str] = {
    "vicuna_v1": _BODY + "{%- for message in messages -%}"
    "{%- if message['role'] == 'system' -%}{{ body(message) + ' ' }}"
    "{%- elif message['role'] == 'user' -%}{{ 'USER: ' + body(message) + ' ' }}"
    "{%- else -%}{{ 'ASSISTANT: ' + body(message) + eos_token }}{%- endif -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}",
    "v0": _BODY + "{%- for message in messages -%}"
    "{%- if message['role'] == 'system' -%}{{ body(message) + '###' }}"
    "{%- elif message['role'] == 'user' -%}"
    "{%- if loop.first -%}{{ '###' }}{%- endif -%}{{ 'Human: ' + body(message) + '###' }}"
    "{%- else -%}{{ 'Assistant: ' + body(message) + '###' }}{%- endif -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}",
    "llama_2": _BODY + "{%- set ns = namespace(system='') -%}{%- for message in messages -%}"
    "{%- if message['role'] == 'system' -%}"
    "{%- set ns.system = '<<SYS>>\\n' + body(message) + '\\n<</SYS>>\\n\\n' -%}"
    "{%- elif message['role'] == 'user' -%}"
    "{{ '[INST] ' + ns.system + body(message) + ' [/INST]' }}{%- set ns.system = '' -%}"
    "{%- else -%}{{ ' ' + body(message) + ' ' + eos_token }}"
    "{%- if not loop.last -%}{{ bos_token }}{%- endif -%}{%- endif -%}{%- endfor -%}",
    "mistral": _BODY + "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{ '[INST] ' + body(message) + ' [/INST]' }}"
    "{%- elif message['role'] == 'assistant' -%}{{ ' ' + body(message) + ' ' + eos_token }}"
    "{%- if not loop.last -%}{{ bos_token }}{%- endif -%}{%- endif -%}{%- endfor -%}",
    "chatml": _BODY + "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + body(message) + '<|im_end|>\\n' }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}"
    "{{ '<|im_start|>assistant\\n' }}{%- endif -%}",
    "plain": _CAPTION + "{%- for message in messages -%}{{ body(message) }}"
    "{%- if message['role'] == 'assistant' -%}{{ '\\n' }}{%- endif -%}{%- endfor -%}",
}
"""Jinja chat templates for checkpoints that bring none, by the names of LLaVA's repository."""

_BREAK = "\u200b"


@dataclass(frozen=True)
class Rendered:
    """A conversation as the model reads it.

    ``token_ids`` and ``loss_mask`` are equally long; the mask is True on the tokens of answers and
    their end tokens, and False throughout in a prompt that awaits an answer. Each picture is one
    image token until :func:`expand_image_tokens`.
    """

    text: str
    token_ids: list[int]
    loss_mask: list[bool]
    images: tuple[Image.Image, ...]


class Renderer:
    """Renders conversations with a tokenizer and a chat template.

    ``chat_template`` defaults to the tokenizer's own. Raises :class:`TemplateError` where there is
    none, or where the tokenizer cannot tell which characters a token covers.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        chat_template: str | None = None,
        image_token: str = "<image>",
    ) -> None:
        template = chat_template or tokenizer.chat_template
        if not isinstance(template, str):
            raise TemplateError(
                "the checkpoint brings no chat template",
                f"Name one of: {', '.join(NAMED_TEMPLATES)}.",
            )
        if not tokenizer.is_fast:
            raise TemplateError(
                "the tokenizer cannot tell which characters a token covers",
                "Convert it to the tokenizers format (tokenizer.json).",
            )
        self.tokenizer = tokenizer
        self.chat_template = template
        self._named_tokens = dict(tokenizer.special_tokens_map)
        self._template = _compile_jinja_template(template)
        self.image_token = image_token
        self.image_token_id = _single_id(tokenizer, image_token)
        self._special = _special_pattern(tokenizer, image_token)
        self._ends = tuple({text for text in _special_texts(tokenizer) if text.strip()})
        self._typed = self._accepts_typed_parts()
        self._bos = _added_bos(tokenizer)

    def render(self, conversation: Conversation, *, generation_prompt: bool) -> Rendered:
        """Token ids and loss mask, for training; with ``generation_prompt``, the prompt to answer.

        A prompt has no labels, so templates that shorten earlier turns (reasoning models leave out
        old thoughts) can be served. Raises :class:`TemplateError` where the template refuses the
        conversation, loses a picture, or, for training, rewrites earlier turns.
        """
        messages = [self._message(message) for message in conversation.messages]
        text = self._text(messages, generation_prompt)
        spans = [] if generation_prompt else self._answer_spans(messages, text)
        encoded = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        ids: list[int] = list(encoded["input_ids"])
        mask = _mask(encoded["offset_mapping"], spans)
        if self._bos is not None and ids[:1] != [self._bos]:
            ids, mask = [self._bos, *ids], [False, *mask]
        self._check_images(ids, conversation)
        return Rendered(text, ids, mask, conversation.images)

    def _text(self, messages: list[dict[str, Any]], generation_prompt: bool) -> str:
        try:
            text: str = self._template.render(
                messages=messages,
                add_generation_prompt=generation_prompt,
                tools=None,
                documents=None,
                **self._named_tokens,
            )
        except Exception as error:
            raise TemplateError(
                f"the chat template refuses this conversation: {error}",
                "Leave out what it does not support, such as a system message.",
            ) from error
        return text

    def _answer_spans(self, messages: list[dict[str, Any]], text: str) -> list[tuple[int, int]]:
        """Characters of each answer: from the end of its prompt to the end of its turn."""
        spans = []
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt = self._text(messages[:index], True)
            upto = self._text(messages[: index + 1], False)
            if not (upto.startswith(prompt) and text.startswith(upto)):
                raise TemplateError(
                    f"the chat template rewrites earlier turns once answer {index} is there, so "
                    "its tokens cannot be told from the prompt's",
                    f"Use another template, such as {', '.join(NAMED_TEMPLATES)}.",
                )
            spans.append((len(prompt), self._end_of_turn(upto)))
        return spans

    def _end_of_turn(self, upto: str) -> int:
        """Where the turn ends; white space after the end token is not the model's to say."""
        stripped = upto.rstrip()
        return len(stripped) if stripped.endswith(self._ends) else len(upto)

    def _message(self, message: Message) -> dict[str, Any]:
        """The message for the template; texts that look like special tokens are made plain."""
        if self._typed:
            content: Any = self._typed_parts(message)
        else:
            images = f"{self.image_token}\n" * len(message.images)
            content = images + self.neutralise(message.text)
        return {"role": message.role, "content": content}

    def _typed_parts(self, message: Message) -> list[dict[str, str]]:
        parts: list[dict[str, str]] = []
        before = ""
        for part in message.parts:
            if isinstance(part, ImagePart):
                parts.append({"type": "image"})
                before = ""
                continue
            text = self.neutralise(part.text)
            if self._special.search(before + text):  # "<ima" and "ge>" make one as neighbours
                text = _BREAK + text
            parts.append({"type": "text", "text": text})
            before += text
        return parts

    def neutralise(self, text: str) -> str:
        """``text`` with special tokens' texts broken by a zero-width space: they stay plain text.

        A person who types ``<image>`` has sent no picture, and one who types ``</s>`` has not ended
        the model's turn.
        """
        while self._special.search(text):  # once more where the rest of one begins another: ####
            text = self._special.sub(lambda match: f"{match[0][0]}{_BREAK}{match[0][1:]}", text)
        return text

    def _accepts_typed_parts(self) -> bool:
        """Whether the template understands content as a list of typed parts."""
        probe = "Xq7probe"
        content = [{"type": "image"}, {"type": "text", "text": probe}]
        try:
            text = self._text([{"role": "user", "content": content}], True)
        except TemplateError:
            return False
        return probe in text and "'type'" not in text and text.count(self.image_token) == 1

    def _check_images(self, ids: list[int], conversation: Conversation) -> None:
        found, wanted = ids.count(self.image_token_id), len(conversation.images)
        if found != wanted:
            raise TemplateError(
                f"the chat template made {found} image placeholders for {wanted} pictures",
                f"Use a template that writes {self.image_token} once for each picture.",
            )


def expand_image_tokens(rendered: Rendered, image_token_id: int, counts: Sequence[int]) -> Rendered:
    """The i-th image token repeated ``counts[i]`` times: one for each visual token of its picture.

    Raises ``ValueError`` where there are not as many counts as image tokens.
    """
    found = rendered.token_ids.count(image_token_id)
    if found != len(counts):
        raise ValueError(f"{found} image tokens, but counts for {len(counts)} pictures")
    ids: list[int] = []
    mask: list[bool] = []
    remaining = iter(counts)
    for token, loss in zip(rendered.token_ids, rendered.loss_mask, strict=True):
        times = next(remaining) if token == image_token_id else 1
        ids.extend([token] * times)
        mask.extend([loss] * times)
    return replace(rendered, token_ids=ids, loss_mask=mask)


def _mask(offsets: Sequence[tuple[int, int]], spans: list[tuple[int, int]]) -> list[bool]:
    """True for tokens that cover a character of a span; both are in ascending order.

    A token of nothing but space covers no character with tokenizers that trim their offsets
    (Llama 3); it belongs to a span that goes on at both of its sides.
    """
    mask = []
    current = 0
    for start, end in offsets:
        while current < len(spans) and spans[current][1] <= start:
            current += 1
        first = spans[current][0] if current < len(spans) else end
        mask.append(first < end)
    return mask


def _single_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    index = tokenizer.convert_tokens_to_ids(token)
    if not isinstance(index, int) or tokenizer.convert_ids_to_tokens(index) != token:
        raise TemplateError(
            f"the tokenizer has no image token {token!r}",
            "Use the tokenizer that was saved with the checkpoint.",
        )
    return index


def _special_texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    return [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]


def _special_pattern(tokenizer: PreTrainedTokenizerBase, image_token: str) -> re.Pattern[str]:
    texts = {text for text in _special_texts(tokenizer) if len(text) > 1} | {image_token}
    return re.compile("|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True)))


def _added_bos(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token that the tokenizer itself puts before every text, if any."""
    bos = tokenizer.bos_token_id
    first: list[int] = tokenizer("a", add_special_tokens=True)["input_ids"][:1]
    return bos if bos is not None and first == [bos] else None

"""Single tokens by name: their text, and the bytes that together are the answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from llava_core.engine.sampling import Choice, TokenNames
from tests.tiny_checkpoint import make_tokenizer


def sentencepiece() -> PreTrainedTokenizerBase:
    """Llama 2's kind: a mark for a space, and bytes for what the vocabulary lacks."""
    words = {"<unk>": 0, "▁a": 1, "▁star": 2, "s": 3, "▁": 4}
    words |= {f"<0x{byte:02X}>": 5 + byte for byte in range(256)}
    backend = Tokenizer(models.BPE(vocab=words, merges=[], unk_token="<unk>", byte_fallback=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")


@given(st.text())
def test_the_bytes_of_all_tokens_are_the_text(text: str) -> None:
    tokenizer = make_tokenizer()
    names = TokenNames(tokenizer)
    ids = tokenizer.encode(text.replace("<", "").replace(":", ""), add_special_tokens=False)
    data = b"".join(names.name(index).data or b"" for index in ids)
    assert data.decode() == text.replace("<", "").replace(":", "")


def test_names_of_a_sentencepiece_tokenizer_keep_spaces_and_bytes() -> None:
    names = TokenNames(sentencepiece())
    assert names.name(2) == (" star", b" star") and names.name(3) == ("s", b"s")
    assert names.name(5 + 0xF0) == ("\ufffd", b"\xf0")
    assert names.name(5 + ord("x")) == ("x", b"x")


def test_special_tokens_and_unknown_ids_add_nothing() -> None:
    tokenizer = make_tokenizer()
    names = TokenNames(tokenizer)
    assert names.name(tokenizer.eos_token_id) == ("</s>", None)
    assert names.name(len(tokenizer) + 7) == ("", None), "models pad their vocabularies"


def test_a_choice_is_named_with_what_stands_beside_it() -> None:
    names = TokenNames(make_tokenizer()).of(Choice(2, -1.0, ((0, -0.5), (2, -1.0))))
    assert {index: name.text for index, name in names.items()} == {0: "<pad>", 2: "</s>"}

"""Which words are marked, and that texts stay what they are."""

from __future__ import annotations

import pytest

from app.ui.compare.differences import LONGEST, differing, marked, words_of


def marks(*texts: str) -> list[list[str]]:
    """The marked words of each text."""
    return [
        [word for word, mark in zip(words_of(text), flags, strict=True) if mark]
        for text, flags in zip(texts, differing(texts), strict=True)
    ]


@pytest.mark.parametrize("text", ["", "A  red\n\ncircle, isn't it?", "红色的圆。", "<b>&amp;</b>"])
def test_words_joined_are_the_text_again(text: str) -> None:
    assert "".join(words_of(text)) == text


def test_words_that_only_one_of_two_has_are_marked() -> None:
    assert marks("A red circle.", "A blue circle!") == [["red"], ["blue"]]
    assert marks("The cat sleeps.", "the cat") == [["sleeps"], []]


def test_of_three_a_word_is_left_alone_only_where_all_have_it() -> None:
    assert marks("a red dog", "a red cat", "a red dog") == [["dog"], ["cat"], ["dog"]]


def test_a_text_without_words_takes_no_part_and_one_alone_differs_from_nothing() -> None:
    assert marks("a dog", "", "a cat") == [["dog"], [], ["cat"]]
    assert marks("a dog", "  \n") == [[], []]


def test_very_long_answers_are_not_compared() -> None:
    assert marks("a " * LONGEST, "b " * LONGEST) == [[], []]


def test_marked_text_is_html_of_the_same_text() -> None:
    text = "<i>A red dog</i>\nruns"
    flags = [word in {"red", "dog"} for word in words_of(text)]
    assert marked(text, flags) == "&lt;i&gt;A <mark>red dog</mark>&lt;/i&gt;<br>runs"

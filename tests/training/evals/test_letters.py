"""Letters read from answers: the published reader to the letter, the robust one beyond it."""

from __future__ import annotations

import pytest

from training.evals.letters import FAILED, published, robust

PLANTS = ("a fern", "moss", "an oak tree")


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("B", 1),
        ("B. moss", 1),
        ("B.", FAILED),  # three characters are wanted
        ("Because moss is small. The answer is B.", 1),
        ("The answer is B", FAILED),  # without the full stop
        ("The answer is A. No, wait. The answer is B.", FAILED),  # two of them
        ("the answer is B.", FAILED),
        ("(B)", FAILED),
        ("The answer is E.", FAILED),  # there are three choices
        ("The answer is Z.", FAILED),
        ("D", FAILED),
        ("AB", FAILED),
        ("b", FAILED),
        ("", FAILED),
        (" B", FAILED),
    ],
)
def test_the_published_reader(text: str, index: int) -> None:
    assert published(text, PLANTS) == index


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("B", 1),
        ("b", 1),
        (" (B) ", 1),
        ("B)", 1),
        ("**C**", 2),
        ("B. moss", 1),
        ("(c) an oak tree", 2),
        ("Answer: B", 1),
        ("The correct option is (c).", 2),
        ("the answer is b", 1),
        ("ANSWER: C.", 2),
        ("The answer is A. No, wait. The answer is B.", 1),
        ("Option C is right.", 2),
        ("moss", 1),
        ("The answer is moss.", 1),
        ("The answer is an oak tree.", 2),
        ("It has no seeds, so it is (B).", 1),
        ("Either (A) or (B).", FAILED),
        ("The answer is a plant that I cannot name.", FAILED),
        ("The answer is E.", FAILED),
        ("I do not know.", FAILED),
        ("", FAILED),
    ],
)
def test_the_robust_reader(text: str, index: int) -> None:
    assert robust(text, PLANTS) == index


def test_both_agree_wherever_the_published_one_reads_a_letter() -> None:
    for text in ("A", "B. moss", "Long talk of ferns. The answer is C.", "A. The answer is A."):
        assert published(text, PLANTS) == robust(text, PLANTS) != FAILED

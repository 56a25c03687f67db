"""Replies: their form, and every rule that keeps one out."""

from __future__ import annotations

import pytest

from training.generation.checks import REASONS, Checker, Rejected
from training.generation.drawn import drawn_reply
from training.generation.objects import Objects
from training.generation.prompts import KINDS, Prompts, load_prompts
from training.generation.replies import FormError, Pair, read_pairs, write_pairs
from training.generation.source import Instance, Subject, categories, read_source

DOG = Subject(0, "a", "a.jpg", ("A puppy on a couch.",), (Instance("dog", (0, 0, 1, 1)),))


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return load_prompts(KINDS, None)


@pytest.fixture(scope="module")
def checker(prompts: Prompts) -> Checker:
    return Checker(Objects(prompts.objects))


def pair(question: str, answer: str) -> str:
    return write_pairs([Pair(question, answer)])


@pytest.mark.parametrize(
    "text",
    [
        "Question:\nWhat?\n===\nAnswer:\nThat.\n===\nQuestion:\nWhy?\n===\nAnswer:\nSo.\n===",
        "Question: What?\n===\nAnswer: That.\n===\nQuestion: Why?\n===\nAnswer: So.",
        "**Question:** What?\n=====\n**Answer:** That.\n===\nQUESTION 2:\nWhy?\n===\nanswer: So.\n",
    ],
)
def test_the_form(text: str) -> None:
    assert read_pairs(text) == [Pair("What?", "That."), Pair("Why?", "So.")]
    assert read_pairs(write_pairs(read_pairs(text))) == read_pairs(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "form"),
        ("A dog.", "form"),
        ("Question:\nWhat?\nAnswer:\nThat.\n===", "form"),
        ("Answer:\nThat.\n===\nQuestion:\nWhat?", "roles"),
        ("Question:\nWhat?\n===\nQuestion:\nWhy?\n===\nAnswer:\nSo.", "roles"),
        ("Question:\nWhat?\n===\n", "roles"),
    ],
)
def test_other_forms(text: str, reason: str) -> None:
    with pytest.raises(FormError) as caught:
        read_pairs(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I'm sorry, but I can't see it.", "refused"),
        ("It is a dog.", "form"),
        (pair("What?", "  "), "empty turn"),
        (pair("?", "A dog."), "empty turn"),
        (pair("What?", "See <image>."), "placeholder"),
        (pair("What?", "A dog.") + "\n" + pair("what", "A puppy."), "repeated turn"),
        (pair("What?", "The captions tell of a dog."), "source"),
        (pair("What?", "Based on the description, it is a dog."), "source"),
        (pair("What?", "The bounding box shows it on the left."), "source"),
        (pair("What?", "The sentences do not say so."), "source"),
        (pair("Where?", "It is at [0.1, 0.2, 0.35, 0.5]."), "coordinates"),
        (pair("Where?", "Around 0.35 from the left."), "coordinates"),
        (pair("What?", "Two cats lie beside the dog."), "unknown object"),
        (pair("What?", "You can see a zebra there."), "unknown object"),
        (pair("What?", "There is no bed. A man sits there."), "unknown object"),
    ],
)
def test_what_is_rejected(checker: Checker, text: str, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        checker.read("conversation", DOG, text)
    assert caught.value.reason == reason and reason in REASONS


@pytest.mark.parametrize(
    "answer",
    [
        "A dog lies on the sofa.",
        "No, there is no cat.",
        "It might wait for a person. If a cat came, it would bark.",
        "The dog is 3.5 times as long as it is high.",
        "A cardboard box? No. It lies on a couch.",
    ],
)
def test_what_passes(checker: Checker, answer: str) -> None:
    assert checker.read("conversation", DOG, pair("What?", answer)) == [Pair("What?", answer)]


def test_a_picture_of_a_caption_may_be_told_of(checker: Checker) -> None:
    subject = Subject(0, "a", "a.jpg", ("A photo with the caption love.",))
    assert checker.read("conversation", subject, pair("What?", "It has a caption: love."))
    with pytest.raises(Rejected):
        checker.read("conversation", subject, pair("What?", "The annotations say love."))


def test_a_description_is_the_answer_alone(checker: Checker) -> None:
    assert checker.read("detail", DOG, "A dog.\n\nIt rests.\n", "Describe it.") == [
        Pair("Describe it.", "A dog.\n\nIt rests.")
    ]
    with pytest.raises(Rejected, match="headings"):
        checker.read("detail", DOG, pair("What?", "A dog."), "Describe it.")


def test_things_by_the_longest_words_and_in_the_plural(prompts: Prompts) -> None:
    objects = Objects(prompts.objects, ["gnome"])
    assert objects.named("Two hot dogs, three knives and some gnomes") == {
        "hot dog",
        "knife",
        "gnome",
    }
    assert objects.named("concatenated, orange") == set()
    assert Objects({}).named("a dog") == set()


def test_our_own_examples_pass_our_own_checks(prompts: Prompts, checker: Checker) -> None:
    for kind, prompt in prompts.by_kind.items():
        assert len(prompt.examples) >= 2
        for example in prompt.examples:
            captions, _, boxes = example.context.strip().partition("\n\n")
            assert bool(boxes) == prompt.boxes
            instances = tuple(
                Instance(line.split(":")[0], (0, 0, 1, 1)) for line in boxes.splitlines()
            )
            subject = Subject(0, "a", "a.jpg", tuple(captions.splitlines()), instances)
            question = prompt.questions[0] if kind == "detail" else ""
            assert checker.read(kind, subject, example.written, question)


def test_the_rules_of_the_drawn_world_pass_the_checks(prompts: Prompts) -> None:
    subjects = read_source("scenes:60", None, 1).subjects
    checker = Checker(Objects(prompts.objects, categories(subjects)))
    told = 0
    for subject in subjects:
        for kind in KINDS:
            text = drawn_reply(kind, subject, 1)
            assert text == drawn_reply(kind, subject, 1)
            if text is not None:
                told += len(checker.read(kind, subject, text, "Tell." if kind == "detail" else ""))
    assert told > 200

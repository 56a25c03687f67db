"""The concept-balanced choice: the paper's rule on counts made by hand, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.balance_captions import main
from training.concepts import Concepts, balance
from training.noun_phrases import noun_phrases_by


def concepts(*captions: str) -> Concepts:
    """Captions whose phrases are single words."""
    found = Concepts()
    for caption in captions:
        found.add(caption.split())
    return found


def test_noun_phrases_without_a_download() -> None:
    phrases = noun_phrases_by("textblob")
    caption = "A large brown dog and two small cats sit on the wooden bench near a tree."
    assert phrases(caption) == {"large brown dog", "small cats", "wooden bench", "tree"}
    assert phrases("a man riding a wave") == {"man", "wave"}
    assert phrases("A dog/wolf, his dog") >= {"dog"}
    assert phrases("it is running") == phrases("") == frozenset()


def test_the_rule_step_by_step() -> None:
    # dog: 3 captions, sea: 5, sky: 6, once: 1
    captions = ["dog sea", "dog", "dog once", "sea", "sea", "sea sky", "sea", *["sky"] * 5, ""]
    choice = balance(concepts(*captions), rarest=3, most=5, seed=1)
    assert choice.chosen[:7] == [0, 1, 2, 3, 4, 5, 6]  # all of dog and sea
    assert len([number for number in choice.chosen if 7 <= number < 12]) in (4, 5)  # 5 of 6 skies
    assert 12 not in choice.chosen
    assert [step.number for step in choice.steps] == [13, 1, 4, 1, 2, 7, 1, len(choice.chosen)]


def test_a_frequent_phrase_gives_so_many_and_the_seed_draws_them() -> None:
    every = concepts(*["sky"] * 300)
    first = balance(every, seed=1)
    assert len(first.chosen) == 100 == len(set(first.chosen))
    assert balance(every, seed=1) == first
    assert balance(every, seed=2).chosen != first.chosen


def test_a_caption_counts_once_for_a_phrase() -> None:
    twice = concepts("dog dog", "dog")
    with_two = balance(twice, rarest=3)
    assert with_two.chosen == []
    assert balance(twice, rarest=2).chosen == [0, 1]


def record(number: int, caption: str) -> dict[str, object]:
    return {
        "id": f"c{number}",
        "image": f"{number}.jpg",
        "conversations": [
            {"from": "human", "value": "<image>\nTell."},
            {"from": "gpt", "value": caption},
        ],
    }


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    captions = ["A red ball."] * 8 + ["A quiet lake."] * 3 + ["A café."] * 2
    records = [record(n, caption) for n, caption in enumerate(captions)]
    (tmp_path / "pairs.json").write_text(json.dumps(records))
    out = tmp_path / "chosen.json"
    arguments = [str(tmp_path / "pairs.json"), "--out", str(out), "--most", "5"]
    assert main([*arguments, "--phrases", "textblob"]) == 0
    chosen = json.loads(out.read_text())
    assert len(chosen) == 8 and all(record in records for record in chosen)
    assert [record["id"] for record in chosen][-3:] == ["c8", "c9", "c10"]
    told = capsys.readouterr().out
    assert "rarer than 3, skipped" in told and f"8 records in {out}" in told


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id": 1, "caption": " "}', 'record 1: its caption is " "'),
        ('{"id": 1}', 'record 1: "conversations" is missing'),
        ("{", "is not JSON"),
        ('{"id": 1, "caption": "One lake."}', "no noun phrase is in 3 of 2 captions"),
    ],
)
def test_wrong_records(
    tmp_path: Path, line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"id": 0, "caption": "A dog."}\n' + line + "\n")
    assert main([str(path), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()

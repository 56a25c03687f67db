"""ScienceQA's table: columns, failures, files as they are published, ensembles, mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llava_core.training.records import DataError
from tests.training.evals import science_world
from training.evals.ensembles import Two, complement, judge_question, judged, upper_bound
from training.evals.letters import FAILED, published, robust
from training.evals.science_gold import COLUMNS, GoldFile, read_gold
from training.evals.science_scores import PUBLISHED, Predictions, read_predictions, score
from training.evaluate import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return science_world.write(tmp_path / "ScienceQA")


@pytest.fixture
def gold(folder: Path) -> GoldFile:
    return read_gold(folder)


def right_texts(gold: GoldFile) -> dict[str, str]:
    return {each.id: science_world.said(each.id, each.answer) for each in gold.problems}


def test_the_split_is_walked_in_its_order(gold: GoldFile) -> None:
    assert [each.id for each in gold.problems][:2] == ["40", "39"]
    assert len(gold.problems) == 36 and gold.columns == COLUMNS


def test_all_right_is_100_everywhere(gold: GoldFile) -> None:
    scores = score(gold, Predictions("m", right_texts(gold)), published)
    assert {s.percent for s in scores.columns.values()} == {100.0}
    assert (scores.missing, scores.failed) == (0, 0)


def test_columns_by_hand(gold: GoldFile) -> None:
    # Wrong where there is a picture, missing for problem 7, without a letter for problem 8.
    texts = right_texts(gold)
    by_id = {each.id: each for each in gold.problems}
    for name, each in by_id.items():
        if each.has_image:
            texts[name] = science_world.said(name, (each.answer + 1) % len(each.choices))
    del texts["7"]
    texts["8"] = "I cannot tell."
    scores = score(gold, Predictions("m", texts), published)
    wrong = {"5", "10", "15", "20", "25", "30", "35", "40", "7", "8"}
    for column, names in {
        "NAT": [n for n in range(5, 41) if n % 3 == 0],
        "SOC": [n for n in range(5, 41) if n % 3 == 1],
        "LAN": [n for n in range(5, 41) if n % 3 == 2],
        "TXT": [n for n in range(5, 41) if n % 2],
        "IMG": [n for n in range(5, 41) if n % 5 == 0],
        "NO": [n for n in range(5, 41) if n % 2 == 0 and n % 5],
        "G1-6": [n for n in range(5, 41) if n % 12 + 1 <= 6],
        "G7-12": [n for n in range(5, 41) if n % 12 + 1 > 6],
        "all": list(range(5, 41)),
    }.items():
        expected = 100 * sum(str(n) not in wrong for n in names) / len(names)
        assert scores.columns[column].percent == pytest.approx(expected), column
        assert scores.columns[column].number == len(names)
    assert (scores.missing, scores.failed) == (1, 1)
    assert scores.choices["7"] == scores.choices["8"] == FAILED


def test_the_interval_holds_the_score_and_comes_again(gold: GoldFile) -> None:
    texts = {name: text for name, text in right_texts(gold).items() if int(name) % 3}
    first, again = (score(gold, Predictions("m", texts), published, seed=3) for _ in range(2))
    found = first.columns["all"]
    assert found.low < found.percent < found.high
    assert first.columns == again.columns


def test_readers_differ_where_they_should(gold: GoldFile) -> None:
    texts = {each.id: f"Answer: {'abcde'[each.answer]}" for each in gold.problems}
    strict = score(gold, Predictions("m", texts), published)
    assert strict.columns["all"].percent == 0 and strict.failed == 36
    assert score(gold, Predictions("m", texts), robust).columns["all"].percent == 100


def test_what_the_gold_file_does_not_tell_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "gold.json"
    path.write_text(json.dumps({"a": 1, "b": "C", "c": {"answer": 0, "choices": ["x", "y"]}}))
    gold = read_gold(path)
    assert gold.columns == ("all",)
    texts = {"a": "The answer is B.", "b": "The answer is C.", "c": "The answer is E."}
    scores = score(gold, Predictions("m", texts), published)
    assert scores.columns["all"].percent == pytest.approx(200 / 3) and scores.failed == 1
    bare = {name: {k: p[k] for k in ("answer", "subject")} for name, p in _some().items()}
    path.write_text(json.dumps(bare))
    assert read_gold(path).columns == ("NAT", "SOC", "LAN", "all")


def _some() -> dict[str, dict[str, Any]]:
    return science_world.problems()


def test_the_published_result_file_is_scored_as_it_is(gold: GoldFile, tmp_path: Path) -> None:
    texts = right_texts(gold)
    with_texts = science_world.result_file(tmp_path / "llava.json", texts)
    assert score(gold, read_predictions(with_texts, gold), published).columns["all"].percent == 100
    indices = {each.id: each.answer for each in gold.problems}
    without = science_world.result_file(tmp_path / "bare.json", {}, indices)
    assert score(gold, read_predictions(without, gold), published).columns["all"].percent == 100
    lines = tmp_path / "answers.jsonl"
    rows = [{"question_id": n, "text": t, "model_id": "mine"} for n, t in texts.items()]
    lines.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    read = read_predictions(lines, gold)
    assert read.name == "mine" and score(gold, read, published).columns["all"].percent == 100


@pytest.fixture
def two(gold: GoldFile) -> Two:
    """The model is right but for 5 to 10; the helper but for 9 to 14 and has nothing for 20."""
    model, helper = right_texts(gold), right_texts(gold)
    by_id = {each.id: each for each in gold.problems}
    for texts, names in ((model, range(5, 11)), (helper, range(9, 15))):
        for number in names:
            each = by_id[str(number)]
            wrong = (each.answer + 1) % len(each.choices)
            texts[each.id] = science_world.said(each.id, wrong)
    helper["20"] = "I do not know."
    return Two.of(gold, Predictions("llava", model), Predictions("gpt", helper), published)


def test_ensembles(two: Two) -> None:
    # complement: the helper's, so 9 to 14 are wrong, and 20 is the model's.
    assert complement(two, 0, guess=False).columns["all"].percent == pytest.approx(100 * 30 / 36)
    assert sorted(int(each.id) for each in two.disputed) == [5, 6, 7, 8, 11, 12, 13, 14, 20]
    # both are wrong in 9 and 10, and agree: nobody asks.
    verdicts = {each.id: science_world.said(each.id, each.answer) for each in two.disputed}
    verdicts["5"] = "Hard to tell."  # the model's own answer stays, which is wrong
    judge = judged(two, verdicts, published, 0, guess=False)
    assert judge.columns["all"].percent == pytest.approx(100 * 33 / 36)
    assert upper_bound(two, 0).columns["all"].percent == pytest.approx(100 * 34 / 36)


def test_guesses_are_counted_and_come_again(gold: GoldFile) -> None:
    nothing = Predictions("m", {each.id: "?" for each in gold.problems})
    two = Two.of(gold, nothing, nothing, published)
    first, again = (complement(two, seed=5, guess=True) for _ in range(2))
    assert first.guessed == 36 and first.failed == 36 and first.choices == again.choices
    assert FAILED not in first.choices.values()
    assert complement(two, seed=5, guess=False).columns["all"].percent == 0


def test_the_judge_sees_question_options_and_both_answers(two: Two) -> None:
    template = "{question}\n1: {model}\n2: {helper}"
    each = next(each for each in two.disputed if each.id == "20")
    asked = judge_question(each, two, template)
    assert "Which one of 20?" in asked and "(A) choice a20" in asked
    assert "1: Lecture of 20. The answer is" in asked and "2: I do not know." in asked


def test_an_answer_with_a_place_holder_stays_itself(two: Two) -> None:
    two.model.texts["20"] = "{helper}"
    each = next(each for each in two.disputed if each.id == "20")
    assert judge_question(each, two, "{model}|{helper}") == "{helper}|I do not know."


def test_published_rows_have_all_columns() -> None:
    assert {len(values) for values in PUBLISHED.values()} == {len(COLUMNS)}
    assert PUBLISHED["LLaVA + GPT-4, judge"][-1] == 92.53


def test_the_command_prints_the_table_and_writes_json(
    folder: Path, gold: GoldFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = science_world.result_file(tmp_path / "llava.json", right_texts(gold))
    helper = science_world.result_file(tmp_path / "gpt.json", {"40": "The answer is A."})
    words = ["science-qa", "--gold", folder, "--predictions", model, "--helper", helper]
    words += ["--result", tmp_path / "result.json"]
    assert main([str(word) for word in words]) == 0
    told = capsys.readouterr().out
    assert "100.00" in told and "92.53" in told and "upper bound" in told
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["figures"]["all"]["percent"] == 100 and result["model"] == "llava"
    assert result["published"]["GPT-4"]["G7-12"] == 79.10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"problems.json": "[1]"}, "not a JSON object"),
        ({"problems.json": "{"}, "not JSON"),
        ({"problems.json": json.dumps({"5": {"choices": ["a"], "answer": 1}})}, "problem 40"),
        ({"pid_splits.json": json.dumps({"train": []})}, "no split 'test'"),
        ({"pid_splits.json": json.dumps({"test": []})}, "no problem of split"),
    ],
)
def test_mistakes_of_gold_files(folder: Path, change: dict[str, str], words: str) -> None:
    for name, text in change.items():
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=words):
        read_gold(folder)


def test_wrong_answers_in_gold_are_named_by_number(tmp_path: Path) -> None:
    path = tmp_path / "gold.json"
    path.write_text(json.dumps({"a": 0, "b": {"answer": 2, "choices": ["x", "y"]}}))
    with pytest.raises(DataError, match=r"record 1: the answer to problem b .* is 2"):
        read_gold(path)
    path.write_text(json.dumps({"a": {"choices": ["x"]}}))
    with pytest.raises(DataError, match=r"record 0: .*no answer"):
        read_gold(path)


def test_predictions_for_another_split_are_refused(gold: GoldFile, tmp_path: Path) -> None:
    path = science_world.result_file(tmp_path / "p.json", {"40": "A", "1": "The answer is A."})
    with pytest.raises(DataError, match=r"record 1: .*'1', which is not asked for \(1 of 2"):
        read_predictions(path, gold)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"question_id": 1}\n', "without 'text'"),
        ('{"question_id": 40, "text": "A"}\n{"question_id": 40, "text": "B"}\n', "twice"),
        ('{"question_id": 40, "text": "A"}\nbroken\n', "record 1: .*not JSON"),
        ('"A"\n', "in place of an answer"),
    ],
)
def test_mistakes_of_predictions(gold: GoldFile, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_predictions(path, gold)


def test_files_that_are_no_predictions(gold: GoldFile, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    for content in ({"40": 3}, {"results": {"40": "A"}}, {"outputs": []}, 7):
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match="no predictions"):
            read_predictions(path, gold)
    with pytest.raises(DataError, match="cannot be read"):
        read_predictions(tmp_path / "none.json", gold)

"""A judge over HTTP: what it is asked, how replies are read, and that nothing is asked twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llava_core.training.records import DataError
from tests.scripted_endpoint import Asked, ScriptedEndpoint, Step
from tests.training.evals import science_world
from training.evals.judging import context_text, read_contexts, read_named, read_rules
from training.evaluate import main


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def bench(tmp_path: Path) -> list[str]:
    """Two pictures, three questions each, as a command line; the URL is added by the test."""
    categories = ("conv", "detail", "complex")
    questions = [
        {
            "question_id": n,
            "image": f"{n % 2}.jpg",
            "text": f"Q{n}?",
            "category": categories[n // 2],
        }
        for n in range(6)
    ]
    contexts = [
        {
            "image": "0.jpg",
            "captions": ["A cat sits.", "A cat on a mat."],
            "instances": [{"category": "cat", "bbox": [0.1, 0.2, 0.5, 1]}],
        },
        {"image": "1.jpg", "caption": "A dog runs."},
    ]
    files = {
        "questions": questions,
        "context": contexts,
        "reference": [{"question_id": n, "text": f"R{n}.", "answer_id": f"r{n}"} for n in range(6)],
        "answers": [
            {"question_id": n, "text": f"C{n}.", "answer_id": f"c{n}", "model_id": "tiny"}
            for n in range(6)
        ],
    }
    words = ["judge"]
    for name, rows in files.items():
        words += [f"--{name}", str(write(tmp_path / f"{name}.jsonl", rows))]
    return [*words, "--judge-model", "strict", "--out", str(tmp_path / "reviews.jsonl")]


def reviews(bench: list[str]) -> list[dict[str, Any]]:
    path = Path(bench[bench.index("--out") + 1])
    return [json.loads(line) for line in path.read_text().splitlines()]


def grade(asked: Asked) -> str:
    """The reference gets 10, the candidate 5, wherever they stand."""
    first = asked.question.split("[Assistant 1]\n")[1]
    return "10 5\nThe first is better." if first.startswith("R") else "5 10\nThe second is."


def test_composition_scores_and_record(
    bench: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEndpoint(grade) as endpoint:
        words = [*bench, "--judge", endpoint.url, "--swap", "--result", str(tmp_path / "r.json")]
        assert main(words) == 0
        first = next(a for a in endpoint.asked if "Q0?" in a.question and "\nR0." in a.question)
        system = first.body["messages"][0]["content"]
        assert len(endpoint.asked) == 12
    assert first.question.startswith(
        "[Context]\nA cat sits.\nA cat on a mat.\n\ncat: [0.100, 0.200, 0.500, 1.000]\n\n"
        "[Question]\nQ0?\n\n[Assistant 1]\n"
    )
    assert "[End of Assistant 2]\n\n[System]\n" in first.question and "grade" in system
    rows = reviews(bench)
    assert len(rows) == 12 and {tuple(row["tuple"]) for row in rows} == {(10, 5)}
    assert rows[0]["answer1_id"] == "r0" and rows[0]["answer2_id"] == "c0"
    assert rows[1]["metadata"]["swapped"] and rows[0]["metadata"]["judge"]["model"] == "strict"
    assert capsys.readouterr().out.count("50.0") >= 4  # three categories, and all
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["model"] == "tiny" and result["figures"]["all"]["number"] == 6
    assert result["settings"]["judge"] == "strict"


def test_unreadable_replies_are_counted_and_left_out(
    bench: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(asked: Asked) -> str:
        return "I would rather not." if "Q1?" in asked.question else grade(asked)

    with ScriptedEndpoint(answer) as endpoint:
        assert main([*bench, "--judge", endpoint.url]) == 0
    told = capsys.readouterr().out
    assert "1 replies could not be read" in told and "50.0" in told
    assert [row["tuple"] for row in reviews(bench) if row["question_id"] == 1] == [[-1, -1]]


def test_trouble_is_survived_and_nothing_is_asked_twice(bench: list[str]) -> None:
    def script(asked: Asked) -> Step:
        if asked.attempt == 1 and "Q2?" in asked.question:
            return Step(status=429, headers={"Retry-After": "0"})
        if asked.attempt == 1 and "Q3?" in asked.question:
            return Step(cut=True)
        return Step(status=400, text="no") if "Q4?" in asked.question else Step()

    with ScriptedEndpoint(grade, script) as endpoint:
        words = [*bench, "--judge", endpoint.url, "--first-wait", "0.01"]
        assert main(words) == 1  # one question has no review
        assert len(reviews(bench)) == 5
        before = len(endpoint.asked)
        endpoint.script = lambda asked: Step()
        assert main(words) == 0
        assert len(endpoint.asked) == before + 1 and "Q4?" in endpoint.asked[-1].question
    assert [row["question_id"] for row in reviews(bench)] == list(range(6))


def test_a_budget_that_runs_out_goes_on_later(
    bench: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEndpoint(grade) as endpoint:
        words = [*bench, "--judge", endpoint.url, "--price-out", "1000", "--max-tokens", "10"]
        words += ["--at-once", "1"]
        assert main([*words, "--budget", "0.03"]) == 1
        assert "The budget of 0.03 does not last" in capsys.readouterr().err
        assert 0 < len(endpoint.asked) < 6
        assert main([*words, "--budget", "1"]) == 0
        assert len(endpoint.asked) == 6


def test_nobody_there(bench: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*bench, "--judge", "http://127.0.0.1:9/v1", "--attempts", "1"]) == 1
    assert "Nobody answers" in capsys.readouterr().err


def test_a_live_judge_settles_where_two_solvers_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = science_world.write(tmp_path / "ScienceQA")
    problems = science_world.problems()
    right = {n: science_world.said(n, problems[n]["answer"]) for n in map(str, range(5, 41))}
    wrong = right | {n: science_world.said(n, 1 - problems[n]["answer"] % 2) for n in ("6", "10")}
    model = science_world.result_file(tmp_path / "llava.json", wrong)
    helper = science_world.result_file(tmp_path / "gpt.json", right)

    def answer(asked: Asked) -> str:
        second = asked.question.split("Solver 2 wrote:\n")[1]
        return f"I follow the second. {second.splitlines()[0]}"

    with ScriptedEndpoint(answer) as endpoint:
        words = ["science-qa", "--gold", folder, "--predictions", model, "--helper", helper]
        words += ["--judge", endpoint.url, "--judge-model", "j", "--replies", tmp_path / "r.jsonl"]
        assert main([str(word) for word in words]) == 0
        asked = {each.question.split("of ")[1].split("?")[0] for each in endpoint.asked}
    assert asked <= {"6", "10"} and asked
    assert "llava + gpt, judge: 100.00" in capsys.readouterr().out


def test_rules_are_checked_and_published_names_found(tmp_path: Path) -> None:
    rules = read_rules()
    assert rules.of("llava_bench_conv") == rules.of("conv")
    assert rules.of("something new") == rules.of("default")
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"conv": {"role": "Assistant"}}))
    with pytest.raises(DataError, match=r"'conv' .* lacks role or prompt"):
        read_rules(path)
    path.write_text(json.dumps({"conv": {"role": "Model", "prompt": "Grade."}}))
    with pytest.raises(DataError, match="no rule for category 'detail'"):
        read_rules(path).of("detail")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"image": "a"}, "record 0: .*tells nothing about a"),
        ({"image": "a", "captions": ["", " "]}, "record 0: .*tells nothing"),
        (
            {
                "image": "a",
                "captions": ["x"],
                "instances": [{"category": "c", "bbox": [0, 0, 2, 1]}],
            },
            "record 0: .*outside of its picture",
        ),
        ({"image": "a", "captions": ["x"], "instances": [{"category": "c"}]}, "record 0: .*a box"),
        ({"captions": ["x"]}, "without 'image'"),
    ],
)
def test_contexts_are_checked(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_contexts(write(tmp_path / "c.jsonl", [row]))


def test_one_caption_is_a_context() -> None:
    assert context_text({"image": "a", "caption": "A dog."}, Path("c"), 0) == "A dog."


def test_answers_must_be_to_these_questions_and_all_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"question_id": 1, "text": "x"}])
    with pytest.raises(DataError, match=r"no answer to question '2' \(1 are missing\)"):
        read_named(path, ["1", "2"], "answer")
    with pytest.raises(DataError, match="'1', which is not asked for"):
        read_named(path, ["2"], "answer")

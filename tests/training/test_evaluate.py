"""A checkpoint's answers to a data set, and to a question file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llava_core.training.records import DataError
from training.evaluate import questions_in
from training.picture_set import make_set

STAGE2 = Path(__file__).resolve().parents[2] / "assets" / "checkpoints" / "llava-tiny-stage2"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    make_set(folder, number=6, held_out=6, seed=1)
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_set_is_the_same_for_the_same_seed(shapes: Path, tmp_path: Path) -> None:
    make_set(tmp_path, number=6, held_out=6, seed=1)
    for name in ("captions.json", "conversations.json", "held_out.json", "pictures/000003.png"):
        assert (tmp_path / name).read_bytes() == (shapes / name).read_bytes()
    captions = json.loads((shapes / "captions.json").read_text())
    assert len(captions) == 6 and all((shapes / "pictures" / c["image"]).exists() for c in captions)


def test_every_question_follows_the_answers_in_the_data(shapes: Path, tmp_path: Path) -> None:
    asked = list(questions_in(shapes / "conversations.json", shapes / "pictures", tmp_path))
    records = json.loads((shapes / "conversations.json").read_text())
    assert len(asked) == sum(len(record["conversations"]) // 2 for record in records)
    later = next(each for each in asked if each.metadata["turn"] == 1)
    assert [m.role for m in later.question.conversation.messages] == ["user", "assistant", "user"]
    assert len(later.question.conversation.images) == 1


def test_answers_are_kept_and_not_asked_again(shapes: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    common = (STAGE2, shapes / "held_out.json", "--images", shapes / "pictures")
    common = (*common, "--output", output, "--cache", tmp_path / "cache")
    first = run(*common, "--limit", 2)
    assert first.returncode == 0 and "2 questions answered" in first.stdout, first.stderr
    kept = [json.loads(line) for line in output.read_text().splitlines()]
    assert set(kept[0]) == {
        *("question_id", "prompt", "text", "answer_id", "model_id", "metadata"),
    }
    kept[0]["text"] = "never said"
    output.write_text("".join(f"{json.dumps(line)}\n" for line in kept) + '{"half')
    again = run(*common, "--limit", 3)
    assert "3 questions answered" in again.stdout and "right word for word" in again.stdout
    assert json.loads(output.read_text().splitlines()[0])["text"] == "never said"


def test_a_question_file_is_answered(shapes: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    lines = [
        {"question_id": 1, "image": "000000.png", "text": "What is it?", "category": "conv"},
        {"question_id": 2, "text": "Hello."},
    ]
    questions.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    output = tmp_path / "answers.jsonl"
    done = run(STAGE2, questions, "--images", shapes / "pictures", "--output", output)
    assert "2 questions answered" in done.stdout and "word for word" not in done.stdout
    first = json.loads(output.read_text().splitlines()[0])
    assert first["question_id"] == "1" and first["metadata"] == {"category": "conv"}


def test_what_cannot_be_read_is_said(shapes: Path, tmp_path: Path) -> None:
    gone = run(STAGE2, shapes / "held_out.json", "--images", tmp_path, "--limit", 1)
    assert gone.returncode == 1 and "png" in gone.stderr and "Traceback" not in gone.stderr
    strange = tmp_path / "strange.jsonl"
    strange.write_text('{"a": 1}\n')
    with pytest.raises(DataError, match="record 0"):
        list(questions_in(strange, tmp_path, tmp_path))

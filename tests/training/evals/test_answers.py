"""A checkpoint's answers to a data set, and to a question file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from llava_core.conversation import Conversation, user
from llava_core.errors import CoreError
from llava_core.loading import load_checkpoint
from llava_core.training.records import DataError
from tests.scripted_endpoint import Asked, ScriptedEndpoint
from training.evals.answering import Answerer
from training.evals.asking import questions_in
from training.evaluate import main
from training.picture_set import make_set

STAGE2 = Path(__file__).resolve().parents[3] / "assets" / "checkpoints" / "llava-tiny-stage2"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    make_set(folder, number=6, held_out=6, seed=1)
    return folder


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command ``answers`` in this process: starting others takes most of the time."""

    def start(*arguments: object) -> Done:
        capsys.readouterr()
        code = main(["answers", *map(str, arguments)])
        return Done(code, *capsys.readouterr())

    return start


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
    assert [m.role for m in later.conversation.messages] == ["user", "assistant", "user"]
    assert len(later.conversation.images) == 1


def test_answers_are_kept_and_not_asked_again(shapes: Path, tmp_path: Path, run: Run) -> None:
    output = tmp_path / "answers.jsonl"
    common = (shapes / "held_out.json", "--model", STAGE2, "--images", shapes / "pictures")
    common = (*common, "--out", output, "--cache", tmp_path / "cache")
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
    assert len(output.read_text().splitlines()) == 3


def test_a_question_file_is_answered(shapes: Path, tmp_path: Path, run: Run) -> None:
    questions = tmp_path / "questions.jsonl"
    lines = [
        {"question_id": 1, "image": "000000.png", "text": "What is it?", "category": "conv"},
        {"question_id": 2, "text": "Hello."},
    ]
    questions.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    output = tmp_path / "answers.jsonl"
    cache = tmp_path / "cache"
    done = run(
        *(questions, "--model", STAGE2, "--images", shapes / "pictures"),
        *("--out", output, "--cache", cache),
    )
    assert "2 questions answered" in done.stdout and "word for word" not in done.stdout
    first = json.loads(output.read_text().splitlines()[0])
    assert first["question_id"] == "1" and first["metadata"] == {"category": "conv"}


def test_what_cannot_be_read_is_said(shapes: Path, tmp_path: Path, run: Run) -> None:
    gone = run(
        *(shapes / "held_out.json", "--model", STAGE2, "--images", tmp_path, "--limit", 1),
        *("--out", tmp_path / "a.jsonl", "--cache", tmp_path / "cache"),
    )
    assert gone.returncode == 1 and "png" in gone.stderr and "Traceback" not in gone.stderr
    strange = tmp_path / "strange.jsonl"
    strange.write_text('{"a": 1}\n')
    with pytest.raises(DataError, match="record 0"):
        list(questions_in(strange, tmp_path, tmp_path))


def test_ids_that_come_twice_are_refused_for_questions_and_numbered_for_records(
    shapes: Path, tmp_path: Path
) -> None:
    twice = tmp_path / "twice.jsonl"
    twice.write_text('{"question_id": 1, "text": "?"}\n' * 2)
    with pytest.raises(DataError, match="record 1: question_id '1' is that of record 0"):
        list(questions_in(twice, tmp_path, tmp_path))
    records = json.loads((shapes / "held_out.json").read_text())[:1]
    (tmp_path / "same.json").write_text(json.dumps(records * 2))
    asked = list(questions_in(tmp_path / "same.json", shapes / "pictures", tmp_path))
    assert len({each.id for each in asked}) == len(asked)


def test_answers_do_not_depend_on_how_many_are_asked_at_once(shapes: Path, tmp_path: Path) -> None:
    asked = list(questions_in(shapes / "held_out.json", shapes / "pictures", tmp_path))[:10]
    conversations = [(each.id, each.conversation) for each in asked]
    alone, together = (
        dict(Answerer(load_checkpoint(str(STAGE2), "32bit"), batch, 48).answers(conversations))
        for batch in (1, 7)
    )
    assert alone == together and len(set(alone.values())) > 3
    assert sorted(alone) == sorted(each.id for each in asked)


def test_a_question_that_is_too_long_is_named(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(STAGE2), "32bit")
    long = Conversation((user("why " * 3000),))
    with pytest.raises(CoreError, match=r"question 'q7': .* tokens"):
        list(Answerer(checkpoint).answers([("q7", long)]))


def test_an_endpoint_is_asked_with_its_pictures(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(asked: Asked) -> str:
        parts = asked.body["messages"][0]["content"]
        kinds = [part["type"] for part in parts]
        return f"{kinds} {asked.question}"

    with ScriptedEndpoint(answer) as endpoint:
        words = [shapes / "held_out.json", "--images", shapes / "pictures", "--limit", 3]
        words += ["--endpoint", endpoint.url, "--model", "far", "--out", tmp_path / "a.jsonl"]
        words += ["--cache", tmp_path / "cache"]
        assert main(["answers", *map(str, words)]) == 0
        assert main(["answers", *map(str, words)]) == 0
        assert len(endpoint.asked) == 3  # nothing is asked twice
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["model_id"] for row in rows] == ["far"] * 3
    assert rows[0]["text"].startswith("['image_url', 'text']")
    assert "3 questions answered by far, 0 of 3" in capsys.readouterr().out


def test_a_wrong_key_stops_at_once(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEndpoint(key="right") as endpoint:
        words = [shapes / "held_out.json", "--images", shapes / "pictures", "--at-once", 1]
        words += ["--endpoint", endpoint.url, "--model", "far", "--out", tmp_path / "a.jsonl"]
        assert main(["answers", *map(str, words), "--cache", str(tmp_path / "cache")]) == 1
        assert len(endpoint.asked) == 1
    assert "refuses the key" in capsys.readouterr().err

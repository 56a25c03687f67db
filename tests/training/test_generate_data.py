"""The command from source to training JSON: with rules, and with a teacher over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.scripted_endpoint import Asked, ScriptedEndpoint, Step
from tests.scripted_teacher import WRONG, moody, teach
from tests.servers import free_port
from training import check
from training.endpoint import flags
from training.endpoint.client import Address
from training.endpoint.request import Reply, Request, Sampling, Usage
from training.generate_data import main

ROOT = Path(__file__).resolve().parents[2]
SHORT = "boxes: false\nsystem: Tell.\nquestions: [Tell me.]\nexamples: [{context: A, %s}]\n"


def source(folder: Path, number: int) -> Path:
    """Captions and boxes of so many pictures, all different."""
    path = folder / "context.jsonl"
    box = {"category": "kite", "bbox": [0.6, 0.1, 0.7, 0.2]}
    rows = [
        {
            "id": f"p{n}",
            "image": f"{n}.png",
            "captions": [f"A person with {n} kites.", f"Picture {n} shows a beach."],
            "instances": [box],
        }
        for n in range(number)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def short_prompts(folder: Path) -> Path:
    """Prompts that take little time to send."""
    folder.mkdir()
    pairs = "pairs: [{question: Q, answer: A}, {question: R, answer: B}]"
    (folder / "conversation.yaml").write_text(SHORT % pairs)
    (folder / "detail.yaml").write_text(SHORT % "result: B")
    return folder


def words(data: Path | str, out: Path, url: str, *more: object) -> list[str]:
    fixed = ["--teacher", url, "--model", "scripted", "--out", out, "--first-wait", 0.02]
    return [str(word) for word in [data, *fixed, *more]]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rules_of_the_drawn_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "drawn.json"
    arguments = ["scenes:30", "--teacher", "drawn", "--out", str(out), "--seed", "4"]
    assert main(arguments) == 0
    first = out.read_bytes()
    records = json.loads(first)
    assert {record["id"].split("-")[0] for record in records} == {
        "conversation",
        "detail",
        "reasoning",
    }
    assert f"{len(records)} records in {out}" in capsys.readouterr().out
    assert check.main([str(out), "--images", str(tmp_path / "pictures")]) == 0
    page = (tmp_path / "drawn.html").read_text()
    assert page.count("data:image/png;base64,") >= 8 and "<script" not in page
    assert "http://" not in page and "https://" not in page
    assert main(arguments) == 0
    assert out.read_bytes() == first


def test_a_teacher_over_http(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "set.json"
    with ScriptedEndpoint(lambda asked: teach(asked, wrong_every=2), moody(0, 9, 7, 5)) as endpoint:
        more = ("--price-in", 1, "--price-out", 2, "--images", tmp_path)
        assert main(words(source(tmp_path, 40), out, endpoint.url, *more)) == 0
        came = len(endpoint.asked)
        first = out.read_bytes()
        assert main(words(source(tmp_path, 40), out, endpoint.url, *more)) == 0
        assert len(endpoint.asked) == came and out.read_bytes() == first
    records, rejects = json.loads(first), lines(tmp_path / "new" / "set.rejects.jsonl")
    assert len(records) + len(rejects) == 120
    reasons = Counter(reject["reason"] for reject in rejects)
    assert set(reasons) == set(WRONG) and all(reject["reply"] for reject in rejects)
    told = capsys.readouterr().out
    assert all(f"{number} rejected: {reason} (" in told for reason, number in reasons.items())
    assert "120 replies of scripted: about" in told and "cost" in told
    assert check.main([str(out), "--images", str(tmp_path)]) == 1  # there are no pictures
    problems = capsys.readouterr().out
    assert "duplicate answer        │        0" in problems
    page = (tmp_path / "new" / "set.html").read_text()
    assert "unknown object" in page and "kite" in page


def test_how_many_of_each_kind(tmp_path: Path) -> None:
    out = tmp_path / "set.jsonl"
    with ScriptedEndpoint(lambda asked: teach(asked, wrong_every=0)) as endpoint:
        kinds = "detail:3,conversation"
        assert main(words(source(tmp_path, 9), out, endpoint.url, "--kinds", kinds)) == 0
    assert Counter(row["id"].split("-")[0] for row in lines(out)) == {
        "detail": 3,
        "conversation": 9,
    }


def test_a_teacher_that_sees(tmp_path: Path) -> None:
    with ScriptedEndpoint(lambda asked: teach(asked, wrong_every=0)) as endpoint:
        more = ("--see", "--kinds", "detail")
        assert main(words("scenes:3", tmp_path / "set.json", endpoint.url, *more)) == 0
        parts = [asked.body["messages"][-1]["content"] for asked in endpoint.asked]
    assert [[part["type"] for part in content] for content in parts] == [["text", "image_url"]] * 3
    assert len({content[1]["image_url"]["url"] for content in parts}) == 3
    assert len(json.loads((tmp_path / "set.json").read_text())) == 3


class InProcess:
    """The scripted teacher without HTTP: what a run that nothing disturbs gets."""

    def __init__(self, address: Address, sampling: Sampling) -> None:
        self.address, self.sampling = address, sampling

    async def reply(self, request: Request) -> Reply:
        body = {"model": self.address.model, "messages": list(request.messages)}
        return Reply(teach(Asked(body, 1, 1, 0.0, "")), "stop", Usage(1, 1), "scripted")

    async def close(self) -> None:
        """Nothing to let go of."""


@pytest.mark.slow
def test_killed_in_the_middle_nothing_is_asked_twice_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,000 requests, 50 at once, over HTTP, with limits, failures and cut streams: kill -9."""
    data, prompts = source(tmp_path, 500), short_prompts(tmp_path / "prompts")
    kinds = ("--kinds", "conversation,detail", "--prompts", prompts, "--at-once", 50)
    half = threading.Event()
    mood = moody(0.01, 97, 31, 43)

    def script(asked: Asked) -> Step:
        if asked.number == 500:
            half.set()
        return mood(asked)

    out, replies = tmp_path / "set.json", tmp_path / "set.replies.jsonl"
    with ScriptedEndpoint(teach, script) as endpoint:
        command = [sys.executable, "-m", "training.generate_data"]
        command += words(data, out, endpoint.url, *kinds)
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
            assert half.wait(100)
            process.send_signal(signal.SIGKILL)
        assert not out.exists()
        kept = {row["id"] for row in whole_lines(replies) if "cut" not in row}
        assert 300 < len(kept) < 600
        before = len(endpoint.asked)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        again = {name_of(asked) for asked in endpoint.asked[before:]}
    assert not kept & again
    assert len(kept) + len(again) == 1000
    stored = [row["id"] for row in lines(replies) if "cut" not in row]
    assert len(stored) == len(set(stored)) == 1000
    monkeypatch.setattr(flags, "Endpoint", InProcess)
    whole = tmp_path / "whole.json"
    assert main(words(data, whole, "http://nowhere/v1", *kinds)) == 0
    assert out.read_bytes() == whole.read_bytes()
    rejects = [tmp_path / f"{name}.rejects.jsonl" for name in ("set", "whole")]
    assert rejects[0].read_bytes() == rejects[1].read_bytes()


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """What a kill has left, without half a last line."""
    data = path.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def name_of(asked: Asked) -> str:
    """The id of a request, from what is asked."""
    kind = "detail" if asked.body["messages"][2]["content"] == "B" else "conversation"
    return f"{kind}-p{asked.question.split()[3]}"


def test_ctrl_c_keeps_what_is_under_way(tmp_path: Path) -> None:
    started = threading.Event()

    def script(asked: Asked) -> Step:
        if asked.number == 4:
            started.set()
        return Step(delay=0.5)

    out = tmp_path / "set.json"
    with ScriptedEndpoint(teach, script) as endpoint:
        command = [sys.executable, "-m", "training.generate_data"]
        command += words(source(tmp_path, 50), out, endpoint.url, "--at-once", 4)
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            assert started.wait(60)
            os.kill(process.pid, signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Waiting for the replies under way" in said
        kept = len(lines(tmp_path / "set.replies.jsonl"))
        assert kept == len(endpoint.asked) == 4
    assert f"Interrupted; {kept} replies are kept" in said and not out.exists()


def test_a_budget_that_runs_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set.json"
    data = source(tmp_path, 20)
    prices = ("--price-in", 0, "--price-out", 1000, "--kinds", "detail", "--max-tokens", 100)
    with ScriptedEndpoint(lambda asked: teach(asked, wrong_every=0)) as endpoint:
        assert main(words(data, out, endpoint.url, *prices, "--budget", 0.15)) == 1
        said = capsys.readouterr().err
        assert "The budget of 0.15 does not last" in said and "Raise --budget" in said
        some = len(json.loads(out.read_text()))
        assert 0 < some < 20 and "Not complete" in (tmp_path / "set.html").read_text()
        assert main(words(data, out, endpoint.url, *prices, "--budget", 15)) == 0
        assert len(endpoint.asked) == len(json.loads(out.read_text())) == 20


def test_a_wrong_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "wrong")
    with ScriptedEndpoint(key="right") as endpoint:
        more = ("--key-env", "TEACHER_KEY")
        assert main(words(source(tmp_path, 50), tmp_path / "set.json", endpoint.url, *more)) == 2
        assert len(endpoint.asked) <= 8
    said = capsys.readouterr().err
    assert "refuses the key with 401" in said and "wrong" not in said.replace("are wrong", "")


def test_an_endpoint_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    assert main(words(source(tmp_path, 5), tmp_path / "set.json", url)) == 2
    assert "Nobody answers" in capsys.readouterr().err


def test_a_request_that_stays_without_reply(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Step(status=400, text="too long")

    def script(asked: Asked) -> Step:
        return broken if "with 2 kites" in asked.question else Step()

    out = tmp_path / "set.json"
    with ScriptedEndpoint(lambda asked: teach(asked, wrong_every=0), script) as endpoint:
        assert main(words(source(tmp_path, 5), out, endpoint.url, "--kinds", "detail")) == 1
    (reject,) = lines(tmp_path / "set.rejects.jsonl")
    assert reject["reason"] == "no reply" and reject["detail"] == "400: too long"
    assert len(json.loads(out.read_text())) == 4


def test_wrong_records_are_told_and_nothing_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = source(tmp_path, 3)
    row = json.loads(data.read_text().splitlines()[0])
    data.write_text(data.read_text() + json.dumps(row) + '\n{"id": "x", "image": "x.png"}\n')
    with ScriptedEndpoint(lambda asked: teach(asked, wrong_every=0)) as endpoint:
        assert main(words(data, tmp_path / "set.json", endpoint.url)) == 2
        said = capsys.readouterr().err
        assert "record 3: 'p0' is a duplicate id: record 0 has it, too" in said
        assert "record 4: 'x' has no captions" in said and "--skip-bad" in said
        assert not endpoint.asked
        assert main(words(data, tmp_path / "set.json", endpoint.url, "--skip-bad")) == 0
        assert len(endpoint.asked) == 9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.jsonl", "--teacher", "drawn", "--out", "x.json"], "knows drawn scenes only"),
        (["scenes:2", "--teacher", "http://x/v1", "--out", "x.json"], "--model is missing"),
        (["scenes:2", "--teacher", "x", "--model", "m", "--out", "x.json"], "'x' is no URL"),
        (["scenes:2", "--teacher", "drawn", "--out", "x.txt"], "must end with .json"),
        (["scenes:2", "--teacher", "drawn", "--out", "x.json", "--kinds", "poem"], "'poem': name"),
        (
            [
                "s.jsonl",
                "--teacher",
                "http://x",
                "--model",
                "m",
                "--out",
                "x.json",
                "--budget",
                "1",
            ],
            "says nothing without --price-in",
        ),
        (
            ["s.jsonl", "--teacher", "http://x", "--model", "m", "--out", "x.json", "--see"],
            "--see needs --images",
        ),
    ],
)
def test_flags_that_contradict(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err

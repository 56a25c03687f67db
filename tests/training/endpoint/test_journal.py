"""The file of stored replies: what a kill, a damaged line and a second process do to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from training.endpoint.errors import JournalError
from training.endpoint.journal import Journal
from training.endpoint.request import Reply, Request, Sampling, Usage

SAMPLING = Sampling()
ONE, TWO = (Request(name, ({"role": "user", "content": "Hello"},)) for name in "12")
REPLY = Reply("Good day, \u2028 „you“\nthere", "stop", Usage(3, 4), "m-1", 0.5)


def journal(path: Path, model: str = "m", sampling: Sampling = SAMPLING) -> Journal:
    return Journal(path, model, sampling)


def keep(path: Path, *requests: Request) -> None:
    async def all_of_them(opened: Journal) -> None:
        await asyncio.gather(*(opened.keep(request, REPLY) for request in requests))

    with journal(path) as opened:
        asyncio.run(all_of_them(opened))


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "replies.jsonl"
    keep(path, ONE, TWO)
    with journal(path) as opened:
        assert opened.get(ONE) == opened.get(TWO) == REPLY
        assert ONE in opened and len(opened) == 2
        assert opened.usage == Usage(6, 8)


def test_another_question_model_or_sampling_is_another_request(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    keep(path, ONE)
    with journal(path) as opened:
        assert replace(ONE, messages=({"role": "user", "content": "Hell"},)) not in opened
    with journal(path, model="n") as opened:
        assert ONE not in opened
    with journal(path, sampling=Sampling(temperature=0.1)) as opened:
        assert ONE not in opened


@pytest.mark.parametrize("left", [1, 20, -1])
def test_half_a_last_line_is_taken_away(tmp_path: Path, left: int) -> None:
    path = tmp_path / "replies.jsonl"
    keep(path, ONE)
    whole = path.read_bytes()
    keep(path, TWO)
    second = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + second[:left])
    with journal(path) as opened:
        assert ONE in opened and TWO not in opened
    assert path.read_bytes() == whole
    keep(path, TWO)
    with journal(path) as opened:
        assert opened.get(ONE) == opened.get(TWO) == REPLY


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    keep(path, ONE, TWO)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"key": 1}\n' + lines[1])
    with pytest.raises(JournalError, match=r"line 2 of .* is no stored reply"), journal(path):
        pass


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    with (
        journal(path),
        pytest.raises(JournalError, match="another process adds replies"),
        journal(path),
    ):
        pass
    keep(path, ONE)


def test_a_full_disk_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "replies.jsonl"
    keep(path, ONE)
    before = path.read_bytes()

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            keep(path, TWO)
    assert path.read_bytes() == before

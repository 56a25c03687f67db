"""LLaVA's training format: read in pieces, turned into conversations, refused with the place."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from llava_core.conversation import ImagePart, TextPart
from llava_core.errors import PictureError
from llava_core.training.records import (
    DataError,
    Fault,
    Record,
    RecordFile,
    conversation_of,
    open_picture,
)
from tests.pictures import png


def source(name: str = "a", image: Any = "a.png", **more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nQ"}, {"from": "gpt", "value": "A"}]
    return {"id": name, "image": image, "conversations": turns, **more}


def write(path: Path, records: list[Any]) -> Path:
    """The records as a list or as lines, as the name says."""
    if path.suffix == ".json":
        path.write_text(json.dumps(records))
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def record(*turns: tuple[str, str], images: tuple[str, ...] = ()) -> Record:
    return Record("r", images, turns, number=7)


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_a_list_and_lines_hold_the_same_records(tmp_path: Path, suffix: str) -> None:
    text = {"id": 5, "conversations": source()["conversations"]}
    path = write(tmp_path / f"d.{suffix}", [source(), text, source("é", ["a", "b"], kinds=["x"])])
    file = RecordFile(path, tmp_path / "cache")
    turns = (("human", "<image>\nQ"), ("gpt", "A"))
    assert len(file) == 3
    assert list(file) == [
        Record("a", ("a.png",), turns),
        Record("5", (), turns),
        Record("é", ("a", "b"), turns),
    ]
    assert file[-1].number == 2 and file.source(2)["kinds"] == ["x"]
    with pytest.raises(IndexError):
        file[3]


def test_empty_lines_and_a_mark_in_front_do_not_count(tmp_path: Path) -> None:
    line = json.dumps(source()).encode()
    path = tmp_path / "d.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\n\n  \r\n" + line)
    assert [one.number for one in RecordFile(path, tmp_path)] == [0, 1]
    listed = tmp_path / "d.json"
    listed.write_bytes(b"\xef\xbb\xbf [" + line + b"]")
    assert len(RecordFile(listed, tmp_path / "cache")) == 1


def test_a_list_is_copied_once_for_each_state(tmp_path: Path) -> None:
    path, cache = write(tmp_path / "d.json", [source()]), tmp_path / "cache"
    RecordFile(path, cache)
    (first,) = cache.iterdir()
    stamp = first.stat().st_mtime_ns
    RecordFile(path, cache)
    assert first.stat().st_mtime_ns == stamp
    write(path, [source(), source("b")])
    assert len(RecordFile(path, cache)) == 2
    assert first not in list(cache.iterdir()) and len(list(cache.iterdir())) == 1


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "d.json", [source(str(i)) for i in range(2000)])
    seen: list[tuple[int, int]] = []
    RecordFile(path, tmp_path / "cache", lambda done, total: seen.append((done, total)))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size) and len(seen) > 2


def test_a_large_list_is_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    body = json.dumps(source(text="x" * 10_000))
    path.write_text("[" + ",".join([body] * 800) + "]")
    assert path.stat().st_size > 8_000_000
    tracemalloc.start()
    file = RecordFile(path, tmp_path / "cache")
    assert sum(len(one.turns) for one in file) == 1600
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


BROKEN = {
    b'[{"id": 1},\n {"id": 2]': ("line 2, byte 21", 1),
    b'[{"id": 1}\n {"id": 2}]': ("line 2, byte 12", 1),
    b'[{"id": 1},\n{"id": 2}': ("line 2, byte 20", 2),
    b'[{"id": NaN}]': ("line 1, byte 8", 0),
    b'[{"id": "\xff"}]': ("line 1, byte 9", 0),
    b'{"id": 1}': ("line 1, byte 0", 0),
    b"": ("line 1, byte 0", 0),
}


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_list_names_line_byte_and_record(tmp_path: Path, content: bytes) -> None:
    place, number = BROKEN[content]
    path = tmp_path / "d.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=place) as caught:
        RecordFile(path, tmp_path / "cache")
    assert caught.value.record == number and f"record {number}" in str(caught.value)
    assert not list((tmp_path / "cache").glob("*"))


def test_the_place_is_exact_far_into_a_list(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    good = ",\n".join(json.dumps(source(str(i))) for i in range(3000))
    path.write_text(f"[{good},\n oops]")
    place = f"line 3001, byte {len(good) + 4}"
    with pytest.raises(DataError, match=place) as caught:
        RecordFile(path, tmp_path / "cache")
    assert caught.value.record == 3000


def test_a_broken_line_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(json.dumps(source()).encode() + b'\n\n{"id": \n\xff\n[1]\n')
    file = RecordFile(path, tmp_path)
    assert len(file) == 4 and file[0].id == "a"
    for index, words in ((1, "line 3 of d.jsonl"), (2, "line 4"), (3, "not a JSON object")):
        with pytest.raises(DataError, match=words) as caught:
            file[index]
        assert (caught.value.record, caught.value.fault) == (index, "unreadable")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": 3}, '"image" is 3'),
        ({"image": ["a", 2]}, '"image" is'),
        ({"image": ""}, '"image" is ""'),
        ({"conversations": []}, "missing or empty"),
        ({"conversations": [{"from": "human"}]}, "turn 1"),
        ({"conversations": ["hello"]}, "turn 1"),
    ],
)
def test_records_of_another_shape(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = write(tmp_path / "d.jsonl", [{**source(), **change}])
    with pytest.raises(DataError, match=words) as caught:
        RecordFile(path, tmp_path)[0]
    assert caught.value.fault == "unreadable" and caught.value.remedy


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("[]")
    (tmp_path / "empty.jsonl").write_text("\n")
    for name, words in (
        ("d.txt", "not a .json"),
        ("gone.json", "not a .json"),
        ("empty.jsonl", "no rec"),
    ):
        with pytest.raises(DataError, match=words):
            RecordFile(tmp_path / name, tmp_path / "cache")


def test_placeholders_become_pictures_in_order() -> None:
    turns = (
        ("system", "S"),
        ("human", "<image>\nfirst\n"),
        ("gpt", " keeps <image> and space \n"),
        ("user", "between <image> and\n<image>"),
        ("assistant", "B"),
    )
    talk = conversation_of(
        record(*turns, images=("1", "2", "3")),
        lambda name: Image.new("RGB", (int(name), 1)),
    )
    assert [message.role for message in talk.messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert [image.width for image in talk.images] == [1, 2, 3]
    assert [part.text for part in talk.messages[1].parts if isinstance(part, TextPart)] == ["first"]
    assert talk.messages[2].text == " keeps <image> and space \n"
    kinds = [type(part) for part in talk.messages[3].parts]
    assert kinds == [TextPart, ImagePart, TextPart, ImagePart]


def test_without_pictures_a_stand_in_stands_there() -> None:
    talk = conversation_of(record(("human", "<image>"), ("gpt", "A"), images=("far/away.png",)))
    assert [image.size for image in talk.images] == [(1, 1)]


ASK, SAY = ("human", "Q"), ("gpt", "A")
WRONG: list[tuple[tuple[tuple[str, str], ...], tuple[str, ...], Fault]] = [
    ((SAY, ASK), (), "roles"),
    ((ASK, ASK), (), "roles"),
    ((ASK, SAY, ASK), (), "roles"),
    ((ASK, ("system", "S"), SAY), (), "roles"),
    (((("system", "S")),), (), "roles"),
    ((ASK, ("robot", "A")), (), "roles"),
    ((ASK, ("gpt", " \n")), (), "empty answer"),
    ((("human", "\n"), SAY), (), "empty question"),
    ((ASK, SAY), ("a.png",), "placeholders"),
    ((("human", "<image><image>Q"), SAY), ("a.png",), "placeholders"),
    ((("human", "<image>Q"), SAY), (), "placeholders"),
    ((ASK, ("gpt", "<image>")), ("a.png",), "placeholders"),
]


@pytest.mark.parametrize(("turns", "images", "fault"), WRONG)
def test_conversations_that_cannot_be(
    turns: tuple[tuple[str, str], ...], images: tuple[str, ...], fault: Fault
) -> None:
    with pytest.raises(DataError, match=r"^record 7: .*'r'.*\. [A-Zh].*\.$") as caught:
        conversation_of(record(*turns, images=images))
    assert (caught.value.fault, caught.value.record) == (fault, 7)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_pictures_are_opened_inside_their_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png())
    (tmp_path / "in" / "cut.png").write_bytes(png()[:50])
    assert open_picture(tmp_path, "in/a.png").mode == "RGB"
    for name, words in (
        ("b.png", "cannot be read"),
        ("cut.png", "cut.png: "),
        ("../x", "leads out"),
    ):
        with pytest.raises(PictureError, match=words):
            open_picture(tmp_path / "in", name)

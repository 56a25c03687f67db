"""Records as tokens: what is cut, what is learnt, what is kept on disk."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llava_core.templates import NAMED_TEMPLATES
from llava_core.training.prepared import (
    CHUNK,
    Rendering,
    TokenSample,
    prepare,
    truncate,
)
from llava_core.training.records import DataError
from tests.tiny_checkpoint import make_tokenizer

VISUAL = 16
END = "</s>"


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def rendering(tokenizer_folder: Path) -> Rendering:
    return rendering_with(tokenizer_folder)


def rendering_with(folder: Path, max_tokens: int = 256, template: str = "vicuna_v1") -> Rendering:
    return Rendering(str(folder), NAMED_TEMPLATES[template], "<image>", VISUAL, max_tokens)


def source(*turns: tuple[str, str], images: tuple[str, ...] = ()) -> dict[str, Any]:
    said = [
        {"from": speaker, "value": text}
        for question, answer in turns
        for speaker, text in (("human", question), ("gpt", answer))
    ]
    return {"id": "r", "conversations": said, **({"image": list(images)} if images else {})}


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@cache
def tokenizer() -> Any:
    return make_tokenizer()


def answers(sample: TokenSample) -> str:
    """The text that is learnt."""
    return str(tokenizer().decode(sample.ids[sample.mask]))


# --- what is learnt -------------------------------------------------------------------------------


def test_labels_are_exactly_the_answers(tmp_path: Path, rendering: Rendering) -> None:
    two = source(("<image>\nWhat?", "A star."), ("Where?", "Here."), images=("a.png",))
    one = source(("Who?", "Nobody. "))
    prepared = prepare(write(tmp_path / "d.jsonl", two, one), rendering, tmp_path / "cache")
    assert answers(prepared.sample(0)) == f" A star.{END} Here.{END}"
    assert answers(prepared.sample(1)) == f" Nobody. {END}"
    for index in range(2):
        sample = prepared.sample(index)
        assert len(sample.ids) == len(sample.mask) == prepared.lengths[index]
        assert prepared.answer_tokens[index] == sample.mask.sum()


def test_visual_tokens_stand_where_the_pictures_stand(tmp_path: Path, rendering: Rendering) -> None:
    """In order, with their pictures' numbers; a picture that comes again has the same number."""
    data = write(
        tmp_path / "d.jsonl",
        source(("<image>\n<image>\nSame?", "Yes."), images=("b.png", "a.png")),
        source(("What?", "Text."), ("And?", "More.")),
        source(("<image>\nOne", "1"), ("two <image>", "2"), images=("a.png", "c.png")),
    )
    prepared = prepare(data, rendering, tmp_path / "cache")
    assert prepared.names == ["b.png", "a.png", "c.png"]
    samples = [prepared.sample(index) for index in range(3)]
    assert [sample.pictures for sample in samples] == [(0, 1), (), (1, 2)]
    visual = [int((sample.ids == prepared.image_token_id).sum()) for sample in samples]
    assert visual == [2 * VISUAL, 0, 2 * VISUAL]
    assert all(not sample.mask[sample.ids == prepared.image_token_id].any() for sample in samples)


# --- what is cut ----------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 20), st.integers(0, 200))
def test_truncation_never_cuts_into_a_picture(
    is_picture: list[bool], visual: int, most: int
) -> None:
    ids = [7 if each else 1 for each in is_picture]
    kept = truncate(ids, 7, visual, most)
    size = [visual if each else 1 for each in is_picture]
    assert sum(size[:kept]) <= most
    assert kept == len(ids) or sum(size[: kept + 1]) > most, "one more would fit"


@cache
def long_record() -> dict[str, Any]:
    turns = [("<image>\nWhat?", "A star.")] * 2 + [("Where?", "Here."), ("<image>", "Yes.")]
    return source(*turns, images=("a.png", "b.png", "c.png"))


@settings(max_examples=40)
@given(max_tokens=st.integers(8, 150))
def test_a_cut_sample_is_the_beginning_of_the_whole_one(
    tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path, max_tokens: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    data = write(folder / "d.jsonl", long_record())
    whole = prepare(data, rendering_with(tokenizer_folder, 1000), folder / "whole").sample(0)
    cut = prepare(data, rendering_with(tokenizer_folder, max_tokens), folder / "cut")
    lost = int(whole.mask[max_tokens:].sum())
    if not len(cut):
        assert not whole.mask[: max(max_tokens - VISUAL, 0)].any() and cut.cut.left_out == [0]
        assert cut.cut.answer_tokens == whole.mask.sum()
        return
    sample = cut.sample(0)
    number = len(sample.ids)
    assert number <= max_tokens
    assert sample.ids.tolist() == whole.ids[:number].tolist()
    assert sample.mask.tolist() == whole.mask[:number].tolist()
    assert int((sample.ids == cut.image_token_id).sum()) == VISUAL * len(sample.pictures)
    assert sample.pictures == whole.pictures[: len(sample.pictures)]
    assert cut.cut.answer_tokens == int(whole.mask[number:].sum()) >= lost
    assert cut.cut.samples == (cut.cut.answer_tokens > 0)
    assert number == min(max_tokens, len(whole.ids)) or whole.ids[number] == cut.image_token_id


def test_samples_without_any_answer_left_are_counted_and_left_out(
    tmp_path: Path, tokenizer_folder: Path
) -> None:
    short = source(("Q?", "A."))
    question = source(("What is it? " * 20, "A."))
    answer = source(("Q?", "A red one. " * 20))
    data = write(tmp_path / "d.jsonl", short, question, answer, short)
    prepared = prepare(data, rendering_with(tokenizer_folder, 60), tmp_path / "cache")
    assert prepared.numbers.tolist() == [0, 2, 3] and len(prepared) == 3
    assert prepared.cut.left_out == [1] and prepared.cut.samples == 2
    whole = prepare(data, rendering_with(tokenizer_folder, 1000), tmp_path / "cache")
    assert whole.cut.samples == 0 and len(whole) == 4
    lost = whole.answer_tokens.sum() - prepared.answer_tokens.sum()
    assert prepared.cut.answer_tokens == lost > 0
    assert answers(prepared.sample(2)) == answers(whole.sample(3)) == f" A.{END}"


def test_a_set_of_which_nothing_is_left(tmp_path: Path, tokenizer_folder: Path) -> None:
    data = write(tmp_path / "d.jsonl", source(("What is it? " * 20, "A.")))
    prepared = prepare(data, rendering_with(tokenizer_folder, 40), tmp_path / "cache")
    assert len(prepared) == 0 and prepared.cut.left_out == [0] and prepared.names == []


# --- what is refused ------------------------------------------------------------------------------


def test_bad_records_are_refused_together(tmp_path: Path, rendering: Rendering) -> None:
    data = write(
        tmp_path / "d.jsonl",
        source(("Q", "A")),
        source(("Q", " ")),
        source(("<image>Q", "A")),
        source(("Q", "A")),
        {"id": "x", "conversations": []},
    )
    with data.open("a") as file:
        file.write("{broken\n")
    with pytest.raises(DataError) as caught:
        prepare(data, rendering, tmp_path / "cache")
    said = str(caught.value)
    assert said.startswith(f"4 of 6 records of {data} cannot be used")
    assert all(f"record {number}:" in said for number in (1, 2, 4, 5))
    assert f"training.check {data}" in said
    left = [path.name for path in (tmp_path / "cache" / "tokens").iterdir()]
    assert left == ["lock"], "nothing half made stays"


def test_only_the_first_of_many_are_shown(tmp_path: Path, rendering: Rendering) -> None:
    data = write(tmp_path / "d.jsonl", *[source(("Q", ""))] * 40)
    with pytest.raises(DataError, match="40 of 40") as caught:
        prepare(data, rendering, tmp_path / "cache")
    assert str(caught.value).count("record ") == 5


# --- the cache ------------------------------------------------------------------------------------


def seen_progress(data: Path, rendering: Rendering, cache: Path) -> list[tuple[int, int]]:
    """Progress that was told: none where nothing had to be rendered."""
    told: list[tuple[int, int]] = []
    prepare(data, rendering, cache, lambda *at: told.append(at))
    return told


def test_rendered_once(tmp_path: Path, rendering: Rendering) -> None:
    data, cache = write(tmp_path / "d.jsonl", source(("Q", "A"))), tmp_path / "cache"
    assert seen_progress(data, rendering, cache) == [(1, 1)]
    assert seen_progress(data, rendering, cache) == []


def test_the_same_tokenizer_in_another_folder_is_the_same(
    tmp_path: Path, rendering: Rendering
) -> None:
    """Each run keeps its own copy; they share what is rendered."""
    data, cache = write(tmp_path / "d.jsonl", source(("Q", "A"))), tmp_path / "cache"
    prepare(data, rendering, cache)
    copy = shutil.copytree(rendering.tokenizer, tmp_path / "copy")
    assert seen_progress(data, rendering_with(copy), cache) == []


def test_whatever_changes_is_rendered_anew(tmp_path: Path, rendering: Rendering) -> None:
    data, cache = write(tmp_path / "d.jsonl", source(("Q", "A"))), tmp_path / "cache"
    prepare(data, rendering, cache)
    folder = Path(rendering.tokenizer)
    changed = shutil.copytree(folder, tmp_path / "changed")
    config = changed / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"</s>"', '"<pad>"'))
    others = [
        rendering_with(folder, 200),
        rendering_with(folder, template="mistral"),
        rendering_with(changed),
        Rendering(str(folder), rendering.template, "<image>", VISUAL + 1, 256),
    ]
    for other in others:
        assert seen_progress(data, other, cache) == [(1, 1)]
    write(data, source(("Q", "B")), source(("Q", "A")))
    assert seen_progress(data, rendering, cache) == [(2, 2)]
    assert answers(prepare(data, rendering, cache).sample(0)) == f" B{END}"


def test_what_a_killed_run_left_is_no_set(tmp_path: Path, rendering: Rendering) -> None:
    data, cache = write(tmp_path / "d.jsonl", source(("Q", "A"))), tmp_path / "cache"
    draft = cache / "tokens" / f"{rendering.fingerprint(data)}.tmp"
    draft.mkdir(parents=True)
    (draft / "ids.bin").write_bytes(b"half")
    assert len(prepare(data, rendering, cache)) == 1 and not draft.exists()


# --- many records ---------------------------------------------------------------------------------


def test_many_records_are_rendered_in_several_processes_in_order(
    tmp_path: Path, rendering: Rendering
) -> None:
    number = 2 * CHUNK + 50
    records = [source((f"<image>\nQ{n}", f"A{n}"), images=(f"{n % 7}.png",)) for n in range(number)]
    records[CHUNK + 3] = source(("Q", "A"), ("No picture", "here"))
    told: list[tuple[int, int]] = []
    data = tmp_path / "d.json"
    data.write_text(json.dumps(records))
    prepared = prepare(data, rendering, tmp_path / "cache", lambda *at: told.append(at))
    assert told == [(CHUNK, number), (2 * CHUNK, number), (number, number)]
    assert prepared.numbers.tolist() == list(range(number))
    for n in (0, 1, CHUNK - 1, CHUNK, 2 * CHUNK, number - 1):
        assert answers(prepared.sample(n)) == f" A{n}{END}"
        assert [prepared.names[at] for at in prepared.sample(n).pictures] == [f"{n % 7}.png"]
    assert prepared.sample(CHUNK + 3).pictures == ()


def test_bad_records_among_many_are_told_by_their_numbers(
    tmp_path: Path, rendering: Rendering
) -> None:
    records = [source((f"Q{n}", f"A{n}")) for n in range(CHUNK + 10)]
    records[3] = records[CHUNK + 5] = source(("Q", ""))
    with pytest.raises(DataError, match=f"record 3:.*record {CHUNK + 5}:"):
        prepare(write(tmp_path / "d.jsonl", *records), rendering, tmp_path / "cache")

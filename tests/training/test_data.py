"""From scenes to LLaVA's JSON, to token ids, to batches."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from llava_core.conversation import Conversation
from llava_core.templates import Renderer, expand_image_tokens
from training.grid import LABELS, PAGE, grid_of
from training.instructions import (
    caption_record,
    images_of,
    instruction_records,
    picture_index,
    read_json,
    write_json,
)
from training.language import Bags, words_in_any_order
from training.samples import Scores, answer_lengths, collate, mean_over_types, split_evenly
from training.scenes import KINDS, Scene, Thing, sample_scene
from training.store import TokenStore, build_store, record_messages, render_records
from training.tokenizer import IMAGE, single_token, token_id, train_tokenizer, world_words
from training.world import read_scenes, sample_scenes, write_scenes

STAR = Thing("star", "red", "large", 0.2, 0.8, 0.16)
SCENE = Scene((STAR,), "plain", "sharp", 1)
TOKENIZER = train_tokenizer(0, 300)


def records(number: int = 60) -> list[dict[str, object]]:
    scenes = sample_scenes(5, number)
    return list(instruction_records(list(range(number)), scenes, seed=1))


def test_records_have_llavas_format() -> None:
    made = records(200)
    several = 0
    for record in made:
        turns = record["conversations"]
        assert [t["from"] for t in turns] == ["human", "gpt"] * (len(turns) // 2)  # type: ignore[attr-defined,arg-type,index]
        placeholders = sum(t["value"].count("<image>") for t in turns)  # type: ignore[attr-defined]
        assert placeholders == len(images_of(record))
        assert len(record["kinds"]) == len(turns) // 2  # type: ignore[arg-type]
        several += len(images_of(record)) > 1
    assert several > 0 and any("image" not in record for record in made)
    assert {str(record["id"]).split("-")[0] for record in made} >= {
        "conversation",
        "detail",
        "reasoning",
    }


def test_a_caption_is_one_turn() -> None:
    record = caption_record(3, SCENE)
    assert record["image"] == "000003.png" and picture_index("000003.png") == 3
    assert record["conversations"][1]["value"] == (
        "There is one thing: a large red star at the bottom left."
    )


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    made = records(10)
    assert write_json(made, path) == len(made) and read_json(path) == made

    def breaking():  # type: ignore[no-untyped-def]
        yield made[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_json(breaking(), tmp_path / "y.json")
    assert not (tmp_path / "y.json").exists()


def test_scenes_are_read_back(tmp_path: Path) -> None:
    scenes = sample_scenes(1, 20, crowded=True)
    write_scenes(scenes, tmp_path / "s.jsonl")
    assert read_scenes(tmp_path / "s.jsonl") == scenes
    assert sample_scenes(1, 20, crowded=True) == scenes and sample_scenes(2, 20) != scenes


def test_every_word_of_the_world_is_one_token() -> None:
    assert all(single_token(TOKENIZER, word) >= 0 for word in world_words())
    with pytest.raises(ValueError, match="tokens"):
        single_token(TOKENIZER, " quantum chromodynamics")
    text = "Any text at all: 日本語 🙂"
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_the_store_gives_what_rendering_gives(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path / "tokenizer")
    made = records(8)
    store = build_store(render_records(made, tmp_path / "tokenizer"))
    store.save(tmp_path / "store.npz")
    store = TokenStore.load(tmp_path / "store.npz")
    image = token_id(TOKENIZER, IMAGE)
    renderer = Renderer(TOKENIZER)
    for index, record in enumerate(made):
        conversation = Conversation(record_messages(record))
        rendered = renderer.render(conversation, generation_prompt=False)
        expanded = expand_image_tokens(rendered, image, [4] * len(images_of(record)))
        sample = store.sample(index, image, 4)
        assert (sample.ids, sample.mask) == (expanded.token_ids, expanded.loss_mask)
        assert len(sample.ids) == store.length(index, 4)
        assert len(answer_lengths(sample.mask)) == len(sample.kinds)


def test_a_batch_is_padded_without_loss(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    store = build_store(render_records(records(4), tmp_path))
    image = token_id(TOKENIZER, IMAGE)
    samples = [store.sample(i, image, 2) for i in range(3)]
    batch = collate(samples, pad_id=0)
    for row, sample in enumerate(samples):
        targets = batch.targets[row]
        assert int((targets != -100).sum()) == sum(sample.mask)
        assert (targets[len(sample.ids) :] == -100).all() and (
            batch.ids[row, len(sample.ids) :] == 0
        ).all()


def test_scores_count_whole_answers() -> None:
    assert answer_lengths([False, True, True, False, True]) == [2, 1]
    scores = Scores()
    for kind, right in (("a", True), ("a", False), ("talk", False), ("b", True)):
        scores.add(kind, right)
    assert scores.shares() == {"a": 0.5, "b": 1.0, "talk": 0.0}
    assert mean_over_types(scores.shares()) == 0.75


def test_split_evenly() -> None:
    runs = split_evenly([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 4, 4], 3)
    assert [item for run in runs for item in run] == [1, 2, 3, 4, 5, 6]
    assert len(runs) == 3 and max(len(run) for run in runs) == 4


def test_patches_show_the_thing_that_covers_them() -> None:
    grid = grid_of(SCENE)
    kinds = grid.labels[:, 0].reshape(8, 8)
    assert kinds[6, 1] == KINDS.index("star") and kinds[0, 7] == PAGE
    centres = np.flatnonzero(grid.labels[:, LABELS.index("centre")] == 1)
    assert centres.tolist() == [6 * 8 + 1]
    assert (grid.owner >= 0).sum() == (kinds != PAGE).sum() > 3
    ox, oy = grid.offset[6 * 8 + 1]
    assert ox == pytest.approx(0.2 - 1.5 / 8, abs=1e-6) and oy == pytest.approx(0.8 - 6.5 / 8)


def test_bags_hold_the_words_of_what_a_patch_shows() -> None:
    grid = grid_of(SCENE)
    rows = Bags(TOKENIZER).of(grid, [0, 49])
    named = [[TOKENIZER.decode([i]).strip() for i in row if i >= 0] for row in rows]
    assert named == [["nothing"], ["star", "red", "large", "bottom", "left", "thing"]]


def test_word_lists_name_each_thing_completely() -> None:
    rng = random.Random(2)
    scene = sample_scene(rng, 3)
    parts = words_in_any_order(scene, rng).rstrip(".").split("; ")
    told = {frozenset(part.split()) for part in parts}
    wanted = {
        frozenset([t.kind, t.colour, t.size, ("top", "middle", "bottom")[t.row]])
        | {("left", "centre", "right")[t.column]}
        for t in scene.things
    }
    assert told == wanted


def test_records_on_disk_are_plain_json(tmp_path: Path) -> None:
    write_json(records(3), tmp_path / "x.json")
    assert isinstance(json.loads((tmp_path / "x.json").read_text()), list)

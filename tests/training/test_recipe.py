"""Recipes: all mistakes at once, each with its line; settings on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from training.recipe import Recipe
from training.recipe_file import RecipeError, load_recipe

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "training" / "recipes").glob("*.yaml"))
Problems = list[tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where everything that the recipe names is there."""
    for name in ("tiny", "pictures", "clip", "llama"):
        (tmp_path / name).mkdir()
    (tmp_path / "data.json").write_text("[]")
    return tmp_path


def good(folder: Path) -> dict[str, Any]:
    return {
        "name": "tiny",
        "output": str(folder / "out"),
        "model": {"checkpoint": str(folder / "tiny")},
        "data": [{"path": str(folder / "data.json"), "images": str(folder / "pictures")}],
        "train": {"learning_rate": 2e-5, "batch_size": 8},
    }


def write(folder: Path, recipe: dict[str, Any] | str) -> Path:
    path = folder / "recipe.yaml"
    text = recipe if isinstance(recipe, str) else yaml.safe_dump(recipe, sort_keys=False)
    path.write_text(text)
    return path


def load(folder: Path, recipe: dict[str, Any], *settings: str, stage: Any = 2) -> Recipe:
    return load_recipe(write(folder, recipe), settings, stage)


def problems(
    folder: Path, recipe: dict[str, Any] | str, *settings: str, stage: Any = 2
) -> Problems:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(folder, recipe), settings, stage)
    assert str(caught.value).count("\n") == len(caught.value.problems)
    return caught.value.problems


def test_what_is_left_out_has_a_default(folder: Path) -> None:
    recipe = load(folder, good(folder))
    assert recipe.train.language == "full" and recipe.train.features == "kept"
    assert recipe.data[0].weight == 1.0 and recipe.validation is None and recipe.log.every == 10


SEVERAL = """\
name: tiny
output: out
model:
  checkpoint: {folder}/gone
  presicion: 4bit
data:
  - path: {folder}/data.json
    images: {folder}/pictures
    weight: -1
  - path: {folder}/missing.jsonl
    images: {folder}/nowhere
train:
  learning_rate: fast
  language: full
  lora:
    r: 0
  tower: true
log:
  every: 2.5
"""


def test_all_mistakes_are_told_at_once_with_their_lines(folder: Path) -> None:
    found = problems(folder, SEVERAL.format(folder=folder))
    by_line = dict(found)
    for line, words in {
        4: "model.checkpoint: there is no folder",
        5: "model.presicion: there is no such key; there are checkpoint",
        9: "data.0.weight: input should be greater than 0, not -1",
        10: "data.1.path: there is no file",
        11: "data.1.images: there is no folder",
        13: "train.learning_rate: input should be a valid number",
        15: "train.lora: language is full",
        16: "train.lora.r: input should be greater than or equal to 1, not 0",
        19: "log.every: input should be a valid integer",
    }.items():
        assert by_line[line].startswith(words), by_line.get(line)
    assert [said for line, said in found if line == 12] == [
        "train.batch_size: is missing",
        "train.features: a tower that trains has no features to keep: set it to live",
    ]


def test_the_message_names_file_and_line(folder: Path) -> None:
    recipe = write(folder, {**good(folder), "nmae": 1})
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe, ["train.batch_size=0"])
    first, command_line, in_file = str(caught.value).splitlines()
    assert first == "2 problems in the recipe:"
    assert command_line.startswith("command line: train.batch_size: input should be greater")
    assert in_file.startswith(f"{recipe}:11: nmae: there is no such key; there are name, output")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: [1, 2\noutput: x\n", 2, "is not YAML"),
        ("name: a\n\tb: c\n", 2, "is not YAML"),
        ("name: \x07\n", 1, "is not YAML"),
        ("? [a, b]\n: c\n", 1, "is not YAML"),
        ("- a\n- b\n", 1, "is not a list of keys"),
        ("", 1, "is not a list of keys"),
        ("just words", 1, "is not a list of keys"),
    ],
)
def test_what_is_no_recipe_at_all(folder: Path, text: str, line: int, words: str) -> None:
    ((found, said),) = problems(folder, text)
    assert found == line and words in said


def test_files_that_cannot_be_read(folder: Path) -> None:
    (folder / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    for name, words in (
        ("gone.yaml", "cannot be read: No such file"),
        ("tiny", "cannot be read: Is a directory"),
        ("latin.yaml", "not text in UTF-8"),
    ):
        with pytest.raises(RecipeError, match=words):
            load_recipe(folder / name)


def test_a_key_that_is_there_twice(folder: Path) -> None:
    text = yaml.safe_dump(good(folder), sort_keys=False) + "  batch_size: 16\n"
    ((line, said),) = problems(folder, text)
    assert line == text.count("\n") and said == "train.batch_size: is there twice"


def test_a_value_of_neither_type_is_told_once(folder: Path) -> None:
    recipe = good(folder)
    recipe["model"] = {
        "tower": str(folder / "clip"),
        "language": str(folder / "llama"),
        "feature_layer": "last",
    }
    recipe["train"]["tower_learning_rate"] = 1e-5
    found = problems(folder, recipe)
    assert len(found) == 2, "the contradiction is told, too"
    assert found[0][1].startswith("model.feature_layer: input should be a valid integer")
    assert "or input should be a valid list" in found[0][1]


@pytest.mark.parametrize("value", [".inf", ".nan", "-1", "0"])
@pytest.mark.parametrize("key", ["train.learning_rate", "train.epochs", "data.0.weight"])
def test_numbers_that_are_none(folder: Path, key: str, value: str) -> None:
    ((line, said),) = problems(folder, good(folder), f"{key}={value}")
    assert line == 0 and said.startswith(f"{key}: input should be")


# --- the command line -----------------------------------------------------------------------------


def test_settings_on_the_command_line(folder: Path) -> None:
    recipe = {**good(folder), "validation": None}
    recipe["train"] |= {"lora": None, "language": "lora"}
    (folder / "other").mkdir()
    loaded = load(
        folder,
        recipe,
        "train.learning_rate=1e-4",
        "train.lora.r=8",
        "train.lora.targets=[q_proj, v_proj]",
        f"data.0.images={folder / 'other'}",
        f"validation.path={folder / 'data.json'}",
        "log.tensorboard=true",
        "name=a=b",
    )
    assert loaded.train.learning_rate == 1e-4 and loaded.name == "a=b" and loaded.log.tensorboard
    assert loaded.train.lora and loaded.train.lora.r == 8
    assert loaded.train.lora.targets == ["q_proj", "v_proj"]
    assert loaded.data[0].images == folder / "other"
    assert loaded.validation and loaded.validation.limit == 500


def test_a_whole_list_on_the_command_line(folder: Path) -> None:
    data = f"[{{path: {folder / 'data.json'}, weight: 2}}, {{path: {folder / 'data.json'}}}]"
    loaded = load(folder, good(folder), f"data={data}")
    assert [part.weight for part in loaded.data] == [2.0, 1.0]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.learning_rate", "is not key=value"),
        ("=3", "is not key=value"),
        ("train.speed=3", "train.speed: there is no such key"),
        ("train.batch_size=many", "train.batch_size: input should be a valid integer"),
        ("data.4.weight=2", "there is nothing named 4"),
        ("data.weight=2", "cannot be set"),
        ("name.first=x", "cannot be set"),
        ("train.batch_size.x=x", "cannot be set"),
        ("train.batch_size.x.y=x", "nothing named 'x'"),
        ("train.lora.targets=[", "cannot be set to '['"),
        ("validation.limit=3", "validation.path: is missing"),
        ("data=[]", "data: list should have at least 1 item"),
    ],
)
def test_wrong_settings_are_the_command_lines(folder: Path, setting: str, words: str) -> None:
    ((line, said),) = problems(folder, good(folder), setting)
    assert line == 0 and words in said


# --- contradictions -------------------------------------------------------------------------------

PARTS = ("model.checkpoint=null", "model.tower=clip-vit", "model.language=llama")
CONTRADICTIONS: list[tuple[int, tuple[str, ...], str]] = [
    (2, ("model.tower=clip",), "give a checkpoint, or a tower and a language, not both"),
    (2, ("model.checkpoint=null",), "give a checkpoint, or both a tower and a language"),
    (2, ("model.checkpoint=null", "model.tower=clip"), "both a tower and a language"),
    (2, ("model.template=vicuna",), "'vicuna' is none of "),
    (2, (*PARTS, "model.fresh_projector=true"), "it is always fresh without a checkpoint"),
    (2, ("model.feature_layer=-1",), "model.feature_layer: it is the checkpoint's own"),
    (2, ("model.projector=linear",), "model.projector: it is the checkpoint's own"),
    (1, (), "stage 1 trains the projector alone"),
    (1, ("train.language=lora",), "stage 1 trains the projector alone"),
    (
        1,
        ("train.language=frozen", "train.tower=true", "train.features=live"),
        "train.tower: stage 1 trains nothing but the projector",
    ),
    (2, ("train.language=frozen", "train.projector=false"), "nothing trains"),
    (2, ("model.precision=8bit",), "weights of 8bit cannot be trained"),
    (
        2,
        ("model.precision=4bit", "train.language=lora", "train.tower=true", "train.features=live"),
        "the tower stays frozen",
    ),
    (2, ("train.lora.r=8",), "set language to lora"),
    (2, ("train.tower=true",), "a tower that trains has no features to keep"),
    (2, ("train.tower_learning_rate=1e-6",), "the tower does not train"),
    (2, ("train.projector=false", "train.projector_learning_rate=1"), "leave this out"),
    (2, ("train.row_tokens=512", "train.layout=padded"), "padded rows hold one sample"),
    (2, ("data.0.path=data.csv",), "data.csv is no .json or .jsonl file"),
    (2, ("data.0.path=gone.json",), "there is no file gone.json"),
    (2, ("data.0.images=gone",), "there is no folder gone"),
    (2, ("validation.path=gone.json",), "validation.path: there is no file"),
    (2, ("model.checkpoint=./gone",), "there is no folder ./gone"),
]


@pytest.mark.parametrize(("stage", "settings", "words"), CONTRADICTIONS)
def test_contradictions(folder: Path, stage: int, settings: tuple[str, ...], words: str) -> None:
    ((line, said),) = problems(folder, good(folder), *settings, stage=stage)
    assert words in said and line in (0, 3, 4, 8)


def test_stage_1_without_its_projector(folder: Path) -> None:
    settings = ("train.language=frozen", "train.projector=false")
    found = [said for _, said in problems(folder, good(folder), *settings, stage=1)]
    assert len(found) == 2 and any("nothing but the projector: set it to true" in s for s in found)


@pytest.mark.parametrize(
    "settings",
    [
        ("train.language=frozen",),
        PARTS,
        (*PARTS, "model.feature_layer=[-2, -5]", "model.projector=linear"),
        ("train.language=lora", "model.precision=4bit"),
        ("train.tower=true", "train.features=live", "train.tower_learning_rate=1e-6"),
        ("model.fresh_projector=true", "model.template=plain"),
        ("model.checkpoint=llava-hf/llava-1.5-7b-hf",),
    ],
)
def test_what_fits_together(folder: Path, settings: tuple[str, ...]) -> None:
    load(folder, good(folder), *settings)


# --- the recipes that come with the studio --------------------------------------------------------


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_that_comes_with_the_studio(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with it but that its data has to be fetched first."""
    monkeypatch.chdir(ROOT)
    stage: Any = 1 if "pretrain" in path.stem else 2
    try:
        load_recipe(path, (), stage)
    except RecipeError as error:
        missing = ("there is no file", "there is no folder")
        others = [said for _, said in error.problems if not any(m in said for m in missing)]
        assert not others


def test_recipes_write_into_folders_of_their_own() -> None:
    outputs = [yaml.safe_load(path.read_text())["output"] for path in RECIPES]
    assert RECIPES and len(set(outputs)) == len(outputs)

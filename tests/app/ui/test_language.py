"""Two languages: nothing is missing in either, and no words stand elsewhere."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from app.errors import BadPicture, StudioError
from app.settings import ROOT
from app.ui.language import LANGUAGES, PageError, load_texts
from app.ui.preference import accepted
from app.ui.screen import Notice

ENGLISH, CHINESE = load_texts("en"), load_texts("zh")
SOURCES = sorted((ROOT / "app" / "ui").glob("**/*.py"))
SCRIPTS = sorted((ROOT / "assets").glob("*.js"))
SAME_IN_BOTH = {"page.title", "sampling.top_p", "errors.detailed"}
WORDED = {"label", "placeholder", "info", "title", "value", "choices", "submit_btn", "stop_btn"}
"""Arguments of Gradio's parts that a person reads."""
KEY = re.compile(r"[a-z_]+\.[a-z0-9_]+")
FAMILY = re.compile(r"""["'`]([a-z_]+\.[a-z0-9_]*\$?\{[^}]*\}[a-z0-9_]*)["'`]""")
"""A key that is put together in the code: f"rating.{reason}", `branch.${kind}_position`."""


def fields(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_is_in_every_language_with_words(language: str) -> None:
    texts = load_texts(language)  # type: ignore[arg-type]
    assert texts.keys == ENGLISH.keys
    assert all(texts(key).strip() for key in texts.keys)


def test_every_translation_has_the_same_fields_and_other_words() -> None:
    for key in ENGLISH.keys:
        assert fields(ENGLISH(key)) == fields(CHINESE(key)), key
        if key != "page.other_language" and key not in SAME_IN_BOTH:
            assert re.search(r"[\u4e00-\u9fff]", CHINESE(key)), f"{key} is not Chinese"
            assert not re.search(r"[\u4e00-\u9fff]", ENGLISH(key)), f"{key} is not English"


def asked_for() -> set[str]:
    """Whatever looks like a key in the code of the page."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(KEY.findall(node.value))
    for path in SCRIPTS:
        found |= set(re.findall(r"""["'`]([a-z_]+\.[a-z0-9_]+)["'`]""", path.read_text("utf-8")))
    return found


def test_every_key_is_asked_for_somewhere() -> None:
    sources = [path.read_text("utf-8") for path in [*SOURCES, *SCRIPTS]]
    families = [family for source in sources for family in FAMILY.findall(source)]
    patterns = [re.sub(r"\$?\{[^}]*\}", "[a-z0-9_]+", family) for family in families]
    whole = re.compile("|".join(patterns))
    assert not {key for key in ENGLISH.keys - asked_for() if not whole.fullmatch(key)}


def test_every_key_that_is_asked_for_exists() -> None:
    asks = re.compile(r"""(?:texts|say|Notice|PageError|ControllerGone)\(\s*["']([^"'{]+)["']""")
    for path in [*SOURCES, *SCRIPTS]:
        unknown = set(asks.findall(path.read_text("utf-8"))) - ENGLISH.keys
        assert not {key for key in unknown if KEY.fullmatch(key)}, path.name


def worded(path: Path) -> list[str]:
    """Words that Python gives to a part of the page without asking the texts."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("gr.")):
            continue
        words = [keyword.value for keyword in node.keywords if keyword.arg in WORDED]
        for value in [*node.args[:1], *words]:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.append(value.value)
    return [words for words in found if re.search("[A-Za-z]", words)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_part_of_the_page_has_words_of_its_own(path: Path) -> None:
    assert not worded(path)
    tags = re.findall(r">\s*([A-Z][a-z]+[^<>{}\n\"']*)</", path.read_text("utf-8"))
    assert not tags, "words inside HTML"


def test_the_check_for_words_finds_them(tmp_path: Path) -> None:
    source = tmp_path / "part.py"
    source.write_text(
        'gr.Button("Send")\ngr.Textbox(label="Name", elem_id="x")\ngr.HTML(texts("a.b"))'
    )
    assert worded(source) == ["Send", "Name"]


ONLY_IN_THE_TERMINAL = ("app.ports", "app.supervisor")
"""Where errors stand that end a process before there is a page."""


def test_every_kind_of_error_has_words_in_chinese() -> None:
    def codes(kind: type[StudioError]) -> set[str]:
        told = set() if kind.__module__ in ONLY_IN_THE_TERMINAL else {kind.code}
        return told.union(*map(codes, kind.__subclasses__()))

    own = codes(PageError)
    assert {f"errors.{code}" for code in codes(StudioError) - own} <= CHINESE.keys


def test_an_error_is_said_in_the_persons_language_with_its_values() -> None:
    error = BadPicture("p.png is not a picture.")
    assert Notice(error=error).words(ENGLISH).startswith("p.png is not a picture. Send")
    chinese = Notice(error=error).words(CHINESE)
    assert chinese.startswith("无法读取这张图片") and "p.png is not a picture." in chinese
    gone = PageError("refusals.upload_gone", name="a.png")
    assert Notice(error=gone).words(CHINESE) == "图片 a.png 已不存在。请重新添加后再发送。"
    assert "a.png" in str(gone) and Notice().words(CHINESE) == ""


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("de-DE, zh;q=0.5, en;q=0.4", "zh"),
        ("zh;q=0, en", "en"),
        ("fr;q=x, *", "en"),
    ],
)
def test_a_browser_gets_the_first_language_that_the_page_has(header: str, language: str) -> None:
    assert accepted(header) == language

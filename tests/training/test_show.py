"""The page of samples: what it marks as learnt is what is learnt, and texts stay texts."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from llava_core.conversation import Conversation, assistant, user
from llava_core.templates import NAMED_TEMPLATES
from tests.pictures import png
from training.data_urls import SIDE, data_url
from training.measure import BUNDLED, load_measure
from training.show import main, pieces_of

EVIL = '<script>alert("x")</script><img src=x onerror=y> & "\' </s>'
OWN_TAGS = {"html", "head", "meta", "title", "style", "body", "main", "article", "header"} | {
    *("h1", "h2", "p", "div", "ul", "li", "b", "i", "span", "figure")
}


class Reader(HTMLParser):
    """What a browser would make of the page: its tags, its texts by class, its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.spans: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.tags |= {name for name, _ in attrs if name.startswith("on")}
        if tag == "span":
            self.inside = True
            self.spans.append((dict(attrs).get("class") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "span"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.inside:
            name, text = self.spans[-1]
            self.spans[-1] = (name, text + data)


def write(folder: Path, records: list[dict[str, Any]]) -> Path:
    path = folder / "data.json"
    path.write_text(json.dumps(records))
    return path


def record(name: str, *turns: str, image: Any = None) -> dict[str, Any]:
    values = [
        {"from": "gpt" if position % 2 else "human", "value": value}
        for position, value in enumerate(turns)
    ]
    return {"id": name, "conversations": values, **({"image": image} if image else {})}


def show(data: Path, *more: object) -> Reader:
    output = data.with_suffix(".html")
    assert main([str(word) for word in (data, "--output", output, *more)]) == 0
    return Reader(output.read_text())


def test_what_is_marked_as_learnt_are_the_answers_and_their_end(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png("red", (900, 40)))
    turns = ("<image>\nWhat is it?", "A red\nline, é🙂.", "Sure?", "Yes.")
    read = show(write(tmp_path, [record("a", *turns, image="a.png")]))
    assert read.spans == [
        ("prompt", "USER: 64 visual tokens\nWhat is it? ASSISTANT:"),
        ("learnt", " A red\nline, é🙂.</s>"),
        ("prompt", "USER: Sure? ASSISTANT:"),
        ("learnt", " Yes.</s>"),
    ]
    (url,) = read.links
    shown = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert shown.size == (SIDE, round(40 * SIDE / 900))


def test_texts_are_never_markup(tmp_path: Path) -> None:
    texts = (f"<image>{EVIL}", EVIL)
    records = [record(EVIL, *texts, image=[EVIL]), record(EVIL, EVIL, EVIL)]
    read = show(write(tmp_path, records))
    assert read.tags <= OWN_TAGS
    assert read.links == []
    whole = "".join(read.texts)
    assert whole.count('<script>alert("x")</script>') >= 5
    assert "It cannot be shown" in whole and "cannot be read" in whole


@pytest.mark.parametrize("template", NAMED_TEMPLATES)
def test_the_pieces_are_the_rendered_text(template: str) -> None:
    measure = load_measure(BUNDLED, template)
    picture = Image.new("RGB", (1, 1))
    first = (user("Q é漢🙂  \n", picture), assistant(" <image>A "))
    talk = Conversation((*first, user("R"), assistant("B")))
    rendered = measure.renderer.render(talk, generation_prompt=False)
    pieces = pieces_of(measure, talk)
    assert "".join(piece.text for piece in pieces) == rendered.text
    assert [piece.id for piece in pieces] == rendered.token_ids
    assert [piece.learnt for piece in pieces] == rendered.loss_mask
    assert [piece.visual for piece in pieces if piece.visual] == [64]


def test_the_seed_draws_the_samples(tmp_path: Path) -> None:
    data = write(tmp_path, [record(f"id{i}", "Q", "A") for i in range(30)])

    def drawn(*more: object) -> list[str]:
        return [text for text in show(data, *more).texts if text.startswith("record ")]

    five = drawn("--number", 5, "--seed", 1)
    assert len(five) == 5 and five == drawn("--number", 5, "--seed", 1)
    assert five != drawn("--number", 5, "--seed", 2)
    assert len(drawn("--number", 99)) == 30


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.json"], "not a .json"),
        (["d.json", "--number", "0"], "--number 0 shows nothing"),
        (["d.json", "--output", "d.json"], "no page"),
    ],
)
def test_what_cannot_run_ends_with_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(words)
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2 and message in capsys.readouterr().err


def test_small_pictures_stay_exact_and_large_ones_become_small() -> None:
    assert data_url(Image.new("RGB", (96, 96))).startswith("data:image/png;")
    large = data_url(Image.effect_noise((3000, 2000), 50).convert("RGB"))
    assert large.startswith("data:image/jpeg;") and len(large) < 400_000

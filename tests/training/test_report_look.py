"""The document of all report pages: it loads nothing, and its title stays a text."""

from __future__ import annotations

import re

import pytest

from training.report_look import COLOURS, document

EVIL = '</title><script>alert("x")</script> & more'


def policy(html: str) -> dict[str, str]:
    """What the page's Content-Security-Policy allows, by directive."""
    (content,) = re.findall(r'<meta http-equiv="Content-Security-Policy"\s+content="(.*?)">', html)
    return dict(part.strip().split(" ", 1) for part in content.split(";"))


@pytest.mark.parametrize(
    ("pictures", "more"), [(False, {}), (True, {"img-src": "data:"})], ids=["texts", "pictures"]
)
def test_a_page_loads_nothing_and_shows_data_pictures_only_where_asked(
    pictures: bool, more: dict[str, str]
) -> None:
    html = document("A title", "", "<p>Hello</p>", pictures=pictures)
    assert policy(html) == {"default-src": "'none'", "style-src": "'unsafe-inline'", **more}


def test_the_title_is_a_text_and_the_body_is_not() -> None:
    html = document(EVIL, "", "<p>Hello</p>")
    (title,) = re.findall("<title>(.*)</title>", html)
    assert "<" not in title and "&lt;script&gt;" in title and "&amp; more" in title
    assert "<body>\n<p>Hello</p>\n</body>" in html


def test_a_pages_own_style_comes_last() -> None:
    html = document("A title", "h1 { color: red; }", "")
    assert html.count("<style>") == 1
    assert html.index("h1 { margin") < html.index("h1 { color: red; }</style>")


def test_each_colour_has_its_class_and_its_two_shades() -> None:
    html = document("A title", "", "")
    for number in range(COLOURS):
        assert f".c{number} {{ --of: var(--c{number}); }}" in html
        assert html.count(f"--c{number}: #") == 2  # light and dark

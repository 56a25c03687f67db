"""The pages of the site, and the links between them."""

from __future__ import annotations

import re

import httpx
import pytest

from app.ui.language import load_texts
from app.ui.navigation import ARENA, PLACES, navigation_html
from tests.app.ui.test_page import page

__all__ = ["page"]


def test_links_are_relative_and_the_page_one_is_on_is_marked() -> None:
    shown = navigation_html(ARENA, load_texts("en"))
    links = re.findall('href="([^"]*)"', shown)
    assert links[:4] == ["./", "./compare", "./arena", "./leaderboard"]
    assert links[4:] == ["./arena?language=zh"]
    assert re.findall("<a [^>]*aria-current[^>]*>([^<]*)</a>", shown) == ["Arena"]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.key)
def test_every_place_is_a_page_with_the_navigation(page: httpx.Client, place: object) -> None:
    path = place.path
    response = page.get(f"/{path}")
    assert response.status_code == 200
    assert response.headers["content-security-policy"]
    assert f'href=\\"./{path}\\" aria-current=\\"page\\"' in response.text

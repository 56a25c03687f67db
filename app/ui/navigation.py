"""The pages of the site, and the way from each to the others."""

from __future__ import annotations

import html
from dataclasses import dataclass

import gradio as gr

from app.settings import ROOT

LOGO = ROOT / "assets" / "logo.svg"
SITE = "LLaVA Studio"


@dataclass(frozen=True)
class Place:
    """A page: its path under the site's root, and its name in the navigation."""

    path: str
    name: str


CHAT = Place("", "Chat")
COMPARE = Place("compare", "Compare")
ARENA = Place("arena", "Arena")
LEADERBOARD = Place("leaderboard", "Leaderboard")
PLACES = (CHAT, COMPARE, ARENA, LEADERBOARD)


def open_page(blocks: gr.Blocks, place: Place) -> gr.Blocks:
    """The place as a page of its own: what is built ``with`` the result stands on it.

    Gradio's own bar of pages, a line above each of them, is not shown (assets/arena.css).
    """
    page: gr.Blocks = blocks.route(place.name, place.path, show_in_navbar=False)
    return page


def build_top(here: Place) -> None:
    """The line at the top of a page that has nothing of its own there; inside ``gr.Blocks``."""
    with gr.Row(elem_id="head", equal_height=True):
        build_brand()
        build_navigation(here)


def build_brand() -> gr.HTML:
    """Logo and name of the site."""
    return gr.HTML(f"{LOGO.read_text('utf-8')}<h1>{SITE}</h1>", elem_id="brand")


def build_navigation(here: Place) -> gr.HTML:
    """Links to all pages, this one marked."""
    return gr.HTML(navigation_html(here), elem_id="places")


def navigation_html(here: Place) -> str:
    """The links. They are relative, so that the site may live under a path of another one."""
    links = "".join(_link(place, place == here) for place in PLACES)
    return f'<nav aria-label="Pages">{links}</nav>'


def _link(place: Place, current: bool) -> str:
    mark = ' aria-current="page"' if current else ""
    return f'<a href="./{place.path}"{mark}>{html.escape(place.name)}</a>'

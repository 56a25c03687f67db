"""The pages of the site, and the way from each to the others."""

from __future__ import annotations

import html
from dataclasses import dataclass

import gradio as gr

from app.settings import ROOT
from app.ui.language import LOCALES, Language, Texts

LOGO = ROOT / "assets" / "logo.svg"


@dataclass(frozen=True)
class Place:
    """A page: its path under the site's root, and the key of its name in ``assets/texts``."""

    path: str
    key: str


CHAT = Place("", "places.chat")
COMPARE = Place("compare", "places.compare")
ARENA = Place("arena", "places.arena")
LEADERBOARD = Place("leaderboard", "places.leaderboard")
PLACES = (CHAT, COMPARE, ARENA, LEADERBOARD)


def open_page(blocks: gr.Blocks, place: Place, texts: Texts) -> gr.Blocks:
    """The place as a page of its own: what is built ``with`` the result stands on it.

    Gradio's own bar of pages, a line above each of them, is not shown (assets/arena.css).
    """
    page: gr.Blocks = blocks.route(texts(place.key), place.path, show_in_navbar=False)
    return page


def build_top(here: Place, texts: Texts) -> None:
    """The line at the top of a page that has nothing of its own there; inside ``gr.Blocks``."""
    with gr.Row(elem_id="head", equal_height=True):
        build_brand(texts)
        build_navigation(here, texts)


def build_brand(texts: Texts) -> gr.HTML:
    """Logo and name of the site."""
    return gr.HTML(f"{LOGO.read_text('utf-8')}<h1>{texts('page.title')}</h1>", elem_id="brand")


def build_navigation(here: Place, texts: Texts) -> gr.HTML:
    """Links to all pages, this one marked, and to this page in the other language."""
    return gr.HTML(navigation_html(here, texts), elem_id="places")


def navigation_html(here: Place, texts: Texts) -> str:
    """The links. They are relative, so that the site may live under a path of another one."""
    links = "".join(_link(place, texts, place == here) for place in PLACES)
    nav = f'<nav aria-label="{texts("places.label")}">{links}</nav>'
    return f"{nav}{_switch(here, texts)}{_keys(texts)}"


def _link(place: Place, texts: Texts, current: bool) -> str:
    mark = ' aria-current="page"' if current else ""
    return f'<a href="./{place.path}"{mark}>{html.escape(texts(place.key))}</a>'


def _switch(here: Place, texts: Texts) -> str:
    """A link to the same page in the other language, which is remembered."""
    other: Language = "zh" if texts.language == "en" else "en"
    name, what = texts("page.other_language"), html.escape(texts("page.switch_language"))
    return (
        f'<a class="language" href="./{here.path}?language={other}" data-language="{other}" '
        f'hreflang="{LOCALES[other]}" lang="{LOCALES[other]}" title="{what}">{name}</a>'
    )


def _keys(texts: Texts) -> str:
    """A button that opens the sheet of keys (assets/keys.js)."""
    what = html.escape(texts("keys.title"))
    return (
        '<button type="button" class="show-keys" data-show="keys" aria-haspopup="dialog" '
        f'aria-label="{what}" title="{what}"><kbd aria-hidden="true">?</kbd></button>'
    )

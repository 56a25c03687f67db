"""The HTML document around Gradio's page: its language, its name, and the files of ``assets``."""

from __future__ import annotations

import hashlib
import html
import json
import re
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import ROOT
from app.ui.language import LANGUAGES, LOCALES, PREFIXES, Language, load_texts
from app.ui.theme import BASALT

ASSETS = ROOT / "assets"
FILES_PATH = "studio"
"""Where the page finds the files of ``assets``, relative to itself."""
SCRIPTS = (
    "blocked.js",
    "page.js",
    "adding.js",
    "icons.js",
    "vendor/marked.umd.js",
    "markdown.js",
    "conversation.js",
    "looking.js",
    "cropping.js",
    "received.js",
    "models.js",
    "keys.js",
    "history_menu.js",
    "history.js",
    "arena.js",
)
SHEET = "whole.css"
"""Gradio is given all other sheets."""
KATEX = {"js": "vendor/katex/katex.min.js", "css": "vendor/katex/katex.min.css"}
"""Loaded when the first formula is shown. Its style sheet names its fonts relative to itself."""
MANIFEST_PATH = "manifest.webmanifest"
"""Where app/ui/installing.py tells browsers how to install the page, relative to it."""
FOLDERS = ("vendor", "examples", "icons")
"""Folders of ``assets`` whose files a page may load."""
_PREVIEWS = re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*>', re.DOTALL)
_MANIFEST = re.compile(r'<link rel="manifest"[^>]*>')
_EARLY = """
window.studio = {data};
for (const name of ["language", "languages"]) {{
  const value = name === "language" ? studio.locale : [studio.locale];
  Object.defineProperty(navigator, name, {{ get: () => value, configurable: true }});
}}
"""
"""Gradio words its own parts in the browser's language; here that is the one chosen on the page."""


class Document:
    """ASGI middleware: Gradio's HTML pages become ours; everything else passes unchanged.

    Gradio's template says that every page is English, and shows other sites a preview of Gradio.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
            await self._app(scope, receive, send)
            return
        language = language_of(scope["path"])
        start: Message | None = None
        body = b""

        async def rewriting(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                if Headers(raw=message["headers"]).get("content-type", "").startswith("text/html"):
                    start = message
                    return
            elif start is not None:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                page = rewritten(body.decode("utf-8"), language).encode("utf-8")
                MutableHeaders(scope=start)["content-length"] = str(len(page))
                await send(start)
                message = {"type": "http.response.body", "body": page}
            await send(message)

        await self._app(scope, receive, rewriting)


def language_of(path: str) -> Language:
    """The language of the page at this path."""
    for language in LANGUAGES:
        prefix = PREFIXES[language]
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            return language
    return "en"


def rewritten(page: str, language: Language) -> str:
    """Gradio's document in this language, with our head; other documents are left alone."""
    if "gradio_config" not in page:
        return page
    page = _MANIFEST.sub("", _PREVIEWS.sub("", page))
    page = page.replace('lang="en"', f'lang="{LOCALES[language]}"', 1)
    return page.replace('<meta charset="utf-8" />', f'<meta charset="utf-8" />{_head(language)}', 1)


@cache
def _head(language: Language) -> str:
    texts = load_texts(language)
    data = {
        "language": language,
        "locale": LOCALES[language],
        "texts": texts.entries,
        "katex": {name: asset_url(path) for name, path in KATEX.items()},
    }
    early = _EARLY.format(data=json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))
    scripts = "".join(f'<script defer src="{asset_url(name)}"></script>' for name in SCRIPTS)
    description = html.escape(texts("page.description"), quote=True)
    return (
        f'<script>{early}</script><meta name="description" content="{description}">'
        f'<link rel="stylesheet" href="{asset_url(SHEET)}">{_as_app()}{scripts}'
    )


def _as_app() -> str:
    """What makes the page an app. A manifest is asked for without cookies, unless told otherwise:
    where people log in, nobody would get it then."""
    colours = "".join(
        f'<meta name="theme-color" media="(prefers-color-scheme: {scheme})" content="{colour}">'
        for scheme, colour in (("light", BASALT.c50), ("dark", BASALT.c950))
    )
    return (
        f'<link rel="manifest" href="./{MANIFEST_PATH}" crossorigin="use-credentials">'
        f'<link rel="apple-touch-icon" href="{asset_url("icons/touch-180.png")}">{colours}'
    )


@cache
def asset_url(name: str) -> str:
    """The address of a file of ``assets``, relative to the page; another one when it changes."""
    digest = hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()[:12]
    return f"./{FILES_PATH}/{name}?{digest}"


def asset(name: str) -> Path | None:
    """The file that the page may load under this name; None for all other files."""
    path = (ASSETS / name).resolve()
    allowed = name in (*SCRIPTS, "shared.js", SHEET) or any(
        path.is_relative_to(ASSETS / folder) for folder in FOLDERS
    )
    return path if allowed and path.is_file() else None

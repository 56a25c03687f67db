"""The page behind a link: one conversation as it was shared, to be read by whoever has the link.

It stands beside Gradio's pages: nothing can be asked there, nobody is asked who they are, and
search engines are told to leave it alone. assets/conversation.js draws the conversation as the
chat does.
"""

from __future__ import annotations

import html
import json
from functools import cache

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from app.errors import NotFound, StudioError
from app.history import SharedConversation
from app.ui.document import ASSETS, KATEX, asset_url
from app.ui.history_client import HistoryClient
from app.ui.language import LOCALES, Texts, load_texts
from app.ui.messages import Message, messages_of
from app.ui.preference import preferred
from app.ui.theme import StudioTheme

PAGE = ASSETS / "shared.html"
SHEETS = ("conversation.css", "shared.css")
SCRIPTS = (
    "icons.js",
    "vendor/marked.umd.js",
    "markdown.js",
    "conversation.js",
    "looking.js",
    "shared.js",
)
SECTIONS = ("answer", "branch", "chat", "look", "picture", "question", "shared")
"""Words that the scripts ask for."""
HEADERS = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"}
"""What is revoked must not live on in a browser's cache."""


def serve_shared(app: FastAPI, client: HistoryClient) -> None:
    """``/shared/TOKEN`` and its pictures."""

    @app.get("/shared/{token}")
    async def page(request: Request, token: str) -> Response:
        texts = load_texts(preferred(request.headers))
        try:
            return _answer(texts, _conversation(texts, await client.shared(token)))
        except NotFound:
            return _answer(texts, _refusal(texts("shared.gone_title"), texts("shared.gone")), 404)
        except StudioError as error:
            words = _refusal(texts("shared.failed_title"), texts.error(error))
            return _answer(texts, words, error.status)

    @app.get("/shared/{token}/pictures/{sha256}")
    async def picture(token: str, sha256: str) -> Response:
        try:
            stored = await client.shared_picture(token, sha256)
        except StudioError as error:
            return Response(f"{error.message} {error.remedy}", error.status)
        headers = HEADERS | {"X-Content-Type-Options": "nosniff"}
        return Response(stored.data, media_type=stored.media_type, headers=headers)


def messages_shared(shared: SharedConversation) -> list[Message]:
    """The conversation's messages, with addresses of pictures that the link is enough for."""
    messages = messages_of(shared.conversation)
    for message in messages:
        message["pictures"] = [
            f"shared/{shared.token}/{address}" for address in message.get("pictures", [])
        ]
    return messages


def _conversation(texts: Texts, shared: SharedConversation) -> dict[str, str]:
    """What fills the page for a link that leads somewhere; values are HTML."""
    data = {
        "locale": LOCALES[texts.language],
        "texts": {name: texts.entries[name] for name in SECTIONS},
        "katex": {name: asset_url(path) for name, path in KATEX.items()},
        "messages": messages_shared(shared),
    }
    scripts = "".join(f'<script defer src="{asset_url(name)}"></script>' for name in SCRIPTS)
    when = html.escape(shared.shared_at, quote=True)
    return {
        "title": html.escape(shared.conversation.title),
        "data": json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
        "scripts": scripts,
        "about": f'{html.escape(texts("shared.what"))} <time datetime="{when}">{when[:10]}</time>',
        "body": '<div id="chat" class="shared-chat"></div>',
    }


def _refusal(title: str, words: str) -> dict[str, str]:
    return {
        "title": html.escape(title),
        "data": "{}",
        "scripts": "",
        "about": "",
        "body": f'<p class="shared-gone">{html.escape(words)}</p>',
    }


def _answer(texts: Texts, values: dict[str, str], status: int = 200) -> HTMLResponse:
    page = PAGE.read_text("utf-8")
    values = {
        "language": LOCALES[texts.language],
        "style": _style(),
        "name": html.escape(texts("page.title")),
        "chat": html.escape(texts("shared.to_chat")),
        **values,
    }
    # In one go: what a value holds is never taken for a place of another.
    for number, part in enumerate(parts := page.split("{{")):
        key, closed, rest = part.partition("}}")
        if number and closed:
            parts[number] = values[key] + rest
    return HTMLResponse("".join(parts), status, HEADERS)


@cache
def _style() -> str:
    """The colours of the theme, and the sheets of the page."""
    sheets = "".join((ASSETS / name).read_text("utf-8") for name in SHEETS)
    colours: str = StudioTheme()._get_theme_css()  # type: ignore[no-untyped-call]
    return colours + sheets

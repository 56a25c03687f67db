"""What stands before every request: its id, and the refusal of other web pages' requests.

A page that a person happens to visit can send requests to this machine from the person's browser
(cross-site request forgery). Browsers name the page in the ``Origin`` header then; programs send
none. The app's own page asks from its server, not from the browser.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import NotAllowed
from app.http import error_response, request_id
from app.protocol import REQUEST_ID_HEADER


class Guard:
    """ASGI middleware: gives each response its request's id, and refuses foreign origins."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        identity = request_id(request)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = identity
            await send(message)

        if _is_foreign(request):
            refusal = NotAllowed(
                f"Requests from the web page {request.headers['origin'][:100]} are not accepted.",
                "Send them from a program, or from a page of the controller's own address.",
            )
            await error_response(request, refusal)(scope, receive, send_with_id)
            return
        await self._app(scope, receive, send_with_id)


def _is_foreign(request: Request) -> bool:
    origin = request.headers.get("origin")
    host = request.headers.get("host")
    return origin not in (None, f"http://{host}", f"https://{host}")

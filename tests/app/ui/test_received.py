"""What a model receives of a picture, on the page's server."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from app.received import ReceivedPicture
from app.settings import Settings
from app.ui.client import ControllerClient
from app.ui.received import serve_received
from tests.app.ui.fake_controller import FakeController
from tests.servers import running

TOLD = ReceivedPicture(
    model="a/b",
    width=8,
    height=6,
    side=4,
    frames=["data:image/png;base64,"],
    view=(0, 0, 1, 1),
    visual_tokens=4,
)


def test_it_is_passed_on_and_errors_are_words_in_the_pages_language(
    fake: FakeController, address: str
) -> None:
    asked: list[str] = []

    async def received(sha256: str, model: str) -> ReceivedPicture:
        asked.append(f"{sha256} {model}")
        return TOLD

    fake.app.add_api_route("/api/images/{sha256}/received", received)
    page = FastAPI()
    serve_received(page, ControllerClient(Settings(controller_url=address)))
    with running(page) as url, httpx.Client(base_url=url, trust_env=False) as client:
        reply = client.get("/zh/received/ab", params={"model": "a/b"})
        assert ReceivedPicture.model_validate(reply.json()) == TOLD and asked == ["ab a/b"]
    gone = FastAPI()
    serve_received(gone, ControllerClient(Settings(controller_url="http://127.0.0.1:9")))
    with running(gone) as url, httpx.Client(base_url=url, trust_env=False) as client:
        reply = client.get("/zh/received/ab")
        assert reply.status_code == 503 and "控制器" in reply.json()["error"]

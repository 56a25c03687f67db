"""The way from the page to the controller."""

from __future__ import annotations

import httpx
import pytest

from app.errors import NotFound, StudioError, UnknownModel
from app.settings import Settings
from app.ui.client import ControllerClient, ControllerGone
from tests.app.ui.fake_controller import FakeController


def answering(response: httpx.Response) -> ControllerClient:
    transport = httpx.MockTransport(lambda request: response)
    return ControllerClient(Settings(), transport)


async def test_errors_come_back_as_they_were_raised() -> None:
    error = UnknownModel("There is no model x.", "Choose y.")
    client = answering(httpx.Response(404, json=error.to_wire("r1")))
    with pytest.raises(UnknownModel) as raised:
        await client.list_models()
    assert (raised.value.message, raised.value.remedy) == ("There is no model x.", "Choose y.")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"detail": "no"}'])
async def test_an_error_of_something_else_gives_its_status(body: bytes) -> None:
    with pytest.raises(StudioError, match="status 502"):
        await answering(httpx.Response(502, content=body)).list_models()


async def test_a_reply_of_another_version_is_refused() -> None:
    with pytest.raises(StudioError, match="GET /v1/models cannot be read"):
        await answering(httpx.Response(200, json={"models": []})).list_models()


async def test_no_controller_is_one_sentence_and_a_next_step() -> None:
    client = ControllerClient(Settings(controller_url="http://127.0.0.1:9"))
    with pytest.raises(ControllerGone, match="does not answer") as raised:
        await client.conversation("person", "c1")
    assert "Wait some seconds" in raised.value.message
    await client.close()


async def test_silence_is_told_apart() -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("silence")

    with pytest.raises(ControllerGone, match="silent for too long"):
        await ControllerClient(Settings(), httpx.MockTransport(silent)).list_models()


async def test_pictures_come_with_their_type(
    client: ControllerClient, fake: FakeController
) -> None:
    fake.pictures["ab"] = b"bytes"
    picture = await client.picture("ab")
    assert (picture.data, picture.media_type) == (b"bytes", "image/png")
    with pytest.raises(NotFound):
        await client.picture("cd")

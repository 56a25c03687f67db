"""How a stored picture reaches a model, asked through controller and worker."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import pytest
from PIL import Image

from app.received import ReceivedPicture
from app.settings import Settings
from app.worker.backend import EngineBackend
from app.worker.checkpoint import load_backend
from tests.app.controller.conftest import Desk, code
from tests.fakes import ScriptedBackend
from tests.pictures import png, question
from tests.tiny_checkpoint import make_tiny_checkpoint


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> EngineBackend:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny_checkpoint(folder)
    backend = load_backend(str(folder), Settings(precision="32bit", device="cpu"))
    assert isinstance(backend, EngineBackend)
    return backend


def stored(desk: Desk, picture: bytes) -> str:
    """Ask about a picture, and return its address."""
    answer = desk.ask(question("What is it?", picture), max_tokens=2).json()
    turn = desk.conversation(answer["conversation_id"])["turns"][0]
    return str(turn["images"][0]["sha256"])


def received(desk: Desk, sha256: str, **headers: str) -> httpx.Response:
    return desk.client.get(f"/api/images/{sha256}/received", headers=headers)


def test_the_square_that_the_tower_sees_and_its_tokens(desk: Desk, real: EngineBackend) -> None:
    desk.add_worker(real)
    reply = received(desk, stored(desk, png("red", (80, 40))))
    assert reply.status_code == 200, reply.text
    told = ReceivedPicture.model_validate_json(reply.content)
    assert (told.model, told.width, told.height) == (real.info.id, 80, 40)
    (frame,) = told.frames
    image = Image.open(io.BytesIO(base64.b64decode(frame.split(",")[1])))
    size: Any = real.engine.checkpoint.model.config.vision_config
    assert image.size == (told.side, told.side) == (size.image_size, size.image_size)
    assert told.visual_tokens == (size.image_size // size.patch_size) ** 2
    assert image.getpixel((3, 3)) == pytest.approx((255, 0, 0), abs=1)
    assert told.view == pytest.approx((0, 0, 1, 1), abs=0.02), "it is stretched"


def test_another_persons_picture_and_an_unknown_one_are_not_there(
    desk: Desk, real: EngineBackend
) -> None:
    desk.add_worker(real)
    sha256 = stored(desk, png())
    assert code(received(desk, sha256, **{"X-Person-Id": "somebody-else"})) == (404, "not_found")
    assert code(received(desk, "ab" * 32)) == (404, "not_found")


def test_a_model_outside_the_engine_says_that_it_cannot(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    reply = received(desk, stored(desk, png()))
    assert code(reply) == (400, "bad_request") and "cannot tell what it receives" in reply.text

"""What is refused, in which words, before anything is stored or answered."""

from __future__ import annotations

import struct
import zlib

import pytest

from app.errors import ContextTooLong
from tests.app.controller.conftest import Desk, code
from tests.fakes import ScriptedBackend
from tests.pictures import png, question


@pytest.mark.parametrize("text", ["", "   \n"])
def test_an_empty_message_is_refused(desk: Desk, backend: ScriptedBackend, text: str) -> None:
    desk.add_worker(backend)
    assert code(desk.ask(question(text))) == (400, "empty_message")
    assert code(desk.ask(question(text, png()))) == (400, "empty_message")
    assert desk.client.get("/api/conversations").json()["total"] == 0


@pytest.mark.parametrize("data", [b"this is no picture", png(size=(400, 400))[:300]])
def test_what_is_no_picture_is_refused(desk: Desk, backend: ScriptedBackend, data: bytes) -> None:
    desk.add_worker(backend)
    assert code(desk.ask(question("What?", data))) == (400, "bad_picture")


@pytest.mark.parametrize("url", ["http://127.0.0.1/x.png", "file:///etc/passwd", "/etc/passwd"])
def test_no_address_is_fetched(desk: Desk, backend: ScriptedBackend, url: str) -> None:
    desk.add_worker(backend)
    message = question("What?")
    message["content"].insert(0, {"type": "image_url", "image_url": {"url": url}})  # type: ignore[attr-defined]
    reply = desk.ask(message)
    assert code(reply) == (400, "bad_request") and "data:" in reply.json()["error"]["message"]


def test_a_40_megabyte_upload_is_too_large(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    reply = desk.ask(question("What?", b"\0" * 40_000_000))
    assert code(reply) == (413, "too_large") and "MB" in reply.json()["error"]["message"]


def test_a_body_beyond_all_limits_is_cut_off_early(desk: Desk) -> None:
    desk.settings.max_images = desk.settings.max_upload_mb = 1
    reply = desk.client.post("/v1/chat/completions", content=b" " * 8_000_000)
    assert code(reply) == (413, "too_large")


def test_unknown_model_and_no_worker(desk: Desk, backend: ScriptedBackend) -> None:
    assert code(desk.ask(question("What?"))) == (503, "no_worker")
    desk.add_worker(backend)
    reply = desk.ask(question("What?"), model="gpt-9")
    assert code(reply) == (404, "unknown_model") and "scripted" in reply.json()["error"]["remedy"]


def test_the_workers_own_error_reaches_the_person(desk: Desk) -> None:
    backend = ScriptedBackend(error=ContextTooLong("The conversation takes 999 tokens."))
    desk.add_worker(backend)
    reply = desk.ask(question("long " * 50))
    assert code(reply) == (400, "context_too_long")
    assert reply.json()["error"]["request_id"] == reply.headers["X-Request-Id"]


def test_a_picture_with_too_many_pixels_is_refused_before_decoding(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    reply = desk.ask(question("What?", bomb(20_000, 3_000)))
    assert code(reply) == (400, "bad_picture")
    assert "60" in reply.json()["error"]["message"] and reply.json()["error"]["remedy"]
    assert code(desk.ask(question("What?", bomb(60_000, 60_000)))) == (400, "bad_picture")


def bomb(width: int, height: int) -> bytes:
    """A small PNG file that claims to be huge."""

    def block(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1_000_000)
    start = b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head)
    return start + block(b"IDAT", pixels) + block(b"IEND", b"")


def test_too_many_pictures_are_refused(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    desk.settings.max_images = 2
    reply = desk.ask(question("What?", png(), png("blue"))).json()
    more = desk.ask(question("And?", png("green")), conversation_id=reply["conversation_id"])
    assert code(more) == (400, "bad_request") and "3 pictures" in more.text


def test_a_picture_that_cannot_be_stored_leaves_no_conversation(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    desk.settings.images_dir.write_text("a file where the pictures' folder should be")
    reply = desk.ask(question("What?", png()))
    assert code(reply) == (507, "storage_failed") and "--data-dir" in reply.text
    assert desk.client.get("/api/conversations").json()["total"] == 0


def test_other_web_pages_cannot_use_a_visitors_browser(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    for origin in ("https://elsewhere.example", "null"):
        reply = desk.client.post("/api/ratings", content=b"{}", headers={"Origin": origin})
        assert code(reply) == (401, "not_allowed") and origin in reply.text
    own = desk.client.get("/v1/models", headers={"Origin": desk.url})
    assert own.is_success


def test_every_response_has_its_requests_id(desk: Desk) -> None:
    reply = desk.client.get("/health", headers={"X-Request-Id": "mine-1"})
    assert reply.headers["X-Request-Id"] == "mine-1"
    strange = desk.client.get("/nowhere", headers={"X-Request-Id": "<script>"})
    given = strange.headers["X-Request-Id"]
    assert len(given) == 32 and strange.json()["error"]["request_id"] == given


def test_workers_need_the_secret(desk: Desk) -> None:
    body = {"worker_id": "x", "url": "http://127.0.0.1:1", "models": []}
    assert code(desk.client.post("/internal/workers", json=body)) == (401, "not_allowed")
    assert desk.client.delete("/internal/workers/x").status_code == 401


def test_bad_requests_name_the_field(desk: Desk) -> None:
    reply = desk.client.post("/v1/chat/completions", json={"messages": 3})
    assert code(reply) == (400, "bad_request") and "messages" in reply.text
    assert code(desk.client.get("/nowhere")) == (404, "not_found")


def test_only_pictures_by_hash_are_served(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    reply = desk.ask(question("What?", png())).json()
    image = desk.conversation(reply["conversation_id"])["turns"][0]["images"][0]
    fetched = desk.client.get(f"/api/images/{image['sha256']}")
    assert fetched.headers["content-type"] == "image/png" and fetched.content[:4] == b"\x89PNG"
    assert fetched.headers["x-content-type-options"] == "nosniff"
    for wrong in ("0" * 64, "..%2f..%2fstudio.db", "x"):
        assert desk.client.get(f"/api/images/{wrong}").status_code == 404

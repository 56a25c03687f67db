"""Pictures that no browser shows, on the page's server."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import pillow_heif
import pytest
from fastapi import FastAPI
from PIL import Image

from app.errors import NotAllowed
from app.settings import Settings
from app.ui.readable import serve_readable
from tests.servers import running


@pytest.fixture
def page() -> Iterator[httpx.Client]:
    app = FastAPI()
    serve_readable(app, Settings(max_upload_mb=1, max_pixels_millions=1))
    with running(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def heic(size: tuple[int, int] = (64, 64)) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", size, "red")
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    pillow_heif.from_pillow(image).save(buffer, exif=exif.tobytes(), quality=90)
    return buffer.getvalue()


@pytest.mark.parametrize("prefix", ["", "/zh"])
def test_heic_becomes_jpeg_without_metadata(page: httpx.Client, prefix: str) -> None:
    sent = heic()
    assert b"taken at home" in sent
    reply = page.post(f"{prefix}/readable", content=sent)
    assert reply.headers["content-type"] == "image/jpeg"
    assert b"taken at home" not in reply.content
    image = Image.open(io.BytesIO(reply.content))
    assert (image.format, image.size) == ("JPEG", (64, 64))
    red, green, _ = image.getpixel((5, 5))
    assert red > 220 and green < 40


def test_what_is_wrong_is_said_in_the_pages_language(page: httpx.Client) -> None:
    refused = page.post("/readable", content=b"no picture")
    assert refused.status_code == 400 and "not a picture" in refused.json()["error"]
    assert "无法读取" in page.post("/zh/readable", content=b"no picture").json()["error"]
    assert page.post("/readable", content=b"x" * 1_100_000).status_code == 413


def test_limits_on_pixels_hold(page: httpx.Client) -> None:
    data = bytearray(heic())
    at = data.index(b"ispe") + 8
    data[at : at + 8] = (2000).to_bytes(4) + (1000).to_bytes(4)
    refused = page.post("/readable", content=bytes(data))
    assert refused.status_code == 400 and "2 million pixels" in refused.json()["error"]


def test_other_sites_may_not_ask(page: httpx.Client) -> None:
    refused = page.post("/readable", content=heic(), headers={"sec-fetch-site": "cross-site"})
    assert refused.status_code == NotAllowed.status

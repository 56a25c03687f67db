"""Pictures as they travel: data: URLs in, clean files out."""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image

from app.errors import BadPicture, BadRequest, TooLarge
from app.pictures import data_url, picture_from_data_url
from app.settings import Settings
from tests.pictures import as_data_url, png

SETTINGS = Settings(max_upload_mb=1, max_pixels_millions=4)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def photograph() -> bytes:
    """A JPEG on its side, whose metadata say so and where it was taken."""
    image = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees
    exif[0x010E] = "at home"
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, comment=b"at home")
    return buffer.getvalue()


def test_metadata_are_gone_and_the_picture_stands_upright() -> None:
    sent = photograph()
    assert b"at home" in sent
    picture = picture_from_data_url(as_data_url(sent, "image/jpeg"), SETTINGS)
    assert (picture.width, picture.height) == (20, 40)
    stored = opened(picture.data)
    assert stored.size == (20, 40) and not stored.getexif() and b"at home" not in picture.data


def test_the_name_is_the_hash_of_the_file_and_the_same_pixels_have_the_same_name() -> None:
    picture = picture_from_data_url(as_data_url(png()), SETTINGS)
    assert picture.sha256 == hashlib.sha256(picture.data).hexdigest()
    buffer = io.BytesIO()
    opened(png()).save(buffer, "BMP")
    again = picture_from_data_url(as_data_url(buffer.getvalue(), "image/bmp"), SETTINGS)
    assert again.sha256 == picture.sha256


def test_small_pictures_are_kept_exactly_and_large_ones_as_jpeg() -> None:
    small = picture_from_data_url(as_data_url(png(size=(100, 100))), SETTINGS)
    large = picture_from_data_url(as_data_url(png(size=(1500, 1500))), SETTINGS)
    assert (small.media_type, opened(small.data).format) == ("image/png", "PNG")
    assert (large.media_type, opened(large.data).format) == ("image/jpeg", "JPEG")


def test_a_data_url_comes_back_as_it_went() -> None:
    picture = picture_from_data_url(as_data_url(png()), SETTINGS)
    again = picture_from_data_url(data_url(picture.data, picture.media_type), SETTINGS)
    assert again == picture


@pytest.mark.parametrize(
    "url",
    ["https://example.com/a.png", "file:///etc/passwd", "/etc/passwd", "data:image/png,raw", ""],
)
def test_nothing_but_base64_data_is_accepted(url: str) -> None:
    with pytest.raises(BadRequest, match="data: URLs only") as caught:
        picture_from_data_url(url, SETTINGS)
    assert "data:image/png;base64" in caught.value.remedy


def test_damaged_base64_is_no_picture() -> None:
    with pytest.raises(BadPicture, match="base64"):
        picture_from_data_url("data:image/png;base64,!!!", SETTINGS)


def test_a_large_file_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooLarge, match=r"1\.2 MB.*limit is 1 MB") as caught:
        picture_from_data_url(as_data_url(b"\0" * 1_200_000), SETTINGS)
    assert "JPEG" in caught.value.remedy

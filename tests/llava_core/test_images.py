"""Every kind of picture becomes RGB, and everything else a clear sentence."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from llava_core.errors import PictureError
from llava_core.images import ImageLimits, decode_image, encode_image, sha256_of

pillow_heif.register_heif_opener()  # Pillow writes such files then, too


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A tiny PNG whose header announces a huge picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "HEIF"])
def test_formats(kind: str) -> None:
    image = decode_image(saved(Image.new("RGB", (10, 7), (250, 10, 10)), kind))
    assert image.mode == "RGB" and image.size == (10, 7)
    red, green, blue = np.asarray(image)[3, 5].tolist()
    assert red > 220 and green < 40 and blue < 40


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_modes(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = decode_image(saved(Image.new("RGB", (4, 4), "white").convert(mode), kind))
    assert image.mode == "RGB" and image.size == (4, 4)


def test_transparent_parts_are_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert decode_image(saved(clear)).getpixel((0, 0)) == (255, 255, 255)
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    assert decode_image(saved(half)).getpixel((0, 0)) == (255, 127, 127)


def test_a_palette_with_a_transparent_entry() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 255, 255, 0, 0])
    assert decode_image(saved(image, "PNG", transparency=0)).getpixel((0, 0)) == (255, 255, 255)
    assert decode_image(saved(image, "PNG")).getpixel((0, 0)) == (0, 0, 255)


def test_sixteen_bits_are_scaled() -> None:
    values = np.array([[0, 32768, 65535]], np.uint16)
    image = decode_image(saved(Image.fromarray(values)))
    assert [image.getpixel((x, 0)) for x in range(3)] == [(v, v, v) for v in (0, 127, 255)]


def test_a_dark_picture_in_sixteen_bits_stays_dark() -> None:
    image = decode_image(saved(Image.fromarray(np.full((2, 2), 250, np.uint16))))
    assert image.getpixel((0, 0)) == (0, 0, 0)


def test_floating_point_pictures() -> None:
    values = np.array([[0, 100, np.nan]], np.float32)
    image = decode_image(saved(Image.fromarray(values), "TIFF"))
    assert [image.getpixel((x, 0))[0] for x in range(3)] == [0, 100, 0]


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (4, 2), "white")
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = decode_image(saved(image, "PNG", exif=exif))
    assert turned.size == (2, 4) and turned.getpixel((1, 0)) == (255, 0, 0)


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_the_one_of_pillow(orientation: int) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (5, 3, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(noise), "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(np.asarray(decode_image(data)), np.asarray(expected))


def test_damaged_metadata_does_not_spoil_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    exif[0x010E] = "at home"
    data = saved(Image.new("RGB", (4, 2), "red"), "PNG", exif=exif)
    at = data.index(b"eXIf")
    size = struct.unpack(">I", data[at - 4 : at])[0]
    for offset in range(4, 4 + size):
        broken = bytearray(data)
        broken[at + offset] ^= 0xFF
        body = bytes(broken[at : at + 4 + size])
        broken[at + 4 + size : at + 8 + size] = struct.pack(">I", zlib.crc32(body))
        assert sorted(decode_image(bytes(broken)).size) == [2, 4]


SAMPLES = [
    saved(Image.radial_gradient("L").resize((20, 16)).convert(mode), kind)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "HEIF")
    for mode in ("RGB", "L")
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=4),
)
def test_damaged_files_are_pictures_or_refused(
    data: bytes, damage: list[tuple[float, bytes]]
) -> None:
    for place, new in damage:
        at = int(place**3 * len(data))  # more often near the header
        data = data[:at] + new + data[at + len(new) + (not new) :]
    try:
        image = decode_image(data)
    except PictureError as error:
        assert error.remedy
    else:
        assert image.mode == "RGB"


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    assert decode_image(data).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("data", [b"", b"hello", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", b"<svg/>"])
def test_not_a_picture(data: bytes) -> None:
    with pytest.raises(PictureError, match=r"not a picture|damaged") as caught:
        decode_image(data)
    assert caught.value.remedy


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "HEIF"])
def test_a_truncated_picture(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(PictureError, match=r"damaged or cut off|not a picture"):
        decode_image(data[: len(data) // 2])


def test_a_60_megapixel_picture_is_refused_by_its_header() -> None:
    with pytest.raises(PictureError, match=r"60 million pixels \(10000 x 6000\); the limit is 50"):
        decode_image(bomb(10_000, 6_000))


def test_a_decompression_bomb_costs_nothing() -> None:
    with pytest.raises(PictureError, match="million pixels"):
        decode_image(bomb(60_000, 60_000))


def heic_that_says(width: int, height: int) -> bytes:
    """A tiny HEIC whose header names another size (ISO/IEC 23008-12, image spatial extents)."""
    data = bytearray(saved(Image.new("RGB", (64, 64), "red"), "HEIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


def test_a_large_heic_is_refused_by_its_header() -> None:
    with pytest.raises(PictureError, match=r"60 million pixels \(10000 x 6000\); the limit is 50"):
        decode_image(heic_that_says(10_000, 6_000))


def test_a_heic_whose_header_hides_its_size_is_refused() -> None:
    with pytest.raises(PictureError, match="damaged"):
        decode_image(heic_that_says(4, 3))


def test_the_main_picture_of_a_heic_with_several() -> None:
    red, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    data = saved(red, "HEIF", save_all=True, append_images=[blue], primary_index=1, quality=90)
    r, _, b = decode_image(data).getpixel((5, 5))
    assert b > 200 and r < 50


def test_a_heic_is_turned_once() -> None:
    image = Image.new("RGB", (128, 64), "white")
    image.paste("red", (0, 0, 64, 64))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = decode_image(saved(image, "HEIF", exif=exif.tobytes(), quality=90))
    assert turned.size == (64, 128)
    assert turned.getpixel((32, 9))[1] < 60 and turned.getpixel((32, 120))[1] > 200


def test_a_file_over_the_limit() -> None:
    with pytest.raises(PictureError, match=r"has 0.0 MB|MB; the limit"):
        decode_image(saved(Image.new("RGB", (9, 9))), ImageLimits(max_bytes=20))


def test_what_is_stored_has_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    data = saved(Image.new("RGB", (4, 4), "red"), "JPEG", exif=exif, comment=b"secret")
    assert b"taken at home" in data
    for media_type in ("image/png", "image/jpeg"):
        clean = encode_image(decode_image(data), media_type)
        assert b"taken at home" not in clean and b"secret" not in clean
        assert Image.open(io.BytesIO(clean)).size == (4, 4)


def test_sha256() -> None:
    assert sha256_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

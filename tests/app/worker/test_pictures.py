"""The same picture in the next turn is decoded once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.errors import BadPicture
from app.settings import Settings
from app.worker.pictures import PictureCache
from tests.pictures import as_data_url, png


def test_the_same_url_gives_the_same_picture() -> None:
    cache = PictureCache(Settings())
    red, blue = as_data_url(png("red")), as_data_url(png("blue"))
    first = cache.picture(red)
    assert first.getpixel((0, 0)) == (255, 0, 0)
    assert cache.picture(blue).getpixel((0, 0)) == (0, 0, 255)
    assert cache.picture(red) is first and cache.bytes == 2 * 8 * 6 * 3


def test_the_longest_unused_go() -> None:
    cache = PictureCache(Settings(), limit=300)
    urls = [as_data_url(png(colour)) for colour in ("red", "blue", "green")]
    kept = [cache.picture(url) for url in urls]
    assert cache.bytes == 288
    assert cache.picture(urls[2]) is kept[2] and cache.picture(urls[1]) is kept[1]
    assert cache.picture(urls[0]) is not kept[0]


def test_what_is_no_picture_is_refused_each_time() -> None:
    cache = PictureCache(Settings())
    for _ in range(2):
        with pytest.raises(BadPicture):
            cache.picture(as_data_url(b"not a picture"))
    assert cache.bytes == 0


def test_many_at_once_get_one_object() -> None:
    cache, url = PictureCache(Settings()), as_data_url(png("red", (400, 400)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(cache.picture, [url] * 16))
    assert len({id(image) for image in found}) == 1 and cache.bytes == 400 * 400 * 3

"""Pictures on their way into the message box: a phone's formats."""

from __future__ import annotations

from pathlib import Path

import pillow_heif
from PIL import Image
from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.conftest import Studio

SHOWN = "(image) => image.complete && image.naturalWidth > 0"


def test_a_phones_heic_is_shown_and_sent_and_damage_is_told_at_once(
    chat: Chat, studio: Studio, tmp_path: Path
) -> None:
    photo = tmp_path / "IMG_0001.HEIC"
    pillow_heif.from_pillow(Image.new("RGB", (128, 64), "red")).save(photo, quality=90)
    chat.add_picture(photo)
    thumbnail = chat.thumbnails.locator("img")
    chat.page.wait_for_function(SHOWN, arg=thumbnail.element_handle())
    chat.ask("What is it?")
    (image,) = studio.backend.seen[-1].images
    assert image.size == (128, 64) and image.getpixel((9, 9))[1] < 60

    damaged = tmp_path / "IMG_0002.HEIC"
    damaged.write_bytes(photo.read_bytes()[:400])
    with chat.page.expect_file_chooser() as chooser:
        chat.page.get_by_role("button", name="Upload a file").first.click()
    chooser.value.set_files(damaged)
    chat.says("picture")
    expect(chat.thumbnails).to_have_count(0)

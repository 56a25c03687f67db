"""Pictures on their way into the message box: a phone's formats and camera, cropping."""

from __future__ import annotations

from pathlib import Path

import pillow_heif
from PIL import Image
from playwright.sync_api import expect

from tests.browser.axe import faults
from tests.browser.chat import Chat, picture
from tests.browser.conftest import Studio, Visitors

PHONE = {
    "viewport": {"width": 390, "height": 800},
    "color_scheme": "dark",
    "has_touch": True,
    "is_mobile": True,
}
CUT = """() => {
  const width = document.querySelector('#box .thumbnail-item img')?.naturalWidth;
  return 0 < width && width < 100;
}"""
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


def sizes(chat: Chat) -> list[list[int]]:
    """Width and height of each picture in the message box."""
    images = chat.thumbnails.locator("img")
    return images.evaluate_all("all => all.map((each) => [each.naturalWidth, each.naturalHeight])")


def test_a_picture_is_cropped_before_it_is_sent_and_keeps_its_place(
    chat: Chat, studio: Studio, tmp_path: Path
) -> None:
    both = Image.new("RGB", (200, 100), "red")
    both.paste("blue", (100, 0, 200, 100))
    both.save(tmp_path / "both.png")
    chat.add_picture(tmp_path / "both.png")
    chat.add_picture(picture(tmp_path))
    button = chat.page.get_by_role("button", name="Crop picture 1")
    frame = chat.page.get_by_role("group", name="The part to keep")

    button.click()
    frame.press("Shift+ArrowLeft")
    expect(chat.page.get_by_text("196 × 100 pixels")).to_be_visible()
    frame.press("Escape")
    expect(frame).to_have_count(0)
    expect(button).to_be_focused()
    assert sizes(chat) == [[200, 100], [160, 120]]

    button.click()
    place = frame.bounding_box()
    assert place
    left, middle = place["x"] + 3, place["y"] + place["height"] / 2
    chat.page.mouse.move(left, middle)
    chat.page.mouse.down()
    chat.page.mouse.move(left + place["width"] * 0.6, middle, steps=3)
    chat.page.mouse.up()
    chat.screenshot("crop")
    assert faults(chat.page) == []
    frame.press("Enter")
    chat.page.wait_for_function(CUT)
    expect(chat.thumbnails).to_have_count(2)
    expect(button).to_be_focused()
    (width, height), other = sizes(chat)
    assert 70 <= width <= 90 and height == 100 and other == [160, 120]
    chat.ask("What is it?")
    cut, whole = studio.backend.seen[-1].images
    assert cut.size == (width, 100) and cut.getpixel((1, 1)) == (0, 0, 255)
    assert whole.size == (160, 120)


def test_a_phones_camera_puts_its_photo_into_the_box(
    visitors: Visitors, studio: Studio, tmp_path: Path
) -> None:
    chat = visitors.open(studio.url, **PHONE)
    with chat.page.expect_file_chooser() as chooser:
        chat.page.get_by_role("button", name="Take a photo").click()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(picture(tmp_path))
    expect(chat.thumbnails).to_have_count(1)
    chat.screenshot("camera-phone")
    chat.ask("What is it?")
    assert [image.size for image in studio.backend.seen[-1].images] == [(160, 120)]

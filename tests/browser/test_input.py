"""What people put in: pictures in all ways, things that are no pictures, odd texts."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat import Chat, picture
from tests.browser.conftest import Studio
from tests.pictures import png

CARRY = """
([kind, selector, data]) => {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], "carried.png", { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: carried })
    : new DragEvent("drop", { ...options, dataTransfer: carried });
  document.querySelector(selector).dispatchEvent(event);
}
"""


def carry(page: Page, kind: str, selector: str) -> None:
    """Paste or drop a picture where the selector says."""
    page.evaluate(CARRY, [kind, selector, base64.b64encode(png("blue", (40, 30))).decode()])


@pytest.mark.parametrize(
    ("kind", "selector"),
    [
        ("paste", "#box textarea"),
        ("paste", "h1"),
        ("drop", "#box textarea"),
        ("drop", "#chat"),
        ("drop", "h1"),
    ],
)
def test_pictures_can_be_pasted_and_dropped_anywhere(
    chat: Chat, studio: Studio, kind: str, selector: str
) -> None:
    carry(chat.page, kind, selector)
    expect(chat.thumbnails).to_have_count(1)
    chat.ask("What is it?")
    (image,) = studio.backend.seen[-1].images
    assert image.size == (40, 30)


def test_a_picture_can_be_taken_out_again(chat: Chat, studio: Studio, tmp_path: Path) -> None:
    chat.add_picture(picture(tmp_path))
    chat.page.get_by_role("button", name="Remove file").click()
    expect(chat.thumbnails).to_have_count(0)
    chat.ask("Hello?")
    assert not studio.backend.seen[-1].images


def test_what_is_no_picture_is_refused_and_nothing_is_lost(
    chat: Chat, studio: Studio, tmp_path: Path
) -> None:
    fake = tmp_path / "fake.png"
    fake.write_text("This is not a picture.")
    chat.add_picture(fake)
    chat.send("What is it?")
    chat.says("picture")
    chat.screenshot("not-a-picture")
    expect(chat.box).to_have_value("What is it?")
    expect(chat.thumbnails).to_have_count(1)
    chat.page.get_by_role("button", name="Remove file").click()
    chat.add_picture(picture(tmp_path))
    chat.box.press("Enter")
    expect(chat.answers).to_have_text("A red circle.")
    expect(chat.notice).to_have_count(0)
    assert studio.rows("select count(*) from questions") == [(1,)]


def test_a_truncated_picture_is_refused(chat: Chat, tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(png("red", (600, 400))[:600])
    chat.add_picture(cut)
    chat.send("What is it?")
    chat.says("cut off")
    expect(chat.box).to_have_value("What is it?")


def test_a_file_over_the_limit_is_refused_with_the_limit(chat: Chat, tmp_path: Path) -> None:
    big = tmp_path / "big.png"
    big.write_bytes(png() + b"\0" * 40_000_000)
    with chat.page.expect_file_chooser() as chooser:
        chat.page.get_by_role("button", name="Upload a file").first.click()
    chooser.value.set_files(big)
    chat.says("5 MB")
    chat.screenshot("too-large")
    expect(chat.thumbnails).to_have_count(0)
    assert chat.ask("Without it?") == "A red circle."


def test_a_dropped_text_file_is_refused_in_plain_words(chat: Chat) -> None:
    chat.page.evaluate(
        CARRY.replace('"carried.png", { type: "image/png" }', '"a.txt", { type: "text/plain" }'),
        ["drop", "#box textarea", base64.b64encode(b"text").decode()],
    )
    chat.says("not a picture")
    expect(chat.thumbnails).to_have_count(0)


@pytest.mark.parametrize("with_picture", [False, True])
def test_an_empty_message_is_not_sent(
    chat: Chat, studio: Studio, tmp_path: Path, with_picture: bool
) -> None:
    if with_picture:
        chat.add_picture(picture(tmp_path))
    chat.send("  ")
    chat.says("Type a question")
    expect(chat.questions).to_have_count(0)
    expect(chat.thumbnails).to_have_count(int(with_picture))
    assert studio.rows("select count(*) from questions") == [(0,)]


@pytest.mark.parametrize(
    "text",
    [
        "<image>",
        "What is <image> & <b>bold</b>?",
        "# not a heading\n\n* no list\n    indented `code` $$x$$ http://x.org",
        "<img src=x onerror=alert(1)><script>alert(2)</script>",
    ],
)
def test_a_persons_words_are_shown_and_sent_as_typed(chat: Chat, studio: Studio, text: str) -> None:
    chat.ask(text)
    assert studio.backend.seen[-1].messages[-1].text == text
    shown = chat.questions.last.inner_text().replace("\xa0", " ").strip()
    assert shown.split("\n") == [line for line in text.split("\n")]
    chat.reload()
    assert chat.questions.last.inner_text().replace("\xa0", " ").strip() == shown


def test_an_answers_markdown_is_shown_and_its_html_does_nothing(chat: Chat, studio: Studio) -> None:
    studio.backend.words = (
        "**Red** and `blue`.\n\n",
        "```python\nif red:\n    print(1)\n```\n\n",
        "<script>document.title='broken'</script>"
        "<img src=data:,x onerror=\"document.title='broken'\">",
        "<b onclick=\"document.title='broken'\">bold</b> ![far](https://example.org/pixel.png)",
    )
    chat.ask("Show me.")
    answer = chat.answers.last
    expect(answer.locator("strong")).to_have_text("Red")
    assert "if red:\n    print(1)" in answer.locator("pre code").inner_text()
    expect(answer.locator("script, [onerror], [onclick]")).to_have_count(0)
    chat.page.wait_for_timeout(300)
    assert chat.page.title() == "LLaVA Studio"


def test_a_long_paste_stays_text(chat: Chat) -> None:
    kept = chat.page.evaluate(
        """(text) => {
          const carried = new DataTransfer();
          carried.setData("text/plain", text);
          const event = new ClipboardEvent("paste", {
            bubbles: true, cancelable: true, clipboardData: carried,
          });
          return document.querySelector("#box textarea").dispatchEvent(event);
        }""",
        "word " * 1000,
    )
    assert kept, "the page has taken the paste over"
    expect(chat.thumbnails).to_have_count(0)

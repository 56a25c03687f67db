"""The page as a person uses it: by labels and roles, as a screen reader finds them."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.pictures import png

OUTPUT = Path(__file__).resolve().parents[2] / "test-output"
ANSWER_SECONDS = 60


class Chat:
    """One tab."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.log = page.get_by_role("log")
        self.questions = self.log.get_by_test_id("user")
        self.answers = self.log.get_by_test_id("bot")
        self.box = page.get_by_label("Your message")
        self.submit = page.get_by_role("button", name="Submit")
        self.stop = page.get_by_role("button", name="Stop", exact=True)
        self.thumbnails = page.locator("#box .thumbnail-item")
        self.notice = page.get_by_role("alert").filter(has_not=page.get_by_role("button"))
        self.model = page.get_by_role("combobox", name="Model")
        self.rating = page.locator("#rating")

    def open(self) -> Chat:
        """Load the page, and wait until it can be used."""
        self.page.goto(self.url)
        return self.ready()

    def reload(self) -> Chat:
        self.page.reload()
        return self.ready()

    def leave(self) -> None:
        """Go elsewhere, which ends the page's connections."""
        self.page.goto("about:blank")

    def ready(self) -> Chat:
        """Wait until the page has heard of the models, or that there are none."""
        expect(self.page.locator("#sees .sees")).to_be_visible()
        expect(self.submit).to_be_enabled()
        return self

    def add_picture(self, path: Path) -> None:
        """Add a picture with the button."""
        before = self.thumbnails.count()
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name="Upload a file").first.click()
        chooser.value.set_files(path)
        expect(self.thumbnails).to_have_count(before + 1)

    def send(self, text: str) -> None:
        """Type and press Enter."""
        self.box.fill(text)
        self.box.press("Enter")

    def ask(self, text: str) -> str:
        """Send, wait for the end of the answer, and return it."""
        count = self.answers.count()
        self.send(text)
        expect(self.answers).to_have_count(count + 1, timeout=ANSWER_SECONDS * 1000)
        return self.finished()

    def finished(self) -> str:
        """The last answer, when it has ended."""
        expect(self.submit).to_be_visible(timeout=ANSWER_SECONDS * 1000)
        expect(self.buttons("Retry").last).to_be_enabled()
        return self.answers.last.inner_text().strip()

    def press(self, name: str, of: int = -1) -> None:
        """Press a button of an answer: "Retry", "Undo", "Like", "Dislike", "Flag", "Former"."""
        self.buttons(name).nth(of).click()

    def buttons(self, name: str) -> Locator:
        return self.log.get_by_role("button", name=name, exact=True)

    def says(self, text: str | re.Pattern[str]) -> None:
        """Wait until the notice says this."""
        expect(self.notice).to_contain_text(text)

    def screenshot(self, name: str) -> None:
        """Save what is to be seen under test-output/."""
        self.page.screenshot(path=OUTPUT / f"{name}.png")


def picture(folder: Path, name: str = "picture.png", colour: str = "red") -> Path:
    """A picture file of one colour."""
    path = folder / name
    path.write_bytes(png(colour, (160, 120)))
    return path

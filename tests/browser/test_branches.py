"""Branches, pictures in large, and where an answer looked: what the conversation itself can do."""

from __future__ import annotations

import statistics
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.chat import Chat, picture
from tests.browser.conftest import Studio

MATHS = "Area: $x^2$ and\n\n$$\\int_0^1 x\\,dx$$\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"


def test_an_edited_question_is_a_branch_that_keeps_its_picture(
    chat: Chat, studio: Studio, tmp_path: Path
) -> None:
    chat.add_picture(picture(tmp_path))
    chat.ask("What is it?")
    chat.ask("Are you sure?")
    chat.press("Edit the question", of=0)
    field = chat.log.get_by_role("textbox", name="Edit the question")
    field.fill("What colour is it?")
    studio.backend.words = ("Red.",)
    field.press("Enter")
    expect(chat.answers).to_have_text(["Red."])
    chat.finished()
    assert len(studio.backend.seen[-1].messages) == 1 and len(studio.backend.seen[-1].images) == 1
    expect(chat.questions.get_by_role("img")).to_have_count(1)
    expect(chat.log.get_by_label("Question 2 of 2")).to_be_visible()
    chat.press("Former", of=0)
    expect(chat.answers).to_have_count(2)
    expect(chat.questions.first).to_contain_text("What is it?")
    chat.log.get_by_label("Retry with another model").first.click()
    studio.other.words = ("Something else.",)
    chat.log.get_by_role("button", name="other", exact=True).click()
    expect(chat.answers).to_have_text(["Something else."])
    assert studio.rows("select count(*) from questions") == [(3,)]


def test_a_picture_opens_large_and_closes_with_escape(chat: Chat, tmp_path: Path) -> None:
    chat.add_picture(picture(tmp_path))
    chat.add_picture(picture(tmp_path, "blue.png", "blue"))
    chat.ask("What is it?")
    chat.log.get_by_role("button", name="Open picture 1 large").click()
    large = chat.page.get_by_role("dialog", name="Picture")
    expect(large.get_by_role("img", name="Picture 1")).to_be_visible()
    chat.page.keyboard.press("ArrowRight")
    expect(large.get_by_role("img", name="Picture 2")).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(large).to_have_count(0)


def test_where_it_looked_says_why_not_where_the_worker_cannot_tell(
    chat: Chat, tmp_path: Path
) -> None:
    chat.add_picture(picture(tmp_path))
    chat.ask("What is it?")
    chat.press("Where it looked")
    expect(chat.log.locator(".looking")).not_to_contain_text("Computing")
    assert chat.log.locator(".looking").inner_text()
    chat.press("Where it looked")
    expect(chat.log.locator(".looking")).to_have_count(0)


def test_formulas_and_tables_are_set(chat: Chat, studio: Studio) -> None:
    studio.backend.words = (MATHS,)
    chat.ask("Show me.")
    expect(chat.answers.locator(".katex")).to_have_count(2)
    expect(chat.answers.locator("td")).to_have_text(["1", "2"])


MEASURE = """
() => {
  const root = document.querySelector("#chat .turns").appendChild(document.createElement("div"));
  root.className = "body";
  const writer = new studio.Writer(root);
  const line = "word **bold** and `code` in a line of ten words";
  let text = "";
  const costs = [];
  for (let token = 0; token < 4000; token += 5) {
    text += " " + line.slice(0, 24) + (token % 60 === 55 ? "\\n\\n" : "");
    if (token === 2000) text += "```\\ncode\\n```\\n\\n";
    const start = performance.now();
    writer.write(text);
    root.offsetHeight;
    costs.push(performance.now() - start);
  }
  const same = document.createElement("div");
  studio.markdown(same, text);
  const read = (element) => element.textContent.replace(/\\s+/g, "");
  return { costs, same: read(same) === read(root) };
}
"""


def test_a_long_answer_costs_no_more_at_its_end_than_at_its_beginning(chat: Chat) -> None:
    """4,000 tokens, five an update: what the page does for one, layout included."""
    measured = chat.page.evaluate(MEASURE)
    costs, quarter = measured["costs"], len(measured["costs"]) // 4
    first, last = statistics.median(costs[:quarter]), statistics.median(costs[-quarter:])
    assert last <= 2 * first, f"median of an update: {first:.2f} ms, at the end {last:.2f} ms"
    assert measured["same"], "what was written piece by piece reads as what is rendered whole"


def test_an_answer_arrives_in_pieces_and_whole(chat: Chat, studio: Studio) -> None:
    studio.backend.words = tuple(f"word{number} " for number in range(300))
    answer = chat.ask("Tell me all.")
    assert answer.split() == [f"word{number}" for number in range(300)]

"""Opening the page, starting anew, going back, and looking at other answers."""

from __future__ import annotations

from pathlib import Path

from app.protocol import ModelInfo
from app.ui.browsing import NO_MODEL
from app.ui.screen import Draft
from app.ui.tab import Tab
from tests.app.ui.conftest import Page, said
from tests.app.ui.fake_controller import FakeController
from tests.pictures import png


async def test_a_first_visit_says_what_the_model_sees_and_leaves_what_was_asked_meanwhile(
    page: Page,
) -> None:
    change = await page.browsing.open(page.tab)
    assert change.messages is None and change.tab is None and change.busy is None
    assert said(change) == ""
    assert change.models and change.models.names == ("second", "first")
    assert (change.models.chosen, change.models.sees) == (
        "second",
        "It sees **simple** drawn things.",
    )


async def test_a_reload_shows_everything_again(page: Page, fake: FakeController) -> None:
    fake.script = [("One.",), ("Two.",)]
    await page.ask("What?")
    first = page.tab.path[0]
    page.show(await page.rating.press(page.tab, page.now.messages or [], first, "up"))
    await page.regenerate()
    page.show(await page.browsing.walk(page.tab, answer_id=first))
    again = await page.browsing.open(Tab.read(page.tab.store()))
    assert again.messages
    shown = again.messages[1]
    assert (shown["text"], shown["rating"], len(shown["siblings"])) == ("One.", "up", 2)


async def test_a_conversation_that_is_gone_gives_an_empty_chat(page: Page) -> None:
    gone = page.tab.model_copy(update={"conversation": "gone", "path": ("x",)})
    change = await page.browsing.open(gone)
    assert change.tab and change.tab.conversation is None and change.tab.person == gone.person
    assert change.messages == [] and said(change) == ""


async def test_without_a_controller_nothing_is_forgotten(page: Page) -> None:
    await page.ask("What?")
    page.browsing._client._http.base_url = "http://127.0.0.1:9"
    change = await page.browsing.open(page.tab)
    assert change.tab is None and change.messages is None and "does not answer" in said(change)
    assert change.models and not change.models.names


async def test_without_a_model_the_page_says_so(page: Page, fake: FakeController) -> None:
    fake.models = ()
    assert (await page.browsing.open(page.tab)).notice == NO_MODEL
    assert (await page.browsing.models(page.tab, "second")).notice == NO_MODEL


async def test_a_chosen_model_is_remembered_while_it_is_served(
    page: Page, fake: FakeController
) -> None:
    change = page.show(await page.browsing.choose(page.tab, "first"))
    assert change.models and change.models.sees == "It sees little."
    assert page.tab.model == "first"
    again = await page.browsing.open(page.tab)
    assert again.models and again.models.chosen == "first"
    fake.models = [ModelInfo(id="third")]
    refreshed = await page.browsing.models(page.tab, "first")
    assert refreshed.models and refreshed.models.chosen == "third"


async def test_undo_puts_the_question_and_its_pictures_back_into_the_box(
    page: Page, fake: FakeController, tmp_path: Path
) -> None:
    picture = tmp_path / "p.png"
    picture.write_bytes(png())
    await page.ask("One?")
    await page.ask("Two?", str(picture))
    page.show(await page.browsing.undo(page.tab))
    assert page.texts[::2] == ["One?"]
    assert page.now.draft and page.now.draft.text == "Two?"
    (file,) = page.now.draft.files
    assert Path(file).read_bytes() == png()
    page.show(await page.browsing.undo(page.tab))
    assert page.texts == [] and page.now.draft == Draft("One?")
    assert (await page.browsing.undo(page.tab)).notice is not None
    assert len(fake.answers) == 2, "nothing is deleted"


async def test_undo_goes_back_from_what_this_tab_shows(page: Page, fake: FakeController) -> None:
    await page.ask("One?")
    here = page.tab
    await page.ask("Two?")
    fake.heads["c1"] = page.tab.path[-1]
    change = await page.browsing.undo(here)
    assert change.draft == Draft("One?") and change.messages == []


async def test_answers_are_walked_at_any_turn(page: Page, fake: FakeController) -> None:
    fake.script = [("One.",), ("Two.",), ("Three.",)]
    await page.ask("What?")
    first = page.tab.path[0]
    await page.regenerate()
    await page.ask("More?")
    page.show(await page.browsing.walk(page.tab, answer_id=first))
    assert page.texts == ["What?", "One."]
    assert "Ask a question" in said(await page.browsing.walk(Tab.new(), answer_id=first))


async def test_where_an_answer_looked_is_told_or_why_not(page: Page) -> None:
    await page.ask("What?")
    told = (await page.browsing.look(page.tab, page.tab.path[0])).insight
    assert told and told.explanation and told.explanation.words[0].text == "Red"
    refused = (await page.browsing.look(page.tab, "gone")).insight
    assert refused and refused.explanation is None and refused.refused


async def test_a_new_chat_leaves_the_former_one_stored(page: Page, fake: FakeController) -> None:
    await page.ask("What?")
    person = page.tab.person
    page.show(page.browsing.fresh(page.tab))
    assert page.tab == Tab(person=person) and page.texts == []
    await page.ask("Else?")
    assert fake.requests[1].conversation_id is None and len(fake.heads) == 2


async def test_another_conversation_is_shown_and_what_is_typed_stays(
    page: Page, fake: FakeController
) -> None:
    await page.ask("What?")
    first = page.tab.conversation or ""
    page.show(page.browsing.fresh(page.tab))
    await page.ask("Else?")
    change = page.show(await page.browsing.visit(page.tab, first))
    assert page.texts[0] == "What?" and page.tab.conversation == first and change.draft is None
    empty = page.show(await page.browsing.visit(page.tab, ""))
    assert page.texts == [] and page.tab.conversation is None and empty.draft is None
    gone = page.show(await page.browsing.visit(page.tab, "gone"))
    assert page.tab.conversation is None and "no conversation" in said(gone)
    page.browsing._client._http.base_url = "http://127.0.0.1:9"
    assert (await page.browsing.visit(page.tab, first)).tab is None, "what is shown stays"


async def test_a_reply_tells_no_more_than_the_page_does_not_know(
    page: Page, fake: FakeController
) -> None:
    """It may come late: a choice that was made meanwhile is not undone."""
    looked = (await page.browsing.models(page.tab, "first")).models
    chosen = (await page.browsing.choose(page.tab, "first")).models
    assert looked and chosen and (looked.news, chosen.news) == ("names", "sight")
    fake.models = [ModelInfo(id="third")]
    for change in (page.browsing.models, page.browsing.choose):
        moved = (await change(page.tab, "first")).models
        assert moved and (moved.news, moved.chosen) == ("all", "third")

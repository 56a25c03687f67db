"""From a question in the box to an answer in the chat."""

from __future__ import annotations

import asyncio
import base64
from contextlib import aclosing
from pathlib import Path

from app.errors import BadPicture, NoWorker, OutOfMemory, WorkerLost
from app.protocol import ImageContent, TextContent
from app.queue_place import QueuePlace
from app.ui.answering import Answering
from app.ui.client import ControllerClient
from app.ui.screen import Draft, Edit
from app.ui.tab import Tab
from tests.app.ui.conftest import GREEDY, Page, said
from tests.app.ui.fake_controller import FakeController
from tests.pictures import png


async def test_a_question_with_a_picture_is_answered_and_the_box_is_emptied(
    page: Page, fake: FakeController, tmp_path: Path
) -> None:
    picture = tmp_path / "p.png"
    picture.write_bytes(png())
    changes = await page.ask("What is it?", str(picture))
    (request,) = fake.requests
    image, text = request.messages[0].parts
    assert isinstance(image, ImageContent) and isinstance(text, TextContent)
    assert base64.b64decode(image.image_url.url.split(",")[1]) == png()
    assert (text.text, request.model, request.stream) == ("What is it?", "second", True)
    assert "gradio_api/file=" in str(changes[0].messages) and changes[0].draft is None
    assert "pictures/" in str(page.now.messages) and page.texts[1] == "A red circle."
    assert page.now.draft == Draft() and page.now.busy is False
    assert page.tab.path == ("a3",) and page.tab.conversation == "c1"


async def test_the_next_question_sends_no_history_and_continues_what_the_tab_shows(
    page: Page, fake: FakeController
) -> None:
    await page.ask("One?")
    await page.ask("Two?")
    second = fake.requests[1]
    assert [message.role for message in second.messages] == ["user"]
    assert (second.conversation_id, second.parent_answer_id) == ("c1", page.tab.path[0])
    assert page.texts[::2] == ["One?", "Two?"]


async def test_the_answer_grows_on_the_page(page: Page, fake: FakeController) -> None:
    fake.pause = 0.1
    changes = await page.ask("One?")
    grown = [change.written for change in changes if change.written is not None]
    assert grown == ["", "A ", "A red ", "A red circle."]
    redrawn = [change for change in changes if change.messages is not None]
    assert redrawn == [changes[0], changes[-1]], "only the new text travels in between"
    assert changes[0].messages and changes[0].messages[-1]["finish"] == "writing"


async def test_without_words_nothing_is_sent(page: Page, fake: FakeController) -> None:
    (change,) = await page.ask(" \n")
    assert said(change) == "There is no question yet. Type a question, then send."
    (change,) = await page.ask("", "p.png")
    assert "no question" in said(change)
    assert not fake.requests and page.now.draft == Draft("", ("p.png",))


async def test_a_refused_question_stays_in_the_box(page: Page, fake: FakeController) -> None:
    fake.refuse = BadPicture("p.png is not a picture.")
    await page.ask("One?")
    kinds = "PNG, JPEG, WebP, HEIC, GIF or BMP"
    assert said(page.now) == f"p.png is not a picture. Send a {kinds} picture."
    assert (page.now.messages, page.now.draft, page.now.busy) == ([], Draft("One?"), False)
    fake.refuse = None
    await page.ask("One?")
    assert said(page.now) == "" and page.texts[1] == "A red circle."
    fake.refuse = NoWorker("No worker serves second.")
    await page.ask("Two?")
    assert len(page.texts) == 2 and page.now.draft == Draft("Two?")
    assert page.tab.path == ("a3",)


async def test_a_question_without_a_controller_stays_in_the_box(page: Page) -> None:
    page.answering._client._http.base_url = "http://127.0.0.1:9"
    await page.ask("One?")
    assert "does not answer" in said(page.now) and page.now.draft == Draft("One?")


async def test_an_answer_that_fails_without_a_word_gives_the_question_back(
    page: Page, fake: FakeController
) -> None:
    await page.ask("One?")
    fake.script, fake.break_off = [()], OutOfMemory("No room.")
    await page.ask("Two?")
    assert page.now.draft == Draft("Two?") and page.now.busy is False
    assert said(page.now).startswith("No room.")
    assert len(page.texts) == 2 and len(page.tab.path) == 1


async def test_what_was_written_before_an_error_is_kept(page: Page, fake: FakeController) -> None:
    fake.break_off = WorkerLost("The worker went away.")
    await page.ask("One?")
    assert page.now.messages
    answer = page.now.messages[-1]
    told = (answer["text"], answer["finish"], answer["error"])
    assert told == ("A ", "error", "worker_lost")
    fake.break_off = None
    await page.regenerate()
    assert page.texts[1] == "A red circle."


async def test_closing_the_stream_stops_the_model(page: Page, fake: FakeController) -> None:
    fake.hold = True
    follow = page.answering.send(page.tab, Draft("One?"), [], GREEDY)
    async with aclosing(follow):
        async for change in follow:
            page.show(change)
            if page.now.written:
                break
    settled = page.show(await page.answering.settle(page.tab))
    assert fake.cancelled == list(page.tab.path) and settled.busy is False
    assert page.now.messages
    answer = page.now.messages[-1]
    assert (answer["text"], answer["finish"]) == ("A ", "cancelled")


async def test_a_silent_model_does_not_keep_the_page_from_noticing_that_it_was_left(
    page: Page, fake: FakeController
) -> None:
    fake.hold = True
    follow = page.answering.send(page.tab, Draft("One?"), [], GREEDY)
    async with aclosing(follow):
        changes = [await asyncio.wait_for(anext(follow), 3) for _ in range(5)]
    assert changes[-1].messages is None


async def test_regenerate_keeps_the_former_answer_beside_the_new_one(
    page: Page, fake: FakeController
) -> None:
    fake.script = [("One.",), ("Two.",)]
    await page.ask("What?")
    former = page.tab.last_answer
    await page.regenerate()
    assert fake.requests[1].regenerate_of == former and not fake.requests[1].messages
    assert page.texts == ["What?", "Two."]
    assert page.now.messages and page.now.messages[1]["siblings"] == [former, page.tab.last_answer]


async def test_another_answer_at_an_earlier_turn_is_a_branch_from_there(
    page: Page, fake: FakeController
) -> None:
    await page.ask("One?")
    await page.ask("Two?")
    first = page.tab.path[0]
    await page.regenerate(first)
    assert fake.requests[2].regenerate_of == first
    assert page.texts == ["One?", "A red circle."] and len(page.tab.path) == 1
    assert page.tab.path[0] != first


async def test_an_edited_question_keeps_its_pictures_and_is_a_branch(
    page: Page, fake: FakeController, tmp_path: Path
) -> None:
    pictures = [tmp_path / "a.png", tmp_path / "b.png"]
    for number, path in enumerate(pictures):
        path.write_bytes(png("red", (10 + number, 10)))
    await page.ask("What is it?", *map(str, pictures))
    await page.ask("Sure?")
    asked = page.id_of(0)
    await page.edit(Edit(asked, "What else?", (1,)))
    request = fake.requests[-1]
    assert (request.edit_of, request.parent_answer_id) == (asked, None)
    kept, text = request.messages[0].parts
    assert isinstance(kept, ImageContent) and isinstance(text, TextContent)
    assert kept.image_url.url == f"stored:{list(fake.pictures)[1]}" and text.text == "What else?"
    assert page.texts == ["What else?", "A red circle."] and len(page.tab.path) == 1
    assert page.now.messages and page.now.messages[0]["siblings"] == [asked, page.id_of(0)]
    page.show(await page.browsing.walk(page.tab, question_id=asked))
    assert page.texts[0] == "What is it?"


async def test_an_edit_that_is_refused_stays_in_the_box(page: Page, fake: FakeController) -> None:
    await page.ask("What?")
    asked = page.id_of(0)
    fake.refuse = NoWorker("No worker serves second.")
    await page.edit(Edit(asked, "Else?"))
    assert page.texts == ["What?", "A red circle."] and page.now.draft == Draft("Else?")
    (change,) = await page.edit(Edit("gone", "Else?"))
    assert "not stored yet" in said(change)
    (change,) = await page.edit(Edit(asked, " "))
    assert "no question yet" in said(change)


async def test_the_place_in_the_queue_reaches_the_page(page: Page, fake: FakeController) -> None:
    fake.place = QueuePlace(before=3, seconds=12.4)
    changes = await page.ask("What?")
    assert [change.place for change in changes if change.place] == [fake.place]


async def test_nothing_to_regenerate_is_said(page: Page) -> None:
    (change,) = await page.regenerate()
    assert said(change) == "There is no answer to replace yet. Ask a question first."


async def test_an_upload_that_is_gone_is_said(page: Page, tmp_path: Path) -> None:
    (change,) = await page.ask("What?", str(tmp_path / "gone.png"))
    assert said(change) == "The picture gone.png is no longer there. Add it again, then send."


async def test_settling_without_a_conversation_empties_the_chat(client: ControllerClient) -> None:
    change = await Answering(client).settle(Tab.new())
    assert (change.messages, change.busy) == ([], False)

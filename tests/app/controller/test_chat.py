"""Questions through the controller to a worker and into the database."""

from __future__ import annotations

import json
import threading
import time

import httpx
import pytest

from app.errors import ContextTooLong
from app.protocol import ModelInfo
from tests.app.controller.conftest import Desk
from tests.fakes import BreakingWorker, ScriptedBackend
from tests.pictures import png, question
from tests.servers import running


def code(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def stream(desk: Desk, body: dict[str, object]) -> list[dict[str, object]]:
    """All events of a streamed answer."""
    events = []
    with desk.client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                events.append(json.loads(line[6:]))
    return events


def test_an_answer_is_given_and_stored(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    reply = desk.ask(question("What is it?", png()), temperature=0.5, seed=3).json()
    assert reply["choices"][0]["message"]["content"] == "A red circle."
    stored = desk.conversation(reply["conversation_id"])
    turn = stored["turns"][0]
    assert turn["text"] == "What is it?" and turn["images"][0]["width"] == 8
    answer = turn["answers"][0]
    assert answer["id"] == reply["id"] and answer["text"] == "A red circle."
    assert answer["finish_reason"] == "stop" and answer["completion_tokens"] == 3
    assert answer["first_token_seconds"] <= answer["total_seconds"]
    assert backend.samplings[0].temperature == 0.5 and backend.samplings[0].seed == 3


def test_the_stream_names_the_stored_answer(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    body = {"messages": [question("What?")], "stream_options": {"include_usage": True}}
    events = stream(desk, body)
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"])
    assert text == "A red circle."
    assert len({event["id"] for event in events}) == 1
    assert events[-1]["usage"]["completion_tokens"] == 3
    stored = desk.conversation(events[0]["conversation_id"])
    assert stored["turns"][0]["chosen"] == events[0]["id"]


def test_a_follow_up_brings_history_and_pictures_from_the_database(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    first = desk.ask(question("What is it?", png())).json()
    conversation = first["conversation_id"]
    desk.ask(question("And now?", png("blue")), conversation_id=conversation)
    seen = backend.seen[-1]
    assert [message.role for message in seen.messages] == ["user", "assistant", "user"]
    assert [image.getpixel((0, 0)) for image in seen.images] == [(255, 0, 0), (0, 0, 255)]
    assert len(desk.conversation(conversation)["turns"]) == 2


def test_regenerating_adds_a_sibling_and_keeps_the_former(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    first = desk.ask(question("What is it?", png())).json()
    second = desk.ask(regenerate_of=first["id"]).json()
    assert second["question_id"] == first["question_id"] and second["id"] != first["id"]
    turn = desk.conversation(first["conversation_id"])["turns"][0]
    assert [answer["id"] for answer in turn["answers"]] == [first["id"], second["id"]]
    assert turn["chosen"] == second["id"]


def test_undo_moves_the_head_and_the_next_question_follows_it(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    first = desk.ask(question("one", png())).json()
    conversation = first["conversation_id"]
    desk.ask(question("two"), conversation_id=conversation)
    url = f"/api/conversations/{conversation}/head"
    undone = desk.client.post(url, json={"answer_id": first["id"]}).json()
    assert [turn["text"] for turn in undone["turns"]] == ["one"]
    desk.ask(question("three"), conversation_id=conversation)
    texts = [turn["text"] for turn in desk.conversation(conversation)["turns"]]
    assert texts == ["one", "three"]
    empty = desk.client.post(url, json={"answer_id": None}).json()
    assert empty["turns"] == []


def test_a_client_with_the_whole_history_is_stored_as_a_conversation(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    reply = desk.ask(
        {"role": "system", "content": "Be brief."},
        question("one", png()),
        {"role": "assistant", "content": "first"},
        question("two"),
    ).json()
    turns = desk.conversation(reply["conversation_id"])["turns"]
    assert [turn["text"] for turn in turns] == ["one", "two"]
    assert turns[0]["answers"][0]["model"] == "client"
    roles = [message.role for message in backend.seen[0].messages]
    assert roles == ["system", "user", "assistant", "user"]


def test_image_typed_as_text_stays_text(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    reply = desk.ask(question("What is <image> </s>?")).json()
    assert backend.seen[0].images == ()
    assert backend.seen[0].messages[0].text == "What is <image> </s>?"
    turn = desk.conversation(reply["conversation_id"])["turns"][0]
    assert turn["text"] == "What is <image> </s>?"


def test_two_tabs_ask_in_one_conversation_at_once(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    conversation = desk.ask(question("start")).json()["conversation_id"]
    replies: list[httpx.Response] = []

    def ask(text: str) -> None:
        replies.append(desk.ask(question(text), conversation_id=conversation))

    threads = [threading.Thread(target=ask, args=(text,)) for text in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.status_code for reply in replies] == [200, 200]
    stored = desk.conversation(conversation)
    assert stored["turns"][-1]["text"] in ("left", "right")
    assert all(turn["answers"][0]["text"] == "A red circle." for turn in stored["turns"])


def test_nobody_sees_another_persons_conversation(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    reply = desk.ask(question("secret")).json()
    other = {"X-Person-Id": "somebody-else"}
    path = f"/api/conversations/{reply['conversation_id']}"
    assert desk.client.get(path, headers=other).status_code == 404
    body = {"messages": [question("more")], "conversation_id": reply["conversation_id"]}
    refused = desk.client.post("/v1/chat/completions", json=body, headers=other)
    assert refused.status_code == 404
    assert desk.client.get("/api/conversations", headers=other).json() == []


def test_leaving_cancels_the_work_within_two_steps_and_keeps_the_text(desk: Desk) -> None:
    gate = threading.Semaphore(0)
    backend = ScriptedBackend(words=["word "] * 100, gate=gate)
    desk.add_worker(backend)
    body = {"messages": [question("long?")], "stream": True}
    conversation = ""
    with desk.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        gate.release(3)
        words = 0
        for line in reply.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line[6:])
                conversation = event["conversation_id"]
                words += bool(event["choices"][0]["delta"].get("content"))
            if words == 3:
                break
    answer = _wait_for_end(desk, conversation)
    gate.release(100)
    time.sleep(0.2)
    assert backend.steps <= 5
    assert answer["finish_reason"] == "cancelled" and answer["text"] == "word word word "


def _wait_for_end(desk: Desk, conversation: str) -> dict[str, object]:
    for _ in range(100):
        answer: dict[str, object] = desk.conversation(conversation)["turns"][0]["answers"][0]
        if answer["finish_reason"]:
            return answer
        time.sleep(0.05)
    raise AssertionError("the answer was not ended")


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   \n"])
def test_an_empty_message_is_refused(desk: Desk, backend: ScriptedBackend, text: str) -> None:
    desk.add_worker(backend)
    assert code(desk.ask(question(text))) == (400, "empty_message")
    assert code(desk.ask(question(text, png()))) == (400, "empty_message")
    assert desk.client.get("/api/conversations").json() == []


@pytest.mark.parametrize("data", [b"this is no picture", png(size=(400, 400))[:300]])
def test_what_is_no_picture_is_refused(desk: Desk, backend: ScriptedBackend, data: bytes) -> None:
    desk.add_worker(backend)
    assert code(desk.ask(question("What?", data))) == (400, "bad_picture")


@pytest.mark.parametrize("url", ["http://127.0.0.1/x.png", "file:///etc/passwd", "/etc/passwd"])
def test_no_address_is_fetched(desk: Desk, backend: ScriptedBackend, url: str) -> None:
    desk.add_worker(backend)
    message = question("What?")
    message["content"].insert(0, {"type": "image_url", "image_url": {"url": url}})  # type: ignore[attr-defined]
    reply = desk.ask(message)
    assert code(reply) == (400, "bad_request") and "data:" in reply.json()["error"]["message"]


def test_a_40_megabyte_upload_is_too_large(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    reply = desk.ask(question("What?", b"\0" * 40_000_000))
    assert code(reply) == (413, "too_large") and "MB" in reply.json()["error"]["message"]


def test_a_body_beyond_all_limits_is_cut_off_early(desk: Desk) -> None:
    desk.settings.max_images = desk.settings.max_upload_mb = 1
    reply = desk.client.post("/v1/chat/completions", content=b" " * 8_000_000)
    assert code(reply) == (413, "too_large")


def test_unknown_model_and_no_worker(desk: Desk, backend: ScriptedBackend) -> None:
    assert code(desk.ask(question("What?"))) == (503, "no_worker")
    desk.add_worker(backend)
    reply = desk.ask(question("What?"), model="gpt-9")
    assert code(reply) == (404, "unknown_model") and "scripted" in reply.json()["error"]["remedy"]


def test_the_workers_own_error_reaches_the_person(desk: Desk) -> None:
    backend = ScriptedBackend(error=ContextTooLong("The conversation takes 999 tokens."))
    desk.add_worker(backend)
    reply = desk.ask(question("long " * 50))
    assert code(reply) == (400, "context_too_long")
    assert reply.json()["error"]["request_id"] == reply.headers["X-Request-Id"]


def test_a_worker_that_dies_in_the_middle_leaves_its_text(desk: Desk) -> None:
    with running(BreakingWorker(["Half ", "an "])) as url:
        desk.register(url, ScriptedBackend(info=ModelInfo(id="breaking")))
        events = stream(desk, {"messages": [question("What?")]})
    assert events[-1]["error"]["code"] == "worker_lost"
    answer = desk.conversation(events[0]["conversation_id"])["turns"][0]["answers"][0]
    assert answer["text"] == "Half an " and answer["error"] == "worker_lost"
    assert answer["finish_reason"] == "error"


def test_a_silent_worker_is_given_up(desk: Desk) -> None:
    desk.app.state.chat.relay._timeout = httpx.Timeout(5, read=2.5)
    gate = threading.Semaphore(0)
    desk.add_worker(ScriptedBackend(gate=gate))
    events = stream(desk, {"messages": [question("What?")]})
    gate.release(10)
    assert events[-1]["error"]["code"] == "worker_lost" and "silent" in str(events[-1]["error"])


def test_a_dead_worker_is_replaced_by_a_living_one(desk: Desk, backend: ScriptedBackend) -> None:
    desk.register("http://127.0.0.1:9", backend)
    desk.add_worker(backend)
    reply = desk.ask(question("What?"))
    assert reply.json()["choices"][0]["message"]["content"] == "A red circle."


def test_a_failed_first_answer_does_not_become_the_head(
    desk: Desk, backend: ScriptedBackend
) -> None:
    first_worker = desk.add_worker(backend)
    reply = desk.ask(question("one")).json()
    desk.app.state.registry.leave(first_worker)
    desk.register("http://127.0.0.1:9", backend)
    failed = desk.ask(question("two"), conversation_id=reply["conversation_id"])
    assert code(failed)[1] == "worker_lost"
    turns = desk.conversation(reply["conversation_id"])["turns"]
    assert [turn["text"] for turn in turns] == ["one"]


def test_workers_need_the_secret(desk: Desk) -> None:
    body = {"worker_id": "x", "url": "http://127.0.0.1:1", "models": []}
    assert code(desk.client.post("/internal/workers", json=body)) == (401, "not_allowed")
    assert desk.client.delete("/internal/workers/x").status_code == 401


def test_bad_requests_name_the_field(desk: Desk) -> None:
    reply = desk.client.post("/v1/chat/completions", json={"messages": 3})
    assert code(reply) == (400, "bad_request") and "messages" in reply.text
    assert code(desk.client.get("/nowhere")) == (404, "not_found")


def test_only_pictures_by_hash_are_served(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    reply = desk.ask(question("What?", png())).json()
    image = desk.conversation(reply["conversation_id"])["turns"][0]["images"][0]
    fetched = desk.client.get(f"/api/images/{image['sha256']}")
    assert fetched.headers["content-type"] == "image/png" and fetched.content[:4] == b"\x89PNG"
    assert fetched.headers["x-content-type-options"] == "nosniff"
    for wrong in ("0" * 64, "..%2f..%2fstudio.db", "x"):
        assert desk.client.get(f"/api/images/{wrong}").status_code == 404

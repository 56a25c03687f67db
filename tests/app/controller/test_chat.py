"""Questions through the controller to a worker and into the database."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing

import httpx
import pytest

from app.protocol import Sampling
from app.queue_place import QueuePlace
from tests.app.controller.conftest import Desk
from tests.fakes import ScriptedBackend
from tests.pictures import png, question


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


def test_sampling_reaches_the_worker_and_the_database(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    wanted = Sampling(
        temperature=1.0,
        top_k=40,
        min_p=0.05,
        repetition_penalty=1.1,
        max_tokens=9,
        stop=["\n"],
        logprobs=True,
        top_logprobs=2,
    )
    desk.ask(question("What?"), **wanted.model_dump(exclude_none=True))
    assert backend.samplings == [wanted]
    with closing(sqlite3.connect(desk.settings.data_dir / "studio.db")) as database:
        [(stored,)] = database.execute("SELECT parameters FROM answers").fetchall()
    assert Sampling.model_validate_json(stored) == wanted


def test_the_stream_names_the_stored_answer(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    events = desk.stream(question("What?"), stream_options={"include_usage": True})
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
    assert desk.client.get("/api/conversations", headers=other).json()["total"] == 0


def test_the_place_in_the_queue_comes_through_to_the_client(
    desk: Desk, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.api.FIRST_PIECE_SECONDS", 0.05)
    monkeypatch.setattr("app.worker.wire.LOOK_SECONDS", 0.02)
    backend.gate = threading.Semaphore(0)
    desk.add_worker(backend)
    first = threading.Thread(target=desk.ask, args=(question("first"),))
    first.start()
    while not backend.seen:
        time.sleep(0.01)
    body = {"messages": [question("second")], "stream": True}
    with desk.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        lines = (line for line in reply.iter_lines() if line)
        assert next(lines).startswith("data: ")
        assert QueuePlace.from_line(next(lines)) == QueuePlace(before=0)
        backend.gate.release(6)
        rest = list(lines)
    first.join()
    assert rest[-1] == "data: [DONE]" and "circle" in rest[-3]


def test_two_questions_in_one_message_of_a_client_are_joined(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    reply = desk.ask({"role": "user", "content": parts}).json()
    assert desk.conversation(reply["conversation_id"])["title"] == "one two"
    assert backend.seen[0].messages[0].text == "one\ntwo"

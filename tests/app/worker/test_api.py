"""The worker over HTTP: OpenAI's format whole and streamed, errors, limits, the secret."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from app.errors import BadPicture
from app.protocol import ChatChunk, ChatCompletion, ChatMessage, ModelInfo
from app.settings import Settings
from app.worker.api import create_app
from app.worker.pictures import PictureCache
from llava_core.conversation import Conversation, user
from tests.app.worker.conftest import Worker, data_url, events, question
from tests.fakes import ScriptedBackend
from tests.servers import running

Start = Callable[..., Worker]


def error_of(response: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    return error


def test_a_whole_answer_with_counts(start: Start) -> None:
    answer = ChatCompletion.model_validate(start(ScriptedBackend()).ask().json())
    assert answer.choices[0].message.content == "A red circle."
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 3)
    assert answer.usage.total_tokens == 6
    assert answer.model == "scripted"


def test_a_streamed_answer(start: Start) -> None:
    reply = start(ScriptedBackend()).ask(stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    *lines, last = events(reply.text)
    assert last == "[DONE]"
    chunks = [ChatChunk.model_validate_json(line) for line in lines]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].delta.content for c in chunks[1:-1]] == ["A ", "red ", "circle."]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_comes_last_where_it_is_asked_for(start: Start) -> None:
    reply = start(ScriptedBackend()).ask(stream=True, stream_options={"include_usage": True})
    chunk = ChatChunk.model_validate_json(events(reply.text)[-2])
    assert chunk.choices == []
    assert chunk.usage and chunk.usage.total_tokens == 6


def test_the_openai_client_streaming_and_not(start: Start) -> None:
    worker = start(ScriptedBackend(), secret="s")
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key="s", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["scripted"]
        content = [
            {"type": "image_url", "image_url": {"url": data_url(Image.new("RGB", (4, 4), "red"))}},
            {"type": "text", "text": "What is it?"},
        ]
        messages: Any = [{"role": "user", "content": content}]
        whole = client.chat.completions.create(model="scripted", messages=messages)
        assert whole.choices[0].message.content == "A red circle."
        stream = client.chat.completions.create(model="scripted", messages=messages, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert text == "A red circle."


def test_the_model_sees_the_picture_and_the_earlier_turns(start: Start) -> None:
    backend = ScriptedBackend()
    picture = {"type": "image_url", "image_url": {"url": data_url(Image.new("RGB", (5, 3), "red"))}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [picture, {"type": "text", "text": "What is <image> here?"}]},
        {"role": "assistant", "content": "A circle."},
        {"role": "user", "content": "Its colour?"},
    ]
    reply = start(backend).client.post("/v1/chat/completions", json={"messages": messages})
    assert reply.status_code == 200
    [conversation] = backend.seen
    assert [message.role for message in conversation.messages] == [m["role"] for m in messages]
    [image] = conversation.images
    assert (image.size, image.getpixel((0, 0))) == ((5, 3), (255, 0, 0))
    assert conversation.messages[1].text == "What is <image> here?"


def test_an_answer_ended_by_max_tokens_says_so(start: Start) -> None:
    reply = start(ScriptedBackend()).ask(max_tokens=2)
    assert reply.json()["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "A red "},
        "finish_reason": "length",
    }


def test_several_models_each_by_its_name(start: Start) -> None:
    worker = start(
        ScriptedBackend(ModelInfo(id="one"), words=["1"]),
        ScriptedBackend(ModelInfo(id="two"), words=["2"]),
    )
    listed = worker.client.get("/v1/models").json()["data"]
    assert [model["id"] for model in listed] == ["one", "two"]
    for name, expected in [("two", "2"), ("one", "1"), ("", "1")]:
        reply = worker.ask(model=name).json()
        assert reply["choices"][0]["message"]["content"] == expected


def test_an_unknown_model_names_the_known_ones(start: Start) -> None:
    reply = start(ScriptedBackend()).ask(model="gpt-9")
    assert reply.status_code == 404
    assert error_of(reply)["code"] == "unknown_model"
    assert "gpt-9" in error_of(reply)["message"] and "scripted" in error_of(reply)["remedy"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"messages": []}, "empty_message"),
        ({"messages": [{"role": "user", "content": ""}]}, "empty_message"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "bad_request"),
        (
            {
                "messages": [
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": "b"},
                ]
            },
            "empty_message",
        ),
        ({"messages": [{"role": "robot", "content": "a"}]}, "bad_request"),
        ({"messages": [{"role": "user", "content": "a"}], "temperature": 9}, "bad_request"),
    ],
)
def test_wrong_requests_are_refused(start: Start, body: dict[str, Any], code: str) -> None:
    backend = ScriptedBackend()
    reply = start(backend).client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 400
    assert error_of(reply)["code"] == code
    assert backend.seen == []


def test_what_is_no_json_is_refused(start: Start) -> None:
    reply = start(ScriptedBackend()).client.post("/v1/chat/completions", content=b"{nonsense")
    assert (reply.status_code, error_of(reply)["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x.png", "file:///etc/passwd", "/etc/passwd", "data:image/png,x"]
)
def test_pictures_come_as_data_urls_only(start: Start, url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    backend = ScriptedBackend()
    reply = start(backend).client.post(
        "/v1/chat/completions", json={"messages": [{"role": "user", "content": content}]}
    )
    assert (reply.status_code, error_of(reply)["code"]) == (400, "bad_request")
    assert "data: URLs only" in error_of(reply)["message"]
    assert backend.seen == []


def test_what_is_not_a_picture_is_refused(start: Start) -> None:
    url = "data:image/png;base64," + base64.b64encode(b"GIF, honestly").decode()
    content = [{"type": "image_url", "image_url": {"url": url}}]
    reply = start(ScriptedBackend()).client.post(
        "/v1/chat/completions", json={"messages": [{"role": "user", "content": content}]}
    )
    assert (reply.status_code, error_of(reply)["code"]) == (400, "bad_picture")


def test_too_many_pictures(start: Start) -> None:
    picture = {"type": "image_url", "image_url": {"url": data_url(Image.new("RGB", (2, 2)))}}
    body = {"messages": [{"role": "user", "content": [picture] * 3}]}
    reply = start(ScriptedBackend(), max_images=2).client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 400
    assert "3 pictures; at most 2" in error_of(reply)["message"]


def test_a_body_over_the_limit_is_refused_before_it_is_read(start: Start) -> None:
    worker = start(ScriptedBackend(), max_images=1, max_upload_mb=1)
    host, port = worker.url.removeprefix("http://").split(":")
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: w\r\nContent-Length: 900000000\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        sock.sendall(head.encode())
        assert b"413" in sock.recv(100)


def test_a_body_without_a_length_is_counted(start: Start) -> None:
    worker = start(ScriptedBackend(), max_images=1, max_upload_mb=1)
    reply = worker.client.post("/v1/chat/completions", content=(b" " * 1_000_000 for _ in range(6)))
    assert (reply.status_code, error_of(reply)["code"]) == (413, "too_large")


def test_the_secret(start: Start) -> None:
    worker = start(ScriptedBackend(), secret="right")
    assert worker.client.get("/health").status_code == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "right"}):
        refused = worker.client.post("/v1/chat/completions", json=question(), headers=headers)
        assert (refused.status_code, error_of(refused)["code"]) == (401, "not_allowed")
    assert worker.client.get("/v1/models").status_code == 401
    granted = worker.client.get("/v1/models", headers={"Authorization": "Bearer right"})
    assert granted.status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1", True), ("a b", False), ("x" * 65, False), (None, False)]
)
def test_errors_carry_the_request_id(start: Start, given: str | None, kept: bool) -> None:
    headers = {"X-Request-Id": given} if given else {}
    worker = start(ScriptedBackend())
    reply = worker.client.post("/v1/chat/completions", json={"messages": []}, headers=headers)
    identity = reply.headers["x-request-id"]
    assert error_of(reply)["request_id"] == identity
    assert (identity == given) == kept


def test_an_error_before_the_first_piece_is_a_status_even_when_streaming(start: Start) -> None:
    worker = start(ScriptedBackend(error=BadPicture("It is cut off.")))
    reply = worker.ask(stream=True)
    assert (reply.status_code, error_of(reply)["message"]) == (400, "It is cut off.")


def test_an_error_in_the_middle_is_the_last_event(start: Start) -> None:
    worker = start(ScriptedBackend(error=ZeroDivisionError("secret detail"), error_at=2))
    reply = worker.ask(stream=True)
    lines = events(reply.text)
    error = json.loads(lines[-1])["error"]
    assert reply.status_code == 200 and len(lines) == 4
    assert error["code"] == "internal_error"
    assert "ZeroDivisionError" in error["message"] and "secret detail" not in error["message"]
    assert error["request_id"] == reply.headers["x-request-id"]


def test_the_worker_survives_a_failing_model(start: Start) -> None:
    backend = ScriptedBackend(error=MemoryError())
    worker = start(backend)
    reply = worker.ask()
    assert (reply.status_code, error_of(reply)["code"]) == (503, "out_of_memory")
    backend.error = None
    assert worker.ask().json()["choices"][0]["message"]["content"] == "A red circle."


def test_while_loading_it_answers_health_and_refuses_questions(settings: Settings) -> None:
    app = create_app(settings)
    with running(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/health").json()["status"] == "loading"
        reply = client.post("/v1/chat/completions", json=question())
        assert (reply.status_code, error_of(reply)["code"]) == (503, "busy")
        app.state.service.open([ScriptedBackend()])
        assert client.get("/health").json()["status"] == "ready"
        assert client.post("/v1/chat/completions", json=question()).status_code == 200


def test_decoding_pictures_does_not_stop_the_server(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding, decoded = threading.Event(), threading.Event()

    def slow(
        messages: list[ChatMessage], settings: Settings, pictures: PictureCache
    ) -> Conversation:
        decoding.set()
        assert decoded.wait(10)
        return Conversation((user("What is it?"),))

    monkeypatch.setattr("app.worker.api.conversation_of", slow)
    worker = start(ScriptedBackend())
    with worker.ask_by_socket() as sock:
        assert decoding.wait(10)
        assert worker.client.get("/health").json()["status"] == "ready"
        decoded.set()
        assert b"200 OK" in sock.recv(100)

"""OpenAI's own client talks to the controller, with a picture."""

from __future__ import annotations

import openai
import pytest

from tests.app.controller.conftest import Desk
from tests.fakes import ScriptedBackend
from tests.pictures import png, question


@pytest.fixture
def client(desk: Desk, backend: ScriptedBackend) -> openai.OpenAI:
    desk.add_worker(backend)
    return openai.OpenAI(base_url=f"{desk.url}/v1", api_key="none", max_retries=0)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["scripted"]


def test_an_answer_at_once(client: openai.OpenAI, backend: ScriptedBackend) -> None:
    reply = client.chat.completions.create(
        model="scripted", messages=[question("What is it?", png())], max_tokens=20
    )
    assert reply.choices[0].message.content == "A red circle."
    assert reply.usage and reply.usage.completion_tokens == 3
    assert len(backend.seen[0].images) == 1


def test_a_streamed_answer(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="scripted",
            messages=[question("What is it?", png())],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "A red circle."
    assert chunks[-1].usage and chunks[-1].usage.total_tokens > 3


def test_log_probabilities_streamed_and_not(client: openai.OpenAI) -> None:
    asked = {"model": "scripted", "messages": [question("What is it?")]}
    asked |= {"logprobs": True, "top_logprobs": 2}
    whole = client.chat.completions.create(**asked).choices[0].logprobs  # type: ignore
    assert [entry.token for entry in whole.content] == ["A ", "red ", "circle."]
    assert [entry.logprob for entry in whole.content] == [-1, -2, -3]
    end = whole.content[0].top_logprobs[1]
    assert (end.token, end.logprob, end.bytes) == ("</s>", -9, None)
    chunks = list(client.chat.completions.create(**asked, stream=True))  # type: ignore
    parts = [chunk.choices[0].logprobs for chunk in chunks]
    assert [part.content for part in parts if part] == [[entry] for entry in whole.content]


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="There is no model 'other'"):
        client.chat.completions.create(model="other", messages=[question("What?")])
    with pytest.raises(openai.BadRequestError, match="not a picture"):
        client.chat.completions.create(model="scripted", messages=[question("What?", b"nonsense")])

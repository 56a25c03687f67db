"""Sampling over HTTP: parameters reach the model within limits, log-probabilities come back."""

from __future__ import annotations

import json
from collections.abc import Callable

import openai
import pytest

from app.protocol import Sampling
from tests.app.worker.conftest import Worker
from tests.fakes import ScriptedBackend

Start = Callable[..., Worker]


def test_sampling_reaches_the_model(start: Start) -> None:
    backend = ScriptedBackend()
    worker = start(backend, default_max_tokens=7)
    asked = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "seed": 3,
        "logprobs": True,
        "top_logprobs": 5,
    }
    worker.ask(**asked, stop="\n", max_completion_tokens=2)
    worker.ask()
    first, default = backend.samplings
    assert first == Sampling(**asked, stop=["\n"], max_tokens=2)
    assert default == Sampling(max_tokens=7)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ('"temperature": NaN', "temperature: Input should be a finite number"),
        ('"top_p": 0', "top_p: Input should be greater than 0"),
        ('"top_k": -1', "top_k: Input should be greater than or equal to 0"),
        ('"top_k": 1.5', "top_k: "),
        ('"min_p": 1.5', "min_p: Input should be less than or equal to 1"),
        ('"min_p": NaN', "min_p: Input should be a finite number"),
        ('"repetition_penalty": 0', "repetition_penalty: Input should be greater than"),
        ('"repetition_penalty": Infinity', "repetition_penalty: Input should be a finite"),
        ('"seed": 9223372036854775808', "seed: Input should be less than"),
        ('"logprobs": 5', "logprobs: Input should be a valid boolean"),
        ('"logprobs": true, "top_logprobs": 21', "top_logprobs: Input should be less than"),
        ('"top_logprobs": 2', "top_logprobs: only together with logprobs: true"),
        ('"logprobs": false, "top_logprobs": 2', "top_logprobs: only together with"),
        (f'"stop": {json.dumps(["x"] * 9)}', "stop: at most 8, not 9"),
    ],
)
def test_sampling_out_of_range_names_the_field(start: Start, wrong: str, reason: str) -> None:
    backend = ScriptedBackend()
    body = f'{{"messages": [{{"role": "user", "content": "a"}}], {wrong}}}'
    reply = start(backend).client.post("/v1/chat/completions", content=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_request")
    assert f"not valid at {reason}" in reply.json()["error"]["message"]
    assert backend.seen == []


def test_the_openai_client_reads_log_probabilities_streamed_and_not(start: Start) -> None:
    worker = start(ScriptedBackend())
    asked = {"model": "scripted", "messages": [{"role": "user", "content": "What is it?"}]}
    asked |= {"logprobs": True, "top_logprobs": 2}
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key="s", max_retries=0) as client:
        whole = client.chat.completions.create(**asked).choices[0].logprobs  # type: ignore
        chunks = list(client.chat.completions.create(**asked, stream=True))  # type: ignore
    assert [entry.token for entry in whole.content] == ["A ", "red ", "circle."]
    assert [entry.logprob for entry in whole.content] == [-1, -2, -3]
    assert bytes(byte for entry in whole.content for byte in entry.bytes) == b"A red circle."
    chosen, end = whole.content[1].top_logprobs
    assert (chosen.token, chosen.logprob) == ("red ", -2)
    assert (end.token, end.logprob, end.bytes) == ("</s>", -9, None)
    first, *words, ending = [chunk.choices[0] for chunk in chunks]
    assert first.logprobs is None and ending.logprobs is None
    assert [word.delta.content for word in words] == ["A ", "red ", "circle."]
    assert [word.logprobs.content for word in words] == [[entry] for entry in whole.content]


def test_log_probabilities_come_only_where_they_are_asked_for(start: Start) -> None:
    worker = start(ScriptedBackend())
    assert "logprobs" not in worker.ask(logprobs=False).text
    assert "logprobs" not in worker.ask(stream=True).text
    alone = worker.ask(logprobs=True).json()["choices"][0]["logprobs"]["content"]
    assert [entry["top_logprobs"] for entry in alone] == [[], [], []]


def test_a_token_that_adds_no_bytes_says_so(start: Start) -> None:
    """OpenAI's clients in other languages expect the key, with null."""
    reply = start(ScriptedBackend(words=["Yes"])).ask(logprobs=True, top_logprobs=2)
    [entry] = reply.json()["choices"][0]["logprobs"]["content"]
    assert entry["top_logprobs"][1] == {"token": "</s>", "logprob": -9.0, "bytes": None}

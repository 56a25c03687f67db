"""Which checkpoints a worker serves, under which names, and a real one behind the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.errors import NotFound
from app.settings import Settings
from app.worker.backend import EngineBackend
from app.worker.checkpoint import (
    CheckpointBackend,
    load_backend,
    load_backends,
    model_id,
    sources,
    split_precision,
)
from tests.app.worker.conftest import Worker, data_url, events
from tests.outside_models import make_idefics3
from tests.tiny_checkpoint import make_tiny_checkpoint


def checkpoint_folder(folder: Path) -> str:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return str(folder)


def test_bundled_checkpoints_come_the_best_first(tmp_path: Path) -> None:
    stages = [checkpoint_folder(tmp_path / f"llava-tiny-stage{n}") for n in (1, 2)]
    (tmp_path / "notes").mkdir()
    assert sources(Settings(), tmp_path) == stages[::-1]


def test_named_checkpoints_come_in_their_order(tmp_path: Path) -> None:
    checkpoint_folder(tmp_path / "bundled")
    assert sources(Settings(model=["b", "a"]), tmp_path) == ["b", "a"]


def test_without_any_checkpoint_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        sources(Settings(), tmp_path)
    assert "make tiny" in caught.value.remedy and "--model" in caught.value.remedy


def test_two_checkpoints_of_one_name_are_refused(tmp_path: Path) -> None:
    named = [checkpoint_folder(tmp_path / parent / "same") for parent in ("a", "b")]
    with pytest.raises(NotFound, match="'same'"):
        sources(Settings(model=named), tmp_path)


def test_a_model_is_called_like_its_folder_or_its_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    checkpoint_folder(folder)
    monkeypatch.chdir(folder)
    assert model_id(str(folder)) == model_id(f"{folder}/") == model_id(".") == "mine"
    assert model_id("llava-hf/llava-1.5-7b-hf") == "llava-hf/llava-1.5-7b-hf"


def test_a_precision_behind_the_path_belongs_to_the_name(tmp_path: Path) -> None:
    folder = checkpoint_folder(tmp_path / "mine")
    named = [folder, f"{folder}@8bit", "org/model@4bit"]
    assert sources(Settings(model=named)) == named
    assert [model_id(name) for name in named] == ["mine", "mine@8bit", "org/model@4bit"]
    assert split_precision(f"{folder}@8bit") == (folder, "8bit")
    assert split_precision("org/model@main") == ("org/model@main", None)
    literal = checkpoint_folder(tmp_path / "mine@8bit")
    assert split_precision(literal) == (literal, None)


@pytest.mark.parametrize("suffix", ["7bit", "8 bits", "16-bit"])
def test_a_precision_that_there_is_not_is_refused_with_those_that_there_are(suffix: str) -> None:
    with pytest.raises(NotFound, match=suffix) as caught:
        sources(Settings(model=[f"org/model@{suffix}"]))
    assert "16bit" in caught.value.remedy


def test_one_checkpoint_is_served_at_two_precisions(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    make_tiny_checkpoint(folder)
    settings = Settings(model=[f"{folder}", f"{folder}@8bit"], precision="32bit", device="cpu")
    infos = [backend.info for backend in load_backends(settings)]
    assert [(info.id, info.precision) for info in infos] == [
        ("tiny", "32bit"),
        ("tiny@8bit", "8bit"),
    ]
    assert infos[0].source == infos[1].source == str(folder)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> EngineBackend:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny_checkpoint(folder)
    backend = load_backend(str(folder), Settings(precision="32bit", device="cpu"))
    assert isinstance(backend, EngineBackend)
    return backend


def test_it_describes_itself(real: EngineBackend) -> None:
    info = real.info
    assert (info.id, info.precision) == ("tiny", "32bit")
    assert info.context_length > 0 and info.parameters > 0
    assert info.revision and info.template and info.source.endswith("tiny")


def picture_question(colour: str, **more: Any) -> dict[str, Any]:
    url = {"url": data_url(Image.new("RGB", (9, 9), colour))}
    content = [{"type": "image_url", "image_url": url}, {"type": "text", "text": "What is it?"}]
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 6, **more}


def test_a_real_checkpoint_answers_the_same_whole_and_streamed(
    start: Callable[..., Worker], real: EngineBackend
) -> None:
    worker = start(real)
    whole = worker.client.post("/v1/chat/completions", json=picture_question("red")).json()
    text = whole["choices"][0]["message"]["content"]
    assert whole["usage"]["completion_tokens"] in range(1, 7)
    assert whole["usage"]["prompt_tokens"] > 1
    body = picture_question("red", stream=True, stream_options={"include_usage": True})
    streamed = worker.client.post("/v1/chat/completions", json=body)
    chunks = [json.loads(line) for line in events(streamed.text)[:-1]]
    deltas = [choice["delta"].get("content", "") for c in chunks for choice in c["choices"]]
    assert "".join(deltas) == text
    assert chunks[-1]["usage"] == whole["usage"]


def test_a_conversation_longer_than_the_context_says_so(
    start: Callable[..., Worker], real: EngineBackend
) -> None:
    reply = start(real).ask("word " * (2 * real.info.context_length))
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "context_too_long")


def test_a_real_checkpoint_tells_log_probabilities_of_every_token(
    start: Callable[..., Worker], real: EngineBackend
) -> None:
    worker = start(real)
    body = picture_question("red", logprobs=True, top_logprobs=3, temperature=1.0, seed=1)
    whole = worker.client.post("/v1/chat/completions", json=body).json()
    told = whole["choices"][0]["logprobs"]["content"]
    assert len(told) == whole["usage"]["completion_tokens"]
    data = b"".join(bytes(entry["bytes"] or []) for entry in told)
    assert data.decode(errors="replace").strip() == whole["choices"][0]["message"]["content"]
    for entry in told:
        chances = [other["logprob"] for other in entry["top_logprobs"]]
        assert chances == sorted(chances)[::-1] and len(chances) == 3
        assert entry["logprob"] <= chances[0] <= 0
    streamed = worker.client.post("/v1/chat/completions", json={**body, "stream": True})
    choices = [json.loads(line)["choices"][0] for line in events(streamed.text)[:-1]]
    parts = [choice["logprobs"]["content"] for choice in choices if "logprobs" in choice]
    assert [entry for part in parts for entry in part] == told


def test_every_parameter_reaches_a_real_checkpoint(
    start: Callable[..., Worker], real: EngineBackend
) -> None:
    """Each of these alone leaves but one token to choose, whatever the temperature."""
    worker = start(real)

    def text(**more: Any) -> str:
        body = picture_question("red", **more)
        reply = worker.client.post("/v1/chat/completions", json=body).json()
        return str(reply["choices"][0]["message"]["content"])

    greedy = text()
    for sure in ({"top_k": 1}, {"min_p": 1.0}, {"top_p": 1e-6}):
        assert text(temperature=2.0, seed=5, **sure) == greedy
    assert text(temperature=2.0, seed=5) != greedy
    assert text(repetition_penalty=100.0) != greedy


def test_a_model_outside_the_engine_answers_one_at_a_time_and_says_so(
    start: Callable[..., Worker], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_idefics3(tmp_path / "other")
    with caplog.at_level("WARNING"):
        backend = load_backend(str(folder), Settings(precision="32bit", device="cpu"))
    assert isinstance(backend, CheckpointBackend)
    assert "other answers one request at a time: its architecture is idefics3" in caplog.text
    worker = start(backend)
    whole = worker.client.post("/v1/chat/completions", json=picture_question("red")).json()
    assert whole["usage"]["completion_tokens"] == 6
    with ThreadPoolExecutor() as people:
        bodies = [picture_question(colour) for colour in ("red", "green", "red")]
        replies = list(
            people.map(lambda body: worker.client.post("/v1/chat/completions", json=body), bodies)
        )
    assert [reply.status_code for reply in replies] == [200] * 3
    texts = [reply.json()["choices"][0]["message"]["content"] for reply in replies]
    assert texts[0] == texts[2] == whole["choices"][0]["message"]["content"]

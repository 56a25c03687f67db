"""Where a stored answer looked, asked through the controller."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from app.protocol import Explanation, ModelInfo
from app.settings import Settings
from app.worker.backend import EngineBackend
from app.worker.checkpoint import load_backend
from tests.app.controller.conftest import Desk, code
from tests.fakes import ScriptedBackend
from tests.pictures import png, question
from tests.servers import running
from tests.tiny_checkpoint import make_tiny_checkpoint


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> EngineBackend:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny_checkpoint(folder)
    backend = load_backend(str(folder), Settings(precision="32bit", device="cpu"))
    assert isinstance(backend, EngineBackend)
    return backend


def explained(desk: Desk, answer: str, person: str = "local") -> httpx.Response:
    headers = {"X-Person-Id": person}
    return desk.client.get(f"/api/answers/{answer}/explanation", headers=headers)


def test_each_word_of_a_stored_answer_has_a_grid(desk: Desk, real: EngineBackend) -> None:
    desk.add_worker(real)
    first = desk.ask(question("What is it?", png()), max_tokens=5).json()
    second = desk.ask(
        question("And this?", png("blue")), conversation_id=first["conversation_id"], max_tokens=5
    ).json()
    for answer, pictures in ((first, 1), (second, 2)):
        reply = explained(desk, answer["id"])
        assert reply.status_code == 200, reply.text
        told = Explanation.model_validate_json(reply.content)
        words = "".join(word.text for word in told.words)
        assert words.split() == answer["choices"][0]["message"]["content"].split()
        assert {len(word.grids) for word in told.words} == {pictures}
    stored = desk.conversation(first["conversation_id"])
    assert [len(turn["answers"]) for turn in stored["turns"]] == [1, 1], "nothing was added"


def test_another_persons_answer_is_not_there(desk: Desk, real: EngineBackend) -> None:
    desk.add_worker(real)
    answer = desk.ask(question("What?", png()), max_tokens=2).json()["id"]
    assert code(explained(desk, answer, "somebody-else")) == (404, "not_found")
    assert code(explained(desk, "ans_unknown")) == (404, "not_found")


def test_without_a_picture_there_is_nothing_to_look_at(
    desk: Desk, backend: ScriptedBackend
) -> None:
    desk.add_worker(backend)
    reply = explained(desk, desk.ask(question("What?")).json()["id"])
    assert code(reply) == (400, "bad_request") and "no picture" in reply.text


def test_an_answer_of_other_weights_is_not_explained(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    answer = desk.ask(question("What?", png())).json()["id"]
    desk.client.delete("/internal/workers/w1", headers=desk.secret)
    desk.add_worker(ScriptedBackend(info=ModelInfo(id="scripted", revision="trained further")))
    reply = explained(desk, answer)
    assert code(reply) == (400, "bad_request") and "have changed" in reply.text


def test_a_model_that_nobody_serves_any_more_is_named(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    answer = desk.ask(question("What?", png())).json()["id"]
    desk.client.delete("/internal/workers/w1", headers=desk.secret)
    assert code(explained(desk, answer)) == (503, "no_worker")


def test_a_worker_that_cannot_tell_says_so(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    reply = explained(desk, desk.ask(question("What?", png())).json()["id"])
    assert code(reply) == (400, "bad_request")
    assert "scripted cannot tell where an answer looked" in reply.text


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"detail": "Not Found"}, (400, "bad_request")),
        (200, {"words": "many"}, (502, "worker_lost")),
        (500, ["what"], (502, "worker_lost")),
    ],
)
def test_engines_of_other_projects(
    desk: Desk, backend: ScriptedBackend, status: int, body: Any, expected: tuple[int, str]
) -> None:
    desk.add_worker(backend)
    answer = desk.ask(question("What?", png())).json()["id"]
    desk.client.delete("/internal/workers/w1", headers=desk.secret)
    other = FastAPI()

    @other.post("/v1/explanations")
    async def explanations() -> Any:
        return JSONResponse(body, status_code=status)

    with running(other) as url:
        desk.register(url, backend)
        assert code(explained(desk, answer)) == expected


def test_a_worker_that_is_gone(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    answer = desk.ask(question("What?", png())).json()["id"]
    desk.client.delete("/internal/workers/w1", headers=desk.secret)
    desk.register("http://127.0.0.1:9", ScriptedBackend(info=ModelInfo(id="scripted")))
    assert code(explained(desk, answer)) == (502, "worker_lost")

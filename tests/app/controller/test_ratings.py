"""One rating for each person and answer, changeable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.app.controller.conftest import Desk
from tests.fakes import ScriptedBackend
from tests.pictures import question


def answer_of(desk: Desk, backend: ScriptedBackend) -> dict[str, str]:
    desk.add_worker(backend)
    reply: dict[str, str] = desk.ask(question("What?")).json()
    return reply


def ratings_in(desk: Desk, conversation: str) -> dict[str, object]:
    rating: dict[str, object] = desk.conversation(conversation)["turns"][0]["answers"][0]["rating"]  # type: ignore[index]
    return rating


def test_the_same_thumb_twice_is_one_rating(desk: Desk, backend: ScriptedBackend) -> None:
    reply = answer_of(desk, backend)
    body = {"answer_id": reply["id"], "value": "up", "reason": "correct"}
    ids = {desk.client.post("/api/ratings", json=body).json()["id"] for _ in range(3)}
    assert len(ids) == 1


def test_clicks_at_the_same_moment_are_one_rating(desk: Desk, backend: ScriptedBackend) -> None:
    reply = answer_of(desk, backend)
    body = {"answer_id": reply["id"], "value": "up"}
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: desk.client.post("/api/ratings", json=body), range(8)))
    assert {r.status_code for r in replies} == {200}
    assert len({r.json()["id"] for r in replies}) == 1


def test_rating_again_changes_it(desk: Desk, backend: ScriptedBackend) -> None:
    reply = answer_of(desk, backend)
    desk.client.post("/api/ratings", json={"answer_id": reply["id"], "value": "up"})
    changed = {"answer_id": reply["id"], "value": "down", "reason": "wrong", "comment": "Blue!"}
    desk.client.post("/api/ratings", json=changed)
    rating = ratings_in(desk, reply["conversation_id"])
    assert (rating["value"], rating["reason"], rating["comment"]) == ("down", "wrong", "Blue!")


def test_each_person_has_a_rating_of_their_own(desk: Desk, backend: ScriptedBackend) -> None:
    reply = answer_of(desk, backend)
    body = {"answer_id": reply["id"], "value": "flag"}
    desk.client.post("/api/ratings", json=body, headers={"X-Person-Id": "other"})
    assert ratings_in(desk, reply["conversation_id"]) is None


def test_a_rating_can_be_taken_back(desk: Desk, backend: ScriptedBackend) -> None:
    reply = answer_of(desk, backend)
    desk.client.post("/api/ratings", json={"answer_id": reply["id"], "value": "up"})
    assert desk.client.delete(f"/api/ratings/{reply['id']}").status_code == 204
    assert ratings_in(desk, reply["conversation_id"]) is None


def test_unknown_answers_and_values_are_refused(desk: Desk) -> None:
    reply = desk.client.post("/api/ratings", json={"answer_id": "ans_x", "value": "up"})
    assert reply.status_code == 404
    reply = desk.client.post("/api/ratings", json={"answer_id": "ans_x", "value": "great"})
    assert reply.status_code == 400 and "value" in reply.json()["error"]["message"]

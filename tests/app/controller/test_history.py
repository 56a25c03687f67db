"""The list of conversations, search, branches, changes, and deletion for good."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.protocol import ModelInfo
from tests.app.controller.conftest import Desk, code
from tests.fakes import ScriptedBackend
from tests.pictures import png, question


@pytest.fixture
def asked(desk: Desk, backend: ScriptedBackend) -> Desk:
    """A controller with a worker."""
    desk.add_worker(backend)
    return desk


def files_of(desk: Desk) -> list[str]:
    return sorted(path.name for path in desk.settings.images_dir.rglob("*") if path.is_file())


def listed(desk: Desk, **parameters: Any) -> list[str]:
    """The titles that a search or a page gives."""
    reply = desk.client.get("/api/conversations", params=parameters).json()
    return [entry["title"] for entry in reply["conversations"]]


def test_an_entry_says_what_a_list_shows(asked: Desk) -> None:
    reply = asked.ask(question("What is this?", png("red"), png("blue"))).json()
    asked.ask(question("And now?", png("green")), conversation_id=reply["conversation_id"])
    (entry,) = asked.client.get("/api/conversations").json()["conversations"]
    first = asked.conversation(entry["id"])["turns"][0]["images"][0]["sha256"]
    assert entry["thumbnail"] == first and entry["turns"] == 2 and entry["model"] == "scripted"
    small = asked.client.get(f"/api/images/{first}/thumbnail")
    assert small.headers["content-type"] == "image/webp" and small.content[8:12] == b"WEBP"


def test_pages_of_the_list_have_everything_once(asked: Desk) -> None:
    ids = [asked.ask(question(f"number {n}")).json()["conversation_id"] for n in range(5)]
    for pinned in (ids[0], ids[3]):
        asked.client.patch(f"/api/conversations/{pinned}", json={"pinned": True})
    seen: list[str] = []
    after: str | None = None
    while len(seen) < 9:
        where = {"limit": "2"} | ({"after": after} if after else {})
        page = asked.client.get("/api/conversations", params=where).json()
        assert page["total"] == 5
        seen += [entry["title"] for entry in page["conversations"]]
        after = page["next"]
        if not after:
            break
    assert seen == ["number 3", "number 0", "number 4", "number 2", "number 1"]


@pytest.mark.parametrize("wrong", [{"after": "x"}, {"limit": 0}, {"limit": 10_000}])
def test_a_wrong_page_is_refused(asked: Desk, wrong: dict[str, Any]) -> None:
    reply = asked.client.get("/api/conversations", params=wrong)
    assert code(reply) == (400, "bad_request") and str(next(iter(wrong.values()))) in reply.text


def test_search_finds_words_parts_and_chinese(desk: Desk) -> None:
    desk.add_worker(ScriptedBackend(words=["A triangle ", "stands here."]))
    desk.ask(question("Where is the STAR's shadow?"))
    desk.ask(question("图中红色的圆形在哪里?"))
    desk.ask(question('100% "quoted" a_b'))
    everything = ["Where is the STAR's shadow?", "图中红色的圆形在哪里?", '100% "quoted" a_b']
    for words, found in {
        "star": [0],
        "sha star": [0],
        "圆形": [1],
        "红色的圆": [1],
        '"quoted"': [2],
        "0%": [2],
        "a_b": [2],
        "axb": [],
        "TRIANG": [0, 1, 2],
        "triangle shadow": [0],
        "triangle nowhere": [],
        "": [0, 1, 2],
    }.items():
        assert sorted(listed(desk, q=words)) == sorted(everything[n] for n in found), words
    assert code(desk.client.get("/api/conversations", params={"q": "x" * 300}))[0] == 400


def test_a_new_title_is_found_and_the_old_one_is_not(asked: Desk) -> None:
    identity = asked.ask(question("unremarkable")).json()["conversation_id"]
    path = f"/api/conversations/{identity}"
    before = asked.conversation(identity)["updated_at"]
    changed = asked.client.patch(path, json={"title": "  Holiday \n pictures "}).json()
    assert changed["title"] == "Holiday pictures" and changed["updated_at"] == before
    assert listed(asked, q="holiday") == ["Holiday pictures"]
    assert asked.client.patch(path, json={"title": "Other"}).is_success
    assert listed(asked, q="holiday") == []
    assert code(asked.client.patch(path, json={"title": " "})) == (400, "bad_request")
    assert code(asked.client.patch(path, json={"colour": "red"})) == (400, "bad_request")


# --- branches -------------------------------------------------------------------------------------


def test_editing_the_first_question_makes_a_branch_with_its_pictures(
    asked: Desk, backend: ScriptedBackend
) -> None:
    first = asked.ask(question("What is it?", png())).json()
    identity = first["conversation_id"]
    asked.ask(question("And its colour?"), conversation_id=identity)
    sha256 = asked.conversation(identity)["turns"][0]["images"][0]["sha256"]
    edited = question("What is that?")
    kept = {"type": "image_url", "image_url": {"url": f"stored:{sha256}"}}
    edited["content"].insert(0, kept)  # type: ignore[attr-defined]
    reply = asked.ask(edited, edit_of=first["question_id"]).json()
    assert reply["conversation_id"] == identity
    assert [m.text for m in backend.seen[-1].messages] == ["What is that?"]
    assert len(backend.seen[-1].images) == 1
    (turn,) = asked.conversation(identity)["turns"]
    assert turn["siblings"] == [first["question_id"], reply["question_id"]]
    assert turn["parent_answer_id"] is None and turn["images"][0]["sha256"] == sha256
    body = {"question_id": first["question_id"]}
    back = asked.client.post(f"/api/conversations/{identity}/branch", json=body).json()
    assert [turn["text"] for turn in back["turns"]] == ["What is it?", "And its colour?"]


def test_a_retry_with_another_model_is_a_sibling_that_can_be_walked_to(asked: Desk) -> None:
    asked.add_worker(ScriptedBackend(ModelInfo(id="other", context_length=100), ["A star."]))
    first = asked.ask(question("What?", png()), model="scripted").json()
    identity = first["conversation_id"]
    asked.ask(question("Sure?"), model="scripted", conversation_id=identity)
    retried = asked.ask(regenerate_of=first["id"], model="other").json()
    (turn,) = asked.conversation(identity)["turns"]
    assert [answer["model"] for answer in turn["answers"]] == ["scripted", "other"]
    assert turn["chosen"] == retried["id"] and len(turn["images"]) == 1
    body = {"answer_id": first["id"]}
    back = asked.client.post(f"/api/conversations/{identity}/branch", json=body).json()
    assert [turn["text"] for turn in back["turns"]] == ["What?", "Sure?"]


def test_two_tabs_on_one_conversation_make_two_branches(asked: Desk) -> None:
    first = asked.ask(question("What?")).json()
    here = {"conversation_id": first["conversation_id"], "parent_answer_id": first["id"]}
    one = asked.ask(question("from one tab"), **here).json()
    two = asked.ask(question("from another"), **here).json()
    last = asked.conversation(first["conversation_id"])["turns"][-1]
    assert last["siblings"] == [one["question_id"], two["question_id"]]


@pytest.mark.parametrize(
    "body", [{}, {"question_id": "q", "answer_id": "a"}, {"question_id": "nothing"}]
)
def test_a_branch_that_is_not_there_is_refused(asked: Desk, body: dict[str, str]) -> None:
    identity = asked.ask(question("What?")).json()["conversation_id"]
    reply = asked.client.post(f"/api/conversations/{identity}/branch", json=body)
    assert code(reply) in ((400, "bad_request"), (404, "not_found"))


def test_pictures_of_others_cannot_be_named(asked: Desk) -> None:
    identity = asked.ask(question("What?", png())).json()["conversation_id"]
    sha256 = asked.conversation(identity)["turns"][0]["images"][0]["sha256"]
    message = question("What?")
    named = {"type": "image_url", "image_url": {"url": f"stored:{sha256}"}}
    message["content"].insert(0, named)  # type: ignore[attr-defined]
    body = {"messages": [message]}
    other = {"X-Person-Id": "somebody-else"}
    reply = asked.client.post("/v1/chat/completions", json=body, headers=other)
    assert code(reply) == (404, "not_found")
    for path in (f"/api/images/{sha256}", f"/api/images/{sha256}/thumbnail"):
        assert asked.client.get(path, headers=other).status_code == 404
        assert asked.client.get(path, headers={"X-Person-Id": "local"}).is_success


# --- deleting -------------------------------------------------------------------------------------


def test_deleted_for_good(asked: Desk) -> None:
    gone = asked.ask(question("an apricot", png("red"), png("blue"))).json()
    stays = asked.ask(question("also", png("blue"))).json()["conversation_id"]
    for image in asked.conversation(gone["conversation_id"])["turns"][0]["images"]:
        assert asked.client.get(f"/api/images/{image['sha256']}/thumbnail").is_success
    asked.client.post("/api/ratings", json={"answer_id": gone["id"], "value": "up"})
    assert len(files_of(asked)) == 4
    path = f"/api/conversations/{gone['conversation_id']}"
    assert asked.client.delete(path).status_code == 204
    (kept,) = asked.conversation(stays)["turns"][0]["images"]
    assert files_of(asked) == [f"{kept['sha256']}.png", f"{kept['sha256']}.thumbnail.webp"]
    assert listed(asked, q="apricot") == []
    assert b"apricot" not in database_bytes(asked.settings.data_dir)
    assert code(asked.client.get(path)) == (404, "not_found")
    assert code(asked.client.delete(path)) == (404, "not_found")


def database_bytes(folder: Path) -> bytes:
    """All bytes of the SQLite file, its log written back."""
    import sqlite3

    with sqlite3.connect(folder / "studio.db") as other:
        other.execute("INSERT INTO search_index (search_index) VALUES ('optimize')")
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    return (folder / "studio.db").read_bytes()


def test_a_conversation_deleted_in_another_tab(asked: Desk) -> None:
    first = asked.ask(question("What?")).json()
    identity = first["conversation_id"]
    asked.client.delete(f"/api/conversations/{identity}")
    reply = asked.ask(question("And?"), conversation_id=identity, parent_answer_id=first["id"])
    assert code(reply) == (404, "not_found") and "deleted" in reply.json()["error"]["remedy"]
    assert code(asked.ask(regenerate_of=first["id"])) == (404, "not_found")


def test_deleting_stops_an_answer_in_work(desk: Desk) -> None:
    gate = threading.Semaphore(1)
    backend = ScriptedBackend(gate=gate)
    desk.add_worker(backend)
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(desk.stream, question("What?"))
        while not (entries := desk.client.get("/api/conversations").json()["conversations"]):
            pass
        assert desk.client.delete(f"/api/conversations/{entries[0]['id']}").status_code == 204
        gate.release(10)
        asking.result(timeout=20)
    assert desk.client.get("/api/conversations").json()["total"] == 0


def test_other_people_have_other_conversations(asked: Desk) -> None:
    identity = asked.ask(question("What?")).json()["conversation_id"]
    other = {"X-Person-Id": "somebody-else"}
    path = f"/api/conversations/{identity}"
    assert asked.client.patch(path, json={"title": "x"}, headers=other).status_code == 404
    assert asked.client.delete(path, headers=other).status_code == 404
    assert asked.client.get("/api/conversations", headers=other).json()["total"] == 0
    assert asked.conversation(identity)["title"] == "What?"

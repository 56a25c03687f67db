"""Read-only links, and conversations as files."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import httpx
import pytest

from llava_core.training.records import parse_record
from tests.app.controller.conftest import Desk, code
from tests.fakes import ScriptedBackend
from tests.pictures import png, question

STRANGER = {"X-Person-Id": "a-stranger"}


@pytest.fixture
def shared(desk: Desk, backend: ScriptedBackend) -> tuple[Desk, str, str]:
    """A controller, a conversation of two turns, and the token of a link to the first of them."""
    desk.add_worker(backend)
    first = desk.ask(question("What is it?", png("red"))).json()
    identity = first["conversation_id"]
    desk.ask(regenerate_of=first["id"])
    token = desk.client.post(f"/api/conversations/{identity}/shares").json()["token"]
    desk.ask(question("A secret, later", png("blue")), conversation_id=identity)
    return desk, identity, token


def test_a_link_shows_the_path_as_it_was(shared: tuple[Desk, str, str]) -> None:
    desk, identity, token = shared
    desk.client.patch(f"/api/conversations/{identity}", json={"title": "renamed since"})
    reply = desk.client.get(f"/api/shared/{token}", headers=STRANGER)
    assert reply.is_success and "secret" not in reply.text and "renamed" not in reply.text
    assert '"local"' not in reply.text
    (turn,) = reply.json()["conversation"]["turns"]
    assert turn["text"] == "What is it?" and len(turn["answers"]) == 1
    old, new = (t["images"][0]["sha256"] for t in desk.conversation(identity)["turns"])
    images = f"/api/shared/{token}/images"
    assert desk.client.get(f"{images}/{old}", headers=STRANGER).content[:4] == b"\x89PNG"
    assert desk.client.get(f"{images}/{old}/thumbnail").headers["content-type"] == "image/webp"
    assert desk.client.get(f"{images}/{new}").status_code == 404


def test_a_revoked_link_says_so(shared: tuple[Desk, str, str]) -> None:
    desk, identity, token = shared
    sha256 = desk.conversation(identity)["turns"][0]["images"][0]["sha256"]
    path = f"/api/conversations/{identity}/shares"
    assert [share["token"] for share in desk.client.get(path).json()["shares"]] == [token]
    assert desk.client.delete(f"{path}/{token}", headers=STRANGER).status_code == 404
    assert desk.client.get(path, headers=STRANGER).status_code == 404
    assert desk.client.delete(f"{path}/{token}").status_code == 204
    reply = desk.client.get(f"/api/shared/{token}")
    assert code(reply) == (404, "not_found") and "revoked" in reply.json()["error"]["message"]
    assert code(desk.client.get(f"/api/shared/{token}/images/{sha256}")) == (404, "not_found")
    assert desk.client.get(path).json()["shares"] == []


def test_deleting_the_conversation_ends_its_links(shared: tuple[Desk, str, str]) -> None:
    desk, identity, token = shared
    assert desk.client.delete(f"/api/conversations/{identity}").status_code == 204
    assert code(desk.client.get(f"/api/shared/{token}")) == (404, "not_found")


def test_an_empty_conversation_is_not_shared(shared: tuple[Desk, str, str]) -> None:
    desk, identity, _ = shared
    desk.client.post(f"/api/conversations/{identity}/head", json={"answer_id": None})
    reply = desk.client.post(f"/api/conversations/{identity}/shares")
    assert code(reply) == (400, "bad_request") and "empty" in reply.text


# --- export ---------------------------------------------------------------------------------------


def export(desk: Desk, identity: str, format: str) -> httpx.Response:
    return desk.client.get(f"/api/conversations/{identity}/export", params={"format": format})


def test_the_training_record_is_one_that_training_reads(
    desk: Desk, backend: ScriptedBackend, tmp_path: Path
) -> None:
    desk.add_worker(backend)
    identity = desk.ask(question("Is <image> a picture?", png())).json()["conversation_id"]
    desk.ask(question("And these?", png("blue"), png("green")), conversation_id=identity)
    reply = export(desk, identity, "llava")
    assert reply.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        archive.extractall(tmp_path / "out")
        (record,) = json.loads(archive.read("conversation.json"))
    assert list(record) == ["id", "image", "conversations"] and len(record["image"]) == 3
    assert [said["from"] for said in record["conversations"]] == ["human", "gpt", "human", "gpt"]
    assert record["conversations"][0]["value"] == "<image>\nIs <\u200bimage> a picture?"
    assert record["conversations"][2]["value"] == "<image>\n<image>\nAnd these?"
    read = parse_record(record)
    assert all((tmp_path / "out" / name).is_file() for name in read.images)


def test_one_picture_is_a_name_and_none_is_absent(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    for pictures, expected in (((), None), ((png(),), "images/")):
        identity = desk.ask(question("What?", *pictures)).json()["conversation_id"]
        with zipfile.ZipFile(io.BytesIO(export(desk, identity, "llava").content)) as archive:
            (record,) = json.loads(archive.read("conversation.json"))
        assert (record.get("image") or "").startswith(expected or "")
        assert ("image" in record) == bool(pictures)


def test_markdown_names_its_pictures(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    identity = desk.ask(question("图中是什么 / what?", png())).json()["conversation_id"]
    reply = export(desk, identity, "markdown")
    assert "%E5%9B%BE" in reply.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        text = archive.read("conversation.md").decode()
        (picture,) = [name for name in archive.namelist() if name.startswith("images/")]
    assert f"]({picture})" in text and "A red circle." in text and "## scripted" in text


def test_json_has_everything(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    first = desk.ask(question("What?", png())).json()
    desk.ask(regenerate_of=first["id"])
    whole = export(desk, first["conversation_id"], "json").json()
    assert whole["conversation"] == desk.conversation(first["conversation_id"])
    ((_, url),) = whole["pictures"].items()
    assert url.startswith("data:image/png;base64,")


def test_what_cannot_be_exported(desk: Desk, backend: ScriptedBackend) -> None:
    desk.add_worker(backend)
    identity = desk.ask(question("What?")).json()["conversation_id"]
    assert code(export(desk, identity, "pdf")) == (400, "bad_request")
    assert code(export(desk, "conv_nothing", "json")) == (404, "not_found")

"""Logins, keys, a trusted proxy, open doors: nobody sees what is another's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from app.access import ACTING_HEADER, ADDRESS_HEADER, check_access
from app.controller.limits import FAILURES_OF_NAME_FROM_ADDRESS, LoginLimits
from app.db.people import People
from app.errors import BadRequest, NotAllowed, NotFound, TooMany
from app.settings import Settings
from tests.app.controller.conftest import SECRET, Desk, code
from tests.fakes import ScriptedBackend
from tests.pictures import png, question

PASSWORDS = {"alice": "correct horse", "bob": "battery staple"}


def desk_with(folder: Path, stack: ExitStack, **settings: Any) -> Desk:
    desk = Desk(Settings(data_dir=folder, secret=SECRET, **settings), stack)
    desk.add_worker(ScriptedBackend())
    return desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A controller with logins; alice and bob are users."""
    with ExitStack() as stack:
        desk = desk_with(tmp_path, stack, login=True)
        for name, password in PASSWORDS.items():
            people(desk).add(name, password)
        yield desk


def people(desk: Desk) -> People:
    found: People = desk.app.state.store.people
    return found


def log_in(desk: Desk, name: str, password: str | None = None, **headers: str) -> httpx.Response:
    body = {"name": name, "password": password or PASSWORDS[name]}
    return desk.client.post("/api/login", json=body, headers=headers)


def as_user(desk: Desk, name: str) -> dict[str, str]:
    """The headers with which the page asks for somebody who has logged in."""
    return {"Authorization": f"Bearer {log_in(desk, name).json()['token']}"}


def ask(desk: Desk, headers: dict[str, str], *pictures: bytes, **keys: Any) -> httpx.Response:
    body = {"messages": [question("What?", *pictures)], **keys}
    return desk.client.post("/v1/chat/completions", json=body, headers=headers)


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every route, those of included routers too."""
    found: list[tuple[str, str]] = []
    waiting = list(app.routes)
    for route in waiting:
        inner = getattr(route, "original_router", None)
        if isinstance(route, Route):
            found += [(method, route.path) for method in sorted(route.methods or ())]
        elif inner is not None:
            waiting += inner.routes
    return found


# --- nobody sees another's ------------------------------------------------------------------------

FREE = {"/health", "/v1/models", "/api/login", "/internal/workers", "/internal/workers/{worker_id}"}


def test_every_route_refuses_strangers(desk: Desk) -> None:
    walked = routes(desk.app)
    assert len(walked) > 25
    for method, path in walked:
        if path in FREE or path.startswith("/api/shared/"):
            continue
        reply = desk.client.request(method, path.replace("{", "").replace("}", ""))
        if method == "HEAD":
            assert reply.status_code == 401
            continue
        assert code(reply) == (401, "login_required"), (method, path)


def test_every_route_about_something_refuses_other_people(desk: Desk) -> None:
    alice, bob = as_user(desk, "alice"), as_user(desk, "bob")
    asked = ask(desk, alice, png()).json()
    conversation = f"/api/conversations/{asked['conversation_id']}"
    stored = desk.client.get(conversation, headers=alice).json()
    sha256 = stored["turns"][0]["images"][0]["sha256"]
    share = desk.client.post(f"{conversation}/shares", headers=alice).json()
    rating = {"answer_id": asked["id"], "value": "up"}
    assert desk.client.post("/api/ratings", json=rating, headers=alice).is_success
    values = {
        "conversation_id": asked["conversation_id"],
        "answer_id": asked["id"],
        "sha256": sha256,
        "token": share["token"],
    }
    bodies = {
        "head": {"answer_id": asked["id"]},
        "branch": {"answer_id": asked["id"]},
    }
    seen = 0
    for method, path in routes(desk.app):
        named = {name for name in values if f"{{{name}}}" in path}
        if not named or path.startswith(("/api/shared/", "/internal/", "/api/ratings/")):
            continue
        seen += 1
        body = bodies.get(path.rsplit("/", 1)[-1], {})
        where = path.format_map(values)
        query = {"format": "json"}
        reply = desk.client.request(method, where, json=body, headers=bob, params=query)
        assert reply.status_code == 404, (method, path, reply.text)
        assert sha256 not in reply.text and "circle" not in reply.text
    assert seen >= 12
    assert desk.client.get("/api/conversations", headers=bob).json()["total"] == 0
    assert desk.client.get("/api/conversations?q=what", headers=bob).json()["total"] == 0
    for keys in (
        {"conversation_id": asked["conversation_id"]},
        {"edit_of": asked["question_id"]},
        {"regenerate_of": asked["id"]},
    ):
        assert ask(desk, bob, **keys).status_code == 404
    assert code(desk.client.post("/api/ratings", json=rating, headers=bob)) == (404, "not_found")
    assert desk.client.delete(f"/api/ratings/{asked['id']}", headers=bob).is_success
    after = desk.client.get(conversation, headers=alice).json()
    assert after["turns"][0]["answers"][0]["rating"]["value"] == "up"
    assert after["turns"] == desk.client.get(conversation, headers=alice).json()["turns"]


def test_a_link_needs_no_login(desk: Desk) -> None:
    alice = as_user(desk, "alice")
    asked = ask(desk, alice, png()).json()
    path = f"/api/conversations/{asked['conversation_id']}/shares"
    token = desk.client.post(path, headers=alice).json()["token"]
    shared = desk.client.get(f"/api/shared/{token}")
    sha256 = shared.json()["conversation"]["turns"][0]["images"][0]["sha256"]
    assert "alice" not in shared.text
    assert desk.client.get(f"/api/shared/{token}/images/{sha256}").is_success
    assert desk.client.get(f"/api/images/{sha256}").status_code == 401


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Person-Id": "user:alice"},
        {ACTING_HEADER: "alice"},
        {"X-Forwarded-User": "alice"},
        {"Authorization": "Bearer ses_guessed"},
        {"Authorization": f"Bearer {SECRET}", ACTING_HEADER: "alice"},
    ],
)
def test_headers_make_nobody_alice(desk: Desk, forged: dict[str, str]) -> None:
    ask(desk, as_user(desk, "alice"))
    assert code(desk.client.get("/api/conversations", headers=forged)) == (401, "login_required")
    bob = as_user(desk, "bob") | {k: v for k, v in forged.items() if k != "Authorization"}
    assert desk.client.get("/api/me", headers=bob).json()["name"] == "bob"
    assert desk.client.get("/api/conversations", headers=bob).json()["total"] == 0


# --- coming and going -----------------------------------------------------------------------------


def test_a_login_ends_with_logging_out(desk: Desk) -> None:
    one, two = as_user(desk, "alice"), as_user(desk, "alice")
    assert desk.client.get("/api/me", headers=one).json()["name"] == "alice"
    assert desk.client.post("/api/logout", headers=one).status_code == 204
    assert desk.client.get("/api/me", headers=one).status_code == 401
    assert desk.client.get("/api/me", headers=two).is_success


def test_what_is_stored_opens_nothing(desk: Desk, tmp_path: Path) -> None:
    token = log_in(desk, "alice").json()["token"]
    key = people(desk).new_key("alice")
    rows = str(sqlite3.connect(tmp_path / "studio.db").execute("SELECT * FROM users").fetchall())
    assert "$argon2id$" in rows and PASSWORDS["alice"] not in rows
    everything = b"".join(path.read_bytes() for path in tmp_path.glob("studio.db*"))
    assert token.encode() not in everything and key.encode() not in everything


def test_a_session_expires(desk: Desk) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    people(desk)._clock = lambda: now  # type: ignore[method-assign]
    headers = as_user(desk, "alice")
    now += timedelta(days=29.9)
    assert desk.client.get("/api/me", headers=headers).is_success
    now += timedelta(days=0.2)
    assert code(desk.client.get("/api/me", headers=headers)) == (401, "login_required")


def test_a_new_password_ends_all_sessions_and_a_removed_user_is_out(desk: Desk) -> None:
    headers = as_user(desk, "alice")
    people(desk).set_password("alice", "a new one entirely")
    assert desk.client.get("/api/me", headers=headers).status_code == 401
    assert code(log_in(desk, "alice")) == (401, "not_allowed")
    headers = {
        "Authorization": f"Bearer {log_in(desk, 'alice', 'a new one entirely').json()['token']}"
    }
    key = people(desk).new_key("alice")
    people(desk).remove("alice")
    for token in (headers, {"Authorization": f"Bearer {key}"}):
        assert desk.client.get("/api/me", headers=token).status_code == 401
    assert [name for name, _ in people(desk).names()] == ["bob"]


def test_an_openai_client_comes_in_with_a_key(desk: Desk) -> None:
    key = people(desk).new_key("bob")
    client = openai.OpenAI(base_url=f"{desk.url}/v1", api_key=key)
    reply = client.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": "What?"}], user="alice"
    )
    assert reply.choices[0].message.content == "A red circle."
    bob = as_user(desk, "bob")
    assert desk.client.get("/api/conversations", headers=bob).json()["total"] == 1
    assert people(desk).remove_keys("bob") == 1
    with pytest.raises(openai.AuthenticationError, match="login"):
        client.chat.completions.create(
            model="scripted", messages=[{"role": "user", "content": "What?"}]
        )
    client.close()


# --- guessing -------------------------------------------------------------------------------------


def test_guessing_a_password_is_slowed_down(desk: Desk) -> None:
    for _ in range(FAILURES_OF_NAME_FROM_ADDRESS):
        assert code(log_in(desk, "alice", "wrong guess")) == (401, "not_allowed")
    refused = log_in(desk, "alice")
    assert code(refused) == (429, "too_many") and int(refused.headers["Retry-After"]) > 200
    assert log_in(desk, "bob").is_success
    page = {"Authorization": f"Bearer {SECRET}", ADDRESS_HEADER: "192.0.2.7"}
    assert log_in(desk, "alice", **page).is_success
    liar = {ADDRESS_HEADER: "192.0.2.8"}
    assert code(log_in(desk, "alice", **liar)) == (429, "too_many")


def test_the_wait_ends_and_other_addresses_are_limited_too() -> None:
    now = 0.0
    limits = LoginLimits(lambda: now)
    for number in range(20):
        limits.begin(f"name{number}", "192.0.2.1")
    with pytest.raises(TooMany, match="wrong passwords") as caught:
        limits.begin("another", "192.0.2.1")
    assert caught.value.retry_after == 300
    now = 300.0
    limits.begin("another", "192.0.2.1")
    for number in range(49):
        limits.begin("another", f"192.0.2.{number + 2}")
    with pytest.raises(TooMany):
        limits.begin("another", "198.51.100.1")


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [("no spaces", "long enough", "name"), ("alice", "long enough", "already"), ("x", "s", "8")],
)
def test_a_user_that_cannot_be_added(desk: Desk, name: str, password: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        people(desk).add(name, password)


def test_a_user_that_is_not_there(desk: Desk) -> None:
    for call in (people(desk).remove, people(desk).new_key, people(desk).remove_keys):
        with pytest.raises(NotFound, match="carol"):
            call("carol")
    assert code(log_in(desk, "carol", "whatever it is")) == (401, "not_allowed")


# --- a proxy in front -----------------------------------------------------------------------------


def test_a_trusted_proxy_gives_the_name(tmp_path: Path) -> None:
    with ExitStack() as stack:
        desk = desk_with(tmp_path, stack, trusted_user_header="X-Forwarded-User")
        alice = {"X-Forwarded-User": "alice"}
        assert desk.client.get("/api/me", headers=alice).json()["name"] == "alice"
        assert code(desk.client.get("/api/me")) == (401, "login_required")
        page = {"Authorization": f"Bearer {SECRET}", ACTING_HEADER: "alice"}
        assert ask(desk, page).is_success
        assert desk.client.get("/api/conversations", headers=alice).json()["total"] == 1
        forged = {ACTING_HEADER: "alice", "X-Person-Id": "user:alice"}
        assert desk.client.get("/api/me", headers=forged).status_code == 401


def test_the_header_of_anybody_else_counts_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        desk = desk_with(
            tmp_path,
            stack,
            trusted_user_header="X-Forwarded-User",
            trusted_proxies="10.0.0.0/8, 192.0.2.1",
        )
        forged = {"X-Forwarded-User": "alice", "X-Forwarded-For": "10.0.0.1"}
        assert code(desk.client.get("/api/me", headers=forged)) == (401, "login_required")


# --- open doors -----------------------------------------------------------------------------------


def test_visitors_of_an_open_app_are_apart(tmp_path: Path) -> None:
    with ExitStack() as stack:
        desk = desk_with(tmp_path, stack, open=True)
        one, two = {"X-Person-Id": "1" * 32}, {"X-Person-Id": "2" * 32}
        asked = ask(desk, one, png()).json()
        path = f"/api/conversations/{asked['conversation_id']}"
        assert desk.client.get(path, headers=one).is_success
        assert desk.client.get(path, headers=two).status_code == 404
        nameless = ask(desk, {}).json()
        for headers in ({}, {"X-Person-Id": "short"}, {"X-Person-Id": "local"}):
            found = desk.client.get("/api/conversations", headers=headers).json()
            assert found["total"] == 0
            where = f"/api/conversations/{nameless['conversation_id']}"
            assert desk.client.get(where, headers=headers).status_code == 404


@pytest.mark.parametrize("settings", [{}, {"open": True}])
def test_no_browser_is_a_user(tmp_path: Path, settings: dict[str, Any]) -> None:
    with ExitStack() as stack:
        desk = desk_with(tmp_path, stack, **settings)
        forged = {"X-Person-Id": "user:alice"}
        assert desk.client.get("/api/conversations", headers=forged).status_code == 401
        assert ask(desk, {}, user="user:alice").is_success
        rows = sqlite3.connect(tmp_path / "studio.db").execute("SELECT person FROM conversations")
        assert rows.fetchone()[0] != "user:alice"


def test_an_address_of_others_needs_a_decision() -> None:
    with pytest.raises(NotAllowed, match=r"0\.0\.0\.0") as caught:
        check_access(Settings(host="0.0.0.0"), "0.0.0.0")
    for way in ("--login", "--trusted-user-header", "--open"):
        assert way in caught.value.remedy
    check_access(Settings(), "127.0.0.1")
    for chosen in ({"login": True}, {"trusted_user_header": "X-User"}, {"open": True}):
        check_access(Settings(**chosen), "0.0.0.0")
    with pytest.raises(NotAllowed, match="both"):
        check_access(Settings(login=True, trusted_user_header="X-User"), "127.0.0.1")


# --- consent --------------------------------------------------------------------------------------


def test_consent_is_asked_and_remembered(desk: Desk) -> None:
    alice, bob = as_user(desk, "alice"), as_user(desk, "bob")
    path = "/api/me/consent"
    before = desk.client.get(path, headers=alice).json()
    assert before == {"allowed": False, "asked": False, "at": None}
    said = desk.client.post(path, json={"allowed": True}, headers=alice).json()
    assert said["allowed"] and said["asked"] and said["at"]
    assert desk.client.get("/api/me", headers=alice).json()["consent"] == said
    assert not desk.client.get(path, headers=bob).json()["asked"]
    said = desk.client.post(path, json={"allowed": False}, headers=alice).json()
    assert not said["allowed"] and said["asked"]


def test_alone_on_ones_own_machine_consent_is_given(tmp_path: Path) -> None:
    with ExitStack() as stack:
        desk = desk_with(tmp_path, stack)
        assert desk.client.get("/api/me").json() == {
            "name": None,
            "access": "local",
            "consent": {"allowed": True, "asked": False, "at": None},
        }

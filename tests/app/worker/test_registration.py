"""The worker and the controller's list: registering, renewing, coming back, signing off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from app.worker.registration import LONGEST_PAUSE_SECONDS, Registrar
from app.worker.service import Service
from tests.fakes import LeaseDesk, ScriptedBackend
from tests.servers import free_port, running
from tests.waiting import PATIENCE


def settings_for(tmp_path: Path, url: str, **more: Any) -> Settings:
    return Settings(data_dir=tmp_path, controller_url=url, renew_seconds=0.05, **more)


def registrar_for(settings: Settings, **more: Any) -> Registrar:
    return Registrar(settings, Service(settings).status, **more)


@asynccontextmanager
async def registering(registrar: Registrar) -> AsyncIterator[None]:
    task = asyncio.create_task(registrar.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await registrar.close()


async def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_it_registers_and_renews_with_what_is_true_then(tmp_path: Path) -> None:
    desk = LeaseDesk()
    with running(desk.app) as url:
        settings = settings_for(tmp_path, url, worker_port=41234)
        service = Service(settings)
        async with registering(Registrar(settings, service.status)):
            await eventually(lambda: desk.told)
            service.open([ScriptedBackend()])
            await eventually(lambda: desk.told[-1].models)
            service.drain()
            await eventually(lambda: desk.told[-1].draining)
        service.close()
    assert desk.told[0].url == "http://127.0.0.1:41234"
    assert {status.worker_id for status in desk.told} == {service.worker_id}


async def test_it_shows_the_secret(tmp_path: Path) -> None:
    desk = LeaseDesk(secret="right")
    with running(desk.app) as url:
        wrong = registrar_for(settings_for(tmp_path, url, secret="wrong"))
        assert await wrong.renew() is None
        right = registrar_for(settings_for(tmp_path, url, secret="right"))
        assert await right.renew() is not None
        await wrong.close()
        await right.close()
    assert len(desk.told) == 1


async def test_it_waits_for_a_controller_that_starts_later_and_finds_it_after_a_restart(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with registering(registrar_for(settings_for(tmp_path, f"http://127.0.0.1:{port}"))):
        await asyncio.sleep(0.1)
        known = []
        for _ in range(2):
            desk = LeaseDesk()
            with running(desk.app, port):
                await eventually(lambda desk=desk: desk.told)
            known.append(desk.told[0].worker_id)
    assert len(set(known)) == 1, "after the restart it is the same worker"


async def test_pauses_grow_to_a_small_limit_and_start_again_after_a_success(
    tmp_path: Path,
) -> None:
    up = False
    pauses: list[float] = []

    def reply(request: httpx.Request) -> httpx.Response:
        if not up:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"worker_id": "w", "seconds": 0.06})

    async def sleep(seconds: float) -> None:
        nonlocal up
        pauses.append(seconds)
        up = len(pauses) == 8
        if len(pauses) == 10:
            raise asyncio.CancelledError

    client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    registrar = registrar_for(settings_for(tmp_path, "http://c"), client=client, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        await registrar.run()
    await registrar.close()
    assert pauses[:8] == [0.25, 0.5, 1.0, 2.0, *[LONGEST_PAUSE_SECONDS] * 4]
    # A success renews within a third of the lease, also where the settings would wait longer.
    assert pauses[8:] == [pytest.approx(0.02), 0.25]


async def test_it_says_once_what_is_wrong(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(401)))
    registrar = registrar_for(settings_for(tmp_path, "http://c"), client=client)
    with caplog.at_level(logging.WARNING, "app.worker.registration"):
        for _ in range(3):
            assert await registrar.renew() is None
    await registrar.close()
    [record] = caplog.records
    assert "LLAVA_STUDIO_SECRET" in record.getMessage()


@pytest.mark.parametrize("body", ["[]", "nonsense", '{"seconds": "soon"}'])
async def test_a_reply_that_is_no_lease_is_a_failure(tmp_path: Path, body: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    client = httpx.AsyncClient(transport=transport)
    registrar = registrar_for(settings_for(tmp_path, "http://c"), client=client)
    assert await registrar.renew() is None
    await registrar.close()


async def test_it_signs_off(tmp_path: Path) -> None:
    desk = LeaseDesk()
    with running(desk.app) as url:
        registrar = registrar_for(settings_for(tmp_path, url, worker_port=45678))
        await registrar.leave()
        await registrar.close()
    [left] = desk.left
    assert left.endswith("-45678")


async def test_signing_off_from_a_controller_that_is_gone_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registrar = registrar_for(settings_for(tmp_path, f"http://127.0.0.1:{free_port()}"))
    with caplog.at_level(logging.INFO):
        await registrar.leave()
    await registrar.close()
    assert "could not sign off" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]

"""The worker process: listens at once, loads its models, registers, and drains before it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from app.errors import StudioError
from app.machines import Machine
from app.ports import listen
from app.settings import Settings
from app.worker.api import create_app
from app.worker.backend import Backend, EngineBackend
from app.worker.checkpoint import load_backends
from app.worker.failures import as_studio_error
from app.worker.loading import BOARD
from app.worker.machine import machine_on
from app.worker.registration import Registrar
from app.worker.service import Service
from llava_core.errors import CoreError
from llava_core.threads import compute_alone, compute_with_helpers

log = logging.getLogger(__name__)

SOON_SECONDS = 0.5
"""A worker that loads for longer tells the controller so."""
DRAIN_SECONDS = 30.0
"""How long requests in work may take after SIGTERM before they are cancelled."""


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: the worker drains before the server stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT.

    Raises :class:`app.errors.StudioError` where it cannot start.
    """
    with listen(settings.host, settings.worker_port, "--worker-port") as sock:
        asyncio.run(serve(settings, sock))


async def serve(settings: Settings, sock: socket.socket) -> None:
    """Listen, load, register, and serve until a signal comes; then drain.

    Raises :class:`app.errors.StudioError` where a model has stopped working.
    """
    # What comes for requests, such as their pictures, is prepared beside the model's thread.
    prepare = ThreadPoolExecutor(thread_name_prefix="requests", initializer=compute_alone)
    asyncio.get_running_loop().set_default_executor(prepare)
    service = Service(settings)
    app = create_app(settings, service=service)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    server = _Server(config)
    stop = _stop_signal()
    failures = _failures(service, stop)
    listening = asyncio.create_task(server.serve(sockets=[sock]))
    registrar = Registrar(settings, service.status)
    try:
        loading = _loading(settings, service)
        async with _told_while(loading, registrar):
            backends = await _unless_stopped(loading, stop)
        if backends is not None:
            service.open(backends)
            await _serve_until(stop, service, registrar)
    finally:
        await registrar.close()
        server.should_exit = True
        await listening
    if failures:
        raise StudioError(
            f"A model stopped working: {type(failures[0]).__name__}: {failures[0]}.",
            "The launcher starts the worker again; the worker's log has the details.",
        )


@contextlib.asynccontextmanager
async def _told_while(loading: asyncio.Future[Any], registrar: Registrar) -> AsyncIterator[None]:
    """The controller knows of a worker that loads for long, and of how far it has come."""

    async def tell() -> None:
        await asyncio.wait([loading], timeout=SOON_SECONDS)
        if not loading.done():
            await registrar.run()

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling
        if registrar.told and not (loading.done() and loading.exception() is None):
            await registrar.leave()


async def _serve_until(stop: asyncio.Event, service: Service, registrar: Registrar) -> None:
    renewing = asyncio.create_task(registrar.run())
    await stop.wait()
    log.info("shutting down: no new requests, finishing those in work")
    renewing.cancel()
    service.drain()
    await registrar.leave()
    if not await service.idle(DRAIN_SECONDS):
        log.warning("cancelled requests that were still in work after %.0f s", DRAIN_SECONDS)


def _failures(service: Service, stop: asyncio.Event) -> list[Exception]:
    """What makes a model stop working; the worker stops then, too."""
    failures: list[Exception] = []
    loop = asyncio.get_running_loop()

    def broken(error: Exception) -> None:
        failures.append(error)
        loop.call_soon_threadsafe(stop.set)

    service.broken = broken
    return failures


def _stop_signal() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; a second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def first(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first, number)
    return stop


async def _unless_stopped(
    work: asyncio.Future[list[Backend | EngineBackend]], stop: asyncio.Event
) -> list[Backend | EngineBackend] | None:
    """The result of ``work``, or None where the stop signal comes first."""
    stopped = asyncio.create_task(stop.wait())
    either: list[asyncio.Future[Any]] = [work, stopped]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    return work.result() if work.done() else None


def _machine(settings: Settings) -> Machine | None:
    """The machine, before anything is loaded; None where loading will refuse its device."""
    try:
        return machine_on(settings.device)
    except (ValueError, RuntimeError):
        return None


def _loading(settings: Settings, service: Service) -> asyncio.Future[list[Backend | EngineBackend]]:
    """The models, loaded in a daemon thread, so that a stop signal need not wait for them."""
    loop = asyncio.get_running_loop()
    loaded: asyncio.Future[list[Backend | EngineBackend]] = loop.create_future()

    def load() -> None:
        compute_with_helpers()
        BOARD.set(service.board)
        try:
            service.machine = _machine(settings)
            backends = load_backends(settings)
        except CoreError as error:
            loop.call_soon_threadsafe(loaded.set_exception, as_studio_error(error))
        except Exception as error:
            loop.call_soon_threadsafe(loaded.set_exception, error)
        else:
            loop.call_soon_threadsafe(loaded.set_result, backends)

    threading.Thread(target=load, name="load models", daemon=True).start()
    return loaded

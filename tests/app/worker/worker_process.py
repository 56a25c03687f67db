"""``python app.py worker`` in a process of its own, with models that are written here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx

from app import launch
from app.errors import NotFound
from app.settings import Settings
from app.worker import server
from tests.fakes import LeaseDesk, ScriptedBackend, ScriptedPiece
from tests.forks import become_a_command, forks
from tests.servers import free_port
from tests.waiting import PATIENCE, eventually

Load = Callable[[Settings], list[ScriptedBackend]]


class SlowBackend(ScriptedBackend):
    """Takes a tenth of a second for each word."""

    def generate(self, *arguments: object) -> Iterator[ScriptedPiece]:  # type: ignore[override]
        for piece in super().generate(*arguments):  # type: ignore[arg-type]
            time.sleep(0.1)
            yield piece


def slow_model(settings: Settings) -> list[ScriptedBackend]:
    return [SlowBackend(words=["word "] * 10)]


def takes_a_minute(settings: Settings) -> list[ScriptedBackend]:
    time.sleep(60)
    raise AssertionError("nobody has stopped it")


def not_there(settings: Settings) -> list[ScriptedBackend]:
    raise NotFound("No folder x.", "Name another.")


class Process:
    """A worker process, and the controller's desk that it registers with."""

    def __init__(self, load: Load, desk: LeaseDesk, controller: str, folder: Path) -> None:
        self.desk = desk
        port = free_port()
        flags = {"worker-port": port, "controller-url": controller, "data-dir": folder}
        flags |= {"renew-seconds": 0.1}
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        self._log = folder / "output"
        self.process = forks.Process(target=_run, args=(load, arguments, str(self._log)))
        self.process.start()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False
        )

    def until(self, status: str) -> None:
        """Wait until ``/health`` shows this status."""

        def shown() -> bool:
            try:
                return bool(self.client.get("/health").json()["status"] == status)
            except httpx.TransportError:
                return False

        eventually(shown)

    def ends(self) -> tuple[int | None, str]:
        """Exit status and output, once it has ended."""
        self.process.join(PATIENCE)
        return self.process.exitcode, self._log.read_text()

    def close(self) -> None:
        """End it, however it is."""
        self.client.close()
        self.process.kill()
        self.process.join()


def _run(load: Load, arguments: Sequence[str], log: str) -> None:
    become_a_command(log)
    server.load_backends = load  # type: ignore[assignment]
    raise SystemExit(launch.main(["worker", *arguments]))

"""Start the app: one part in this process, all three as child processes, or a command."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import httpx

from app import logs
from app.access import check_access
from app.child import ChildSpec, end_with_launcher
from app.commands import table
from app.errors import StorageFailed, StudioError
from app.flags import Command, as_arguments, as_environment, parse
from app.machines import MachineList
from app.ports import PortTaken, check_free
from app.settings import ROOT, Settings
from app.supervisor import Supervisor

PARTS = ("controller", "worker", "ui")
STOP_SECONDS = 6.0
"""How long the children may take to end before they are killed."""
REMINDER_SECONDS = 15.0
SPINS = "1000"
"""Some tens of microseconds, far less than a time slice: longer spinning is faster by a seventh at
most where nothing else computes, and several times slower elsewhere (benchmarks/spinning.py)."""


def child_specs(settings: Settings) -> list[ChildSpec]:
    """The three parts as commands; the secrets travel in the environment, where ``ps`` ends."""
    return [
        ChildSpec(
            part,
            [sys.executable, str(ROOT / "app.py"), part, *as_arguments(settings)],
            as_environment(settings),
        )
        for part in PARTS
    ]


def main(
    arguments: Sequence[str] | None = None,
    specs: Callable[[Settings], list[ChildSpec]] = child_specs,
) -> int:
    """What ``python app.py`` does; returns the exit status. ``specs`` are the parts of ``all``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    yield_processors()
    try:
        if arguments and arguments[0] in table.NAMES:
            return table.run(arguments[0], arguments[1:])
        asks_help = any(word in ("-h", "--help") for word in arguments)
        command = parse(arguments, table.overview() if asks_help else "")
        if command.part == "all":
            return Launcher(command.settings, specs).run()
        return run_part(command)
    except StudioError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return 1


def yield_processors() -> None:
    """Let threads that wait for each other soon give their processor away instead of spinning.

    Beside other work on the same cores, answers came many times slower with threads that spin for
    milliseconds. It has to be said before torch is imported; children inherit it; one's own
    settings stay.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def run_part(command: Command) -> int:
    """Run one part in this process until it is stopped."""
    logs.configure(command.settings.log_level)
    end_with_launcher()
    settings = command.settings
    # Imported here: each part brings large libraries that the others do not need.
    if command.part == "controller":
        from app.controller.server import run
    elif command.part == "worker":
        # A taken port is told at once, not after torch has been loaded.
        check_free(settings.host, settings.worker_port, "--worker-port")
        from app.worker.server import run
    else:
        from app.ui.server import run
    run(settings)
    return 0


class Launcher:
    """All parts on this machine: started, watched, and stopped together."""

    def __init__(
        self,
        settings: Settings,
        specs: Callable[[Settings], list[ChildSpec]] = child_specs,
        say: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        # Everything runs here, so the parts find each other here and share a new secret.
        self._settings = settings.model_copy(
            update={
                "controller_url": "",
                "secret": settings.secret or secrets.token_urlsafe(32),
                "data_dir": settings.data_dir.resolve(),
            }
        )
        self._specs = specs
        self._say = say
        self._signals = 0

    def run(self) -> int:
        """Start, watch and stop; returns when a signal has ended it.

        Raises :class:`app.errors.StudioError` where it cannot start.
        """
        for host in (self._settings.page_listens_on, self._settings.host):
            check_access(self._settings, host)
        check_ports(self._settings)
        logs_dir = self._settings.data_dir / "logs"
        check_writable(logs_dir)
        supervisor = Supervisor(self._specs(self._settings), logs_dir, self._say)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note_signal)
        try:
            self._say(f"Starting LLaVA Studio (logs: {logs_dir})")
            supervisor.start()
            self._wait_until_ready(supervisor, logs_dir)
            while not self._signals:
                supervisor.poll()
                time.sleep(0.1)
        finally:
            self._say("Stopping")
            supervisor.stop(STOP_SECONDS, hurry=lambda: self._signals > 1)
        return 0

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _wait_until_ready(self, supervisor: Supervisor, logs_dir: Path) -> None:
        """Until a question can be answered; ends early on a signal."""
        started = reminded = time.monotonic()
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while not self._signals:
                supervisor.check_started()
                if can_answer(self._settings, client):
                    self._say(f"\nLLaVA Studio is ready: {self._settings.page_address}\n")
                    return
                if time.monotonic() - reminded >= REMINDER_SECONDS:
                    reminded = time.monotonic()
                    self._say(
                        f"Still loading after {reminded - started:.0f} s; large models take "
                        f"minutes. {loading_words(self._settings, client)}"
                        f"More: {logs_dir / 'worker.log'}"
                    )
                time.sleep(0.2)


def can_answer(settings: Settings, client: httpx.Client) -> bool:
    """Whether the page is there and the controller knows a model."""
    try:
        models = client.get(f"{settings.controller_address}/v1/models")
        if not (models.is_success and models.json()["data"]):
            return False
        return client.get(settings.page_address).is_success
    except httpx.HTTPError:
        return False


def loading_words(settings: Settings, client: httpx.Client) -> str:
    """Which models are being loaded, and how much of each; nothing where nobody can tell."""
    try:
        reply = client.get(f"{settings.controller_address}/api/machines")
        machines = MachineList.model_validate_json(reply.raise_for_status().content).data
    except (httpx.HTTPError, ValueError):
        return ""
    words = (
        f"{model.id}: {'reading files' if model.share is None else f'{model.share:.0%}'}. "
        for machine in machines
        for model in machine.loading
    )
    return "".join(words)


def check_ports(settings: Settings) -> None:
    """Raises :class:`app.ports.PortTaken` for the first port that cannot be listened on."""
    ports = {
        "--port": settings.port,
        "--controller-port": settings.controller_port,
        "--worker-port": settings.worker_port,
    }
    for name, port in ports.items():
        if list(ports.values()).count(port) > 1:
            raise PortTaken(
                f"{name} is {port}, and so is another port.", "Give each part a port of its own."
            )
        check_free(settings.page_listens_on if name == "--port" else settings.host, port, name)


def check_writable(folder: Path) -> None:
    """Make the folder; raises :class:`app.errors.StorageFailed` where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        raise StorageFailed(
            f"The data folder {folder.parent} cannot be written: {error.strerror or error}.",
            "Choose another folder with --data-dir.",
        ) from error

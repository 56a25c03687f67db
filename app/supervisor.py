"""Keeps child processes running: starts them, restarts what crashed, stops them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.child import Child, ChildSpec, rotate
from app.errors import StudioError
from app.logs import warning_in

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STABLE_SECONDS = 60.0
"""A child that ran this long before it crashed is restarted without the earlier back-off."""


class ChildFailed(StudioError):
    """A child could not be started at all."""

    code = "child_failed"


@dataclass
class _Watched:
    """A child, and when it was or will be started (seconds of the supervisor's clock)."""

    child: Child
    started: float = 0.0
    crashes: int = 0
    restart_at: float | None = None


class Supervisor:
    """The children of one launcher. Call :meth:`poll` several times a second.

    ``say`` shows a line to the person; ``clock`` gives seconds and ``sleep`` passes them.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        logs: Path,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._say = say
        self._clock = clock
        self._sleep = sleep
        self._watched = [_Watched(self._child(spec, logs)) for spec in specs]

    @property
    def children(self) -> list[Child]:
        return [watched.child for watched in self._watched]

    def start(self) -> None:
        """Start all children; the logs of earlier starts are moved aside."""
        for watched in self._watched:
            rotate(watched.child.log_file)
            self._start(watched)

    def check_started(self) -> None:
        """While starting: raises :class:`ChildFailed` for a child that has already ended."""
        for child in self.children:
            status = child.ended()
            if status is not None:
                child.wait()
                raise ChildFailed(
                    "\n".join([f"The {child.spec.name} {_ending(status)}:", *child.tail]),
                    f"Its whole log is in {child.log_file}.",
                )

    def poll(self) -> None:
        """Restart what crashed, after a pause that doubles with each crash in a row."""
        now = self._clock()
        for watched in self._watched:
            status = watched.child.ended()
            if watched.restart_at is not None:
                if now >= watched.restart_at:
                    self._start(watched)
            elif status is not None:
                self._crashed(watched, status, now)

    def stop(self, seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
        """Ask all children to end; kill what is left after ``seconds``, or once ``hurry()``."""
        for child in self.children:
            child.terminate()
        deadline = self._clock() + seconds
        while self._clock() < deadline and not hurry():
            if all(child.ended() is not None or child.pid is None for child in self.children):
                break
            self._sleep(0.05)
        for child in self.children:
            child.kill()
            child.wait()

    def _child(self, spec: ChildSpec, logs: Path) -> Child:
        def show_warning(line: str) -> None:
            message = warning_in(line)
            if message:
                self._say(f"{spec.name}: {message}")

        return Child(spec, logs / f"{spec.name}.log", show_warning)

    def _start(self, watched: _Watched) -> None:
        watched.restart_at = None
        watched.started = self._clock()
        watched.child.start()

    def _crashed(self, watched: _Watched, status: int, now: float) -> None:
        stable = now - watched.started >= STABLE_SECONDS
        watched.crashes = 1 if stable else watched.crashes + 1
        pause = min(FIRST_PAUSE_SECONDS * 2.0 ** (watched.crashes - 1), LONGEST_PAUSE_SECONDS)
        watched.restart_at = now + pause
        child = watched.child
        self._say(
            f"The {child.spec.name} {_ending(status)}; starting it again in {pause:g} s "
            f"(log: {child.log_file})."
        )


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"

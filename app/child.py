"""One child process: its log file, its restarts, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

KEPT_LOGS = 5
TAIL_LINES = 20
LAUNCHER = "LLAVA_STUDIO_LAUNCHER"
"""Environment variable with the process id of the launcher, for :func:`end_with_launcher`."""


@dataclass(frozen=True)
class ChildSpec:
    """What to start: a name for people, the command, and additions to the environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A process that is started, and started again, with its output in one log file.

    ``on_line`` gets each line of its output, without the line break, from a thread.
    """

    def __init__(self, spec: ChildSpec, log_file: Path, on_line: Callable[[str], None]) -> None:
        self.spec = spec
        self.log_file = log_file
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._on_line = on_line
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """The process id, also of a process that has ended; None before the first start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C reaches the launcher only."""
        launcher = {LAUNCHER: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            self.spec.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **launcher, **self.spec.environment},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def ended(self) -> int | None:
        """The exit status where the process has ended (negative: the signal), else None."""
        return self._process.poll() if self._process else None

    def terminate(self) -> None:
        """Ask the process to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once."""
        self._signal(signal.SIGKILL)

    def wait(self) -> None:
        """Wait until the process has ended and all of its output is in the log."""
        if self._process:
            self._process.wait()
        if self._reader:
            self._reader.join(timeout=2)

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        with process.stdout as output, self.log_file.open("ab") as log:
            for line in output:
                log.write(line)
                log.flush()
                text = line.decode(errors="replace").rstrip()
                self.tail.append(text)
                self._on_line(text)


def rotate(log_file: Path) -> None:
    """Move the logs of earlier starts aside: ``x.log`` -> ``x.1.log`` -> ... the oldest goes."""
    numbered = [log_file.with_suffix(f".{n}.log") for n in range(1, KEPT_LOGS)]
    names = [log_file, *numbered]
    for older, newer in reversed(list(zip(names[1:], names[:-1], strict=True))):
        with contextlib.suppress(FileNotFoundError):
            newer.replace(older)


def end_with_launcher() -> None:
    """In a child: end this process when the launcher is gone, however that ended."""
    launcher = int(os.environ.get(LAUNCHER, 0))
    if launcher:
        threading.Thread(target=_watch, args=(launcher,), daemon=True).start()


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(1)

"""Processes that begin with torch and our packages already imported.

Importing them takes ten seconds of a processor; a process that is forked off a server which has
imported them once takes none. Meant for tests of commands in a process of their own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

forks = multiprocessing.get_context("forkserver")
"""All forks come from one server, so what it is to import beforehand is said in one place."""
forks.set_forkserver_preload(
    ["tests.training.tiny_runs", "tests.app.worker.worker_process", "bitsandbytes"]
)


def become_a_command(log: Path | str) -> None:
    """In a fork: output goes to the end of the file, and Ctrl-C is what it is in a command."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)

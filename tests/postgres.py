"""A PostgreSQL server of the tests' own: started on a socket in a temporary folder, then stopped.

PostgreSQL refuses to run as root; then its programs run as the user ``postgres``, whom Debian's
package makes.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

USER = "studio"
SETPRIV = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
"""Runs a program as another user in the same process, so that its id is the child's."""
MISSING = (
    "PostgreSQL's programs (initdb, postgres) are not on this machine. "
    "Debian: apt-get install postgresql; make test does that where it may."
)


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; None where they are not installed."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(found).resolve().parent] if found else []
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


class Server:
    """A running server: makes databases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = (f"studio_{number}" for number in itertools.count(1))

    def new_database(self) -> str:
        """The SQLAlchemy URL of a new, empty database."""
        name = next(self._names)
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg://{USER}@/{name}?host={self._folder}"

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                assert process.poll() is None and time.monotonic() < deadline, self._log()
                time.sleep(0.05)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        where = f"host={self._folder} user={USER} dbname=postgres"
        return psycopg.connect(where, autocommit=True)

    def _log(self) -> str:
        return (self._folder / "log").read_text()


@contextmanager
def running_server(bin_folder: Path) -> Iterator[Server]:
    """A server while the block runs."""
    # Not in pytest's folder: its parents are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="studio-pg-", dir="/tmp"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        as_user = [*SETPRIV]
    data = str(folder / "data")
    try:
        options = ["-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
        initialise = [*as_user, str(bin_folder / "initdb"), *options]
        subprocess.run(initialise, check=True, capture_output=True, cwd=folder)
        options = ["-c", "fsync=off", "-c", "listen_addresses=", "-k", str(folder)]
        with (folder / "log").open("wb") as log:
            # pg_ctl would leave the server behind; as a child it ends with its process id known.
            server = [*as_user, str(bin_folder / "postgres"), "-D", data, *options]
            process = subprocess.Popen(server, stdout=log, stderr=log, cwd=folder)
        try:
            found = Server(folder)
            found.wait_until_ready(process)
            yield found
        finally:
            process.send_signal(signal.SIGINT)  # a fast shutdown
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder)

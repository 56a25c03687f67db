"""The database tests run on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.session import open_database
from app.db.store import Store
from tests.postgres import MISSING, Server, programs, running_server

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for all tests of the run."""
    folder = programs()
    if folder is None:
        pytest.skip(MISSING)
    with running_server(folder) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database: one test on each backend."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'x.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Store:
    """A store that waits long for a lock: the machine may be busy."""
    return Store(open_database(database_url, 60.0), tmp_path / "images")

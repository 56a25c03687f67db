"""Sessions of the database, for reading and for writing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.db.session import busy_seconds, database_errors
from app.errors import DatabaseBusy


class Database:
    """A database whose tables are there. Errors come as :class:`app.errors.StudioError`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing_engine = engine.execution_options(writing=True)
        self._turn = threading.Lock()

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, which has a full-text index of its own."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that reads."""
        with database_errors(), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that writes; on SQLite it has the write lock from its beginning."""
        with (
            self._in_turn(),
            database_errors(),
            Session(self._writing_engine) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """On SQLite, this process's threads write one after the other.

        SQLite itself makes them wait by sleeping and trying again, up to a tenth of a second
        each time, and whoever comes at the right moment goes first.
        """
        if not self.is_sqlite:
            yield
            return
        if not self._turn.acquire(timeout=busy_seconds(self.engine)):
            raise DatabaseBusy("The database is busy with what came before.")
        try:
            yield
        finally:
            self._turn.release()

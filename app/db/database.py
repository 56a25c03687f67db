"""Sessions of the database, for reading and for writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.db.session import database_errors


class Database:
    """A database whose tables are there. Errors come as :class:`app.errors.StudioError`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing_engine = engine.execution_options(writing=True)

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
        with database_errors(), Session(self._writing_engine) as session, session.begin():
            yield session

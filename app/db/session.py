"""The database engine, its migrations, and its errors in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
)

from app.db.search import drop_index, drop_triggers, ensure_index
from app.errors import DatabaseBusy, StorageFailed, StudioError

BUSY_SECONDS = 15.0
"""How long a transaction waits for a lock before it gives up: longer than 10 s, which a backup or
another program on the same file may take, and shorter than clients wait."""
MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(url: str, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Connect, and bring the tables to the newest version.

    SQLite runs in WAL mode with foreign keys on. Raises :class:`StorageFailed` where the database
    cannot be opened, with what to do.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            _make_folder(parsed.database)
            engine = create_engine(
                url,
                connect_args={"timeout": busy_seconds},
                execution_options={"busy_seconds": busy_seconds},
            )
            event.listen(engine, "connect", _sqlite_settings)
            event.listen(engine, "begin", _sqlite_begin)
        else:
            engine = create_engine(url, pool_pre_ping=True, **_waiting(parsed, busy_seconds))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise StorageFailed(
            f"The database URL cannot be used: {error}.",
            "Give an SQLAlchemy URL, such as postgresql+psycopg://user@host/name, and install its "
            "driver.",
        ) from error
    with database_errors():
        upgrade(engine)
    return engine


def busy_seconds(engine: Engine) -> float:
    """How long transactions of this engine wait for a lock."""
    return float(engine.get_execution_options().get("busy_seconds", BUSY_SECONDS))


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Run the migrations up to ``revision``."""
    _migrate(engine, command.upgrade, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Run the migrations back down to ``revision``; "base" is an empty database."""
    _migrate(engine, command.downgrade, revision)


def _migrate(engine: Engine, step: Callable[[Config, str], None], revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(writing=True).begin() as connection:
        config.attributes["connection"] = connection
        newest = ScriptDirectory.from_config(config).get_current_head()
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite and step is command.downgrade:
            drop_index(connection)  # older programs do not know it; newer ones make it anew
        elif is_sqlite and _revision_of(connection) != newest:
            drop_triggers(connection)
        step(config, revision)
        if is_sqlite and _revision_of(connection) == newest:
            ensure_index(connection)


def _revision_of(connection: Connection) -> str | None:
    """The version of the tables; None for a new database."""
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def database_errors() -> Iterator[None]:
    """Translate the driver's errors: locked, full, not writable."""
    try:
        yield
    except (StudioError, IntegrityError):
        raise
    except OperationalError as error:
        text = str(error.orig).lower()
        if "locked" in text or "busy" in text or "deadlock" in text or "timeout" in text:
            raise DatabaseBusy("The database is locked by another program.") from error
        raise StorageFailed(f"The database cannot be used: {error.orig}.") from error
    except DatabaseError as error:
        raise StorageFailed(f"The database cannot be used: {error.orig}.") from error


def _waiting(url: URL, busy_seconds: float) -> dict[str, Any]:
    """PostgreSQL waits for a lock for ever, unless it is told for how long."""
    if url.get_backend_name() != "postgresql":
        return {}
    return {"connect_args": {"options": f"-c lock_timeout={int(busy_seconds * 1000)}"}}


def _make_folder(database: str | None) -> None:
    if database and database != ":memory:":
        try:
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageFailed(
                f"The data folder {Path(database).parent} cannot be written: {error.strerror}."
            ) from error


def _sqlite_begin(connection: Connection) -> None:
    """Take the write lock at once where a transaction will write.

    A transaction that reads first and then writes fails at once, without waiting, when somebody
    else has written in between (https://www.sqlite.org/isolation.html).
    """
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _sqlite_settings(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # sqlite3 would begin transactions by itself, and late
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")  # deleted text is overwritten with zeros
    cursor.close()

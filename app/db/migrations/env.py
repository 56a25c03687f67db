"""Alembic's environment: runs on the connection that the program gives."""

from __future__ import annotations

from alembic import context

import app.db.battles
import app.db.people_models  # noqa: F401 -- its tables join those of Base
from app.db.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()

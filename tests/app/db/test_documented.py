"""The tables that docs/arena.md shows to other systems are those that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

import app.db.battles
import app.db.people_models  # noqa: F401 -- their tables join those of Base
from app.db.models import Base
from app.db.store import Store

DOCUMENT = (Path(__file__).parents[3] / "docs" / "arena.md").read_text()
TABLES = ("votes", "battles", "battle_answers", "ratings", "answers")


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_told_to_foreign_readers(name: str) -> None:
    described = re.search(rf"^\| `{name}` \|.*?\n\n", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert described, f"docs/arena.md has no table {name}"
    told = {word for word in re.findall(r"`([a-z_]+)`", described[0])}
    told |= {word.replace("left_", "right_") for word in told}
    assert {column.name for column in Base.metadata.tables[name].columns} <= told


def test_the_query_of_the_document_runs(store: Store) -> None:
    (query,) = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)
    with store.database.reading() as session:
        assert session.execute(text(query.rstrip().rstrip(";"))).all() == []
    store.close()

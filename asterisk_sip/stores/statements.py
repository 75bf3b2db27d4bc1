"""The writing half of every store, as SQL text: rows in the order of the columns in ``schema``, see ``rows``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, Table, bindparam, delete


class Statements:
    """Compiles for one engine. ``insert`` is that engine's own, which knows ON CONFLICT."""

    def __init__(self, dialect: Dialect, insert: Callable[[Table], Any]) -> None:
        self._dialect = dialect
        self._insert = insert

    def insert(self, table: Table) -> str:
        """Return the insert of new rows, all columns but a position the engine gives itself."""
        return self._compiled(table, self._insert(table))

    def replace(self, table: Table) -> str:
        """Return the insert that replaces what is stored under the same key."""
        new = self._insert(table)
        rest = [column.name for column in table.columns if not column.primary_key]
        put = new.on_conflict_do_update(
            index_elements=list(table.primary_key), set_={name: new.excluded[name] for name in rest}
        )
        return self._compiled(table, put)

    def add(self, totals: Table) -> str:
        """Return the insert that adds to the counts stored under the same key."""
        new = self._insert(totals)
        put = new.on_conflict_do_update(
            index_elements=list(totals.primary_key),
            set_={column.name: column + new.excluded[column.name] for column in (totals.c.total, totals.c.talk_ms)},
        )
        return self._compiled(totals, put)

    def delete(self, table: Table) -> str:
        """Return the delete of the row under a key."""
        key = [column == bindparam(column.name, type_=column.type) for column in table.primary_key]
        return str(delete(table).where(*key).compile(dialect=self._dialect))

    def _compiled(self, table: Table, statement: Any) -> str:
        names = [column.name for column in table.columns if column.name != "position"]
        return str(statement.compile(dialect=self._dialect, column_keys=names))

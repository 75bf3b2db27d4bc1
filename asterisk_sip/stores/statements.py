"""The writing half of every store, as SQL text: rows in the order of the columns in ``schema``, see ``rows``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, Table, bindparam, delete, select, text


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

    def add(self, counts: Table) -> str:
        """Return the insert that adds to the counts stored under the same key."""
        new = self._insert(counts)
        return self._compiled(counts, self._adding(counts, new))

    def add_arrays(self, counts: Table) -> str:
        """Return the same as one statement that takes an array for each column: PostgreSQL's way for many rows."""
        types = [column.type.compile(self._dialect).partition(" ")[0] for column in counts.columns]
        arrays = ", ".join(f"${number}::{name}[]" for number, name in enumerate(types, 1))
        rows = select(text(f"* FROM unnest({arrays})"))
        new = self._insert(counts)
        put = self._adding(counts, new.from_select([column.name for column in counts.columns], rows))
        return str(put.compile(dialect=self._dialect))

    @staticmethod
    def _adding(counts: Table, new: Any) -> Any:
        numbers = [column for column in counts.columns if not column.primary_key]
        return new.on_conflict_do_update(
            index_elements=list(counts.primary_key),
            set_={column.name: column + new.excluded[column.name] for column in numbers},
        )

    def delete(self, table: Table) -> str:
        """Return the delete of the row under a key."""
        key = [column == bindparam(column.name, type_=column.type) for column in table.primary_key]
        return str(delete(table).where(*key).compile(dialect=self._dialect))

    def _compiled(self, table: Table, statement: Any) -> str:
        names = [column.name for column in table.columns if column.name != "position"]
        return str(statement.compile(dialect=self._dialect, column_keys=names))

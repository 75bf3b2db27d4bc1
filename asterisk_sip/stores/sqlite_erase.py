"""Erasing one person's calls from the SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from . import sqlite_sweep
from .erasure import Pending, Stored, Wanted


def erase(writer: sqlite3.Connection, calls: Sequence[Stored]) -> int:
    """Delete calls with their attempts. Their ids stay: what is told again does not come back."""
    rows = [(call.id, call.at_us) for call in calls]
    there = [row for row in rows if writer.execute("SELECT 1 FROM calls WHERE id = ?", row[:1]).fetchone()]
    sqlite_sweep.delete_calls(writer, there, there)
    return len(there)


def pending(connection: sqlite3.Connection, wanted: Wanted, *, delete: bool) -> Pending:
    """Find, and delete if so wished, calls in flight and what waits for the sinks, as far as the number is in it."""
    found = Pending()
    for row_id, state in connection.execute("SELECT rowid, state FROM open_calls").fetchall():
        if wanted.places(state):
            found.open_calls += 1
            if delete:
                connection.execute("DELETE FROM open_calls WHERE rowid = ?", (row_id,))
    waiting = connection.execute("SELECT position, text FROM outbox WHERE text IS NOT NULL AND kind <> 'gap'")
    positions = [(position,) for position, text in waiting if wanted.places(text)]
    found.deliveries = len(positions)
    if delete:
        connection.executemany("DELETE FROM outbox WHERE position = ?", positions)
    return found

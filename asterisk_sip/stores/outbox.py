"""The spool of the sinks, in the same file as the records: what is recorded is in it, in one transaction."""

from __future__ import annotations

import json
import sqlite3

from sqlalchemy import Connection

from asterisk_sip.calls.model import CallRecord, Outcome

from .base import Gap, Keep, gap_json, microseconds
from .rows import json_text
from .spool import Cursor, Delivery

Row = tuple[str, str, str | None]

TRIM_SLICE = 5_000

INSERT = "INSERT INTO outbox (kind, id, text) VALUES (?, ?, ?)"
_AFTER = (
    "SELECT o.position, o.kind, o.id, coalesce(o.text, c.record, '') FROM outbox o LEFT JOIN calls c ON c.id = o.id"
    " WHERE o.position > ? ORDER BY o.position LIMIT ?"
)
_END = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'"
_CURSOR = "SELECT position, offered FROM cursors WHERE sink = ?"
_MOVE = (
    "INSERT INTO cursors (sink, position, offered) VALUES (?, ?, ?)"
    " ON CONFLICT (sink) DO UPDATE SET position = excluded.position, offered = excluded.offered"
)
_TRIM = "DELETE FROM outbox WHERE position IN (SELECT position FROM outbox WHERE position <= ? LIMIT ?)"


def rows_of(records: list[CallRecord], gaps: list[Gap], keep: Keep) -> list[Row]:
    """Return the rows for new records and for gaps that are over. Of a call that is kept whole only the id is noted."""
    rows: list[Row] = []
    for record in records:
        if record.outcome is not Outcome.ANSWERED:
            rows.append(("failure", record.id, None))
        else:
            rows.append(("answered", record.id, None if keep == "all" else json_text(record)))
    rows += (("gap", gap_delivery_id(gap), json.dumps(gap_json(gap))) for gap in gaps if gap.ended_at is not None)
    return rows


def gap_delivery_id(gap: Gap) -> str:
    """Return the id of what is delivered of a gap that is over: another one when a crash makes the gap longer."""
    return gap.id if gap.ended_at is None else f"{gap.id}-{microseconds(gap.ended_at)}"


def after(connection: Connection, position: int, limit: int) -> list[Delivery]:
    """Return what stands behind a position, oldest first."""
    rows = connection.exec_driver_sql(_AFTER, (position, limit)).all()
    return [Delivery(*row) for row in rows]


def end(connection: Connection) -> int:
    """Return the position of what came last, 0 when nothing ever did."""
    position: int = connection.exec_driver_sql(_END).scalar_one()
    return position


def cursor(connection: Connection, sink: str) -> Cursor:
    """Return how far a sink has come; a new one stands at the end."""
    row = connection.exec_driver_sql(_CURSOR, (sink,)).first()
    if row is not None:
        return Cursor(row.position, row.offered)
    last = end(connection)
    return Cursor(last, last)


def waiting(connection: Connection) -> tuple[int, dict[str, int]]:
    """Return how many things stand in the outbox, and how many stand there behind the cursor of each sink.

    The queue of notices has cursors too, which are no sink's: their names hold a colon.
    """
    last = end(connection)
    first = connection.exec_driver_sql("SELECT min(position) FROM outbox").scalar()
    rows = connection.exec_driver_sql(
        "SELECT sink, position FROM cursors WHERE sink NOT LIKE '%:%' ORDER BY sink"
    ).all()
    return 0 if first is None else last - first + 1, {row.sink: max(0, last - row.position) for row in rows}


def move(writer: sqlite3.Connection, sink: str, cursor: Cursor) -> None:
    """Note how far a sink has come."""
    writer.execute(_MOVE, (sink, cursor.position, cursor.offered))


def trim(writer: sqlite3.Connection, position: int) -> bool:
    """Delete a slice of what stands at a position or before it; return whether more is left."""
    return writer.execute(_TRIM, (position, TRIM_SLICE)).rowcount == TRIM_SLICE

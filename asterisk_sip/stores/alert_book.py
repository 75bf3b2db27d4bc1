"""What alerts keep in the local file: what fired and cleared, what the engine knows, silences, and notices to deliver.

Every change and its notice are written in one transaction, under an id that is the same whenever it is computed: what
is judged again after a crash is not told again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from asterisk_sip.calls.model import isoformat

from .base import from_microseconds, microseconds
from .spool import Cursor, Delivery
from .sqlite import SqliteStore

TRIM_SLICE = 5_000
MOST_ALERTS = 50_000
"""So many alerts are remembered; the oldest that are over are forgotten first."""
ENGINE = ""
"""The row of ``alert_states`` that holds what the engine knows of itself."""

_CURSOR = "notice:"  # no sink has such a name
_MOVE = (
    "INSERT INTO cursors (sink, position, offered) VALUES (?, ?, ?)"
    " ON CONFLICT (sink) DO UPDATE SET position = excluded.position, offered = excluded.offered"
)
_FIRED = (
    "INSERT INTO alerts (id, rule, fired_us, told, fired) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
    " SET told = excluded.told, fired = excluded.fired WHERE NOT told AND excluded.told"
)
_CLEARED = "UPDATE alerts SET cleared_us = ?, cleared = ? WHERE id = ? AND cleared_us IS NULL"
_NOTICE = "INSERT OR IGNORE INTO notices (id, text) VALUES (?, ?)"
_STATE = (
    "INSERT INTO alert_states (rule, fingerprint, state) VALUES (?, ?, ?)"
    " ON CONFLICT (rule) DO UPDATE SET fingerprint = excluded.fingerprint, state = excluded.state"
)
_FORGET = (
    "DELETE FROM alerts WHERE cleared_us IS NOT NULL"
    " AND fired_us <= (SELECT fired_us FROM alerts ORDER BY fired_us DESC LIMIT 1 OFFSET ?)"
)
_FORGET_SILENCES = "DELETE FROM silences WHERE until_us < (SELECT max(until_us) FROM silences) - ?"
_YEAR_US = 31_536_000_000_000
_ALERTS = "SELECT id, rule, told, fired, cleared, acknowledged_us, acknowledged_by, why FROM alerts"


class Told(Protocol):
    """What is kept of a change, see ``alerts.model.Change``: this room knows no more of it."""

    @property
    def id(self) -> str: ...  # noqa: D102  told in alerts.model.Change
    @property
    def alert_id(self) -> str: ...  # noqa: D102  told in alerts.model.Change
    @property
    def rule(self) -> str: ...  # noqa: D102  told in alerts.model.Change
    @property
    def state(self) -> str: ...  # noqa: D102  told in alerts.model.Change
    @property
    def at(self) -> datetime: ...  # noqa: D102  told in alerts.model.Change
    @property
    def muted(self) -> str | None: ...  # noqa: D102  told in alerts.model.Change


@dataclass(frozen=True, slots=True)
class Entry:
    """An alert of the book. ``fired`` and ``cleared`` are the changes as JSON; ``cleared`` is None while it fires."""

    id: str
    rule: str
    told: bool
    fired: str
    cleared: str | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Silence:
    """Until when notices of a rule are only recorded. ``rule`` is a pattern (``*``, ``?``)."""

    id: str
    rule: str
    began_at: datetime
    until: datetime
    why: str
    by: str


Change = TypeVar("Change", bound=Told)


class AlertBook:
    """The book in the file of a store, and the queue of notices in it: a `Spool`, for couriers.

    ``delivers``: notices are kept until every target has them; without targets there are none. All methods raise
    StoreError.
    """

    def __init__(self, store: SqliteStore, *, delivers: bool = True) -> None:
        self._store = store
        self._delivers = delivers

    async def states(self) -> dict[str, tuple[str, str]]:
        """Return what was saved of each rule, and of the engine itself: (fingerprint, state)."""
        rows = await self._rows("SELECT rule, fingerprint, state FROM alert_states")
        return {row[0]: (row[1], row[2]) for row in rows}

    async def save(self, states: Mapping[str, tuple[str, str]], sink: str, position: int) -> None:
        """Keep what the engine knows, and up to which position of the outbox: in one transaction."""

        def write(writer: sqlite3.Connection) -> None:
            writer.executemany(_STATE, [(rule, *state) for rule, state in states.items()])
            writer.execute(_MOVE, (sink, position, position))
            writer.execute(_FORGET, (MOST_ALERTS,))
            writer.execute(_FORGET_SILENCES, (_YEAR_US,))
            names = json.dumps(list(states))
            writer.execute("DELETE FROM alert_states WHERE rule NOT IN (SELECT value FROM json_each(?))", (names,))

        await self._store.change(write)

    async def tell(self, changes: Iterable[tuple[Change, str]]) -> None:
        """Write changes, each with its JSON, and the notices of those that are told. What was told stays told once."""
        told = list(changes)

        def write(writer: sqlite3.Connection) -> None:
            for change, text in told:
                at_us = microseconds(change.at)
                if change.state == "fired":
                    writer.execute(_FIRED, (change.alert_id, change.rule, at_us, change.muted is None, text))
                elif change.state == "cleared":
                    writer.execute(_CLEARED, (at_us, text, change.alert_id))
                if self._delivers and change.muted is None:
                    writer.execute(_NOTICE, (change.id, text))

        await self._store.change(write)

    async def firing(self) -> list[Entry]:
        """Return the alerts that fire, the newest first."""
        return [_entry(row) for row in await self._rows(f"{_ALERTS} WHERE cleared_us IS NULL ORDER BY fired_us DESC")]

    async def history(self, since: datetime | None = None, rule: str | None = None, limit: int = 100) -> list[Entry]:
        """Return alerts that fired since a time, of one rule or of all, the newest first."""
        since_us = -(1 << 62) if since is None else microseconds(since)
        asked = f"{_ALERTS} WHERE fired_us >= ? AND (? IS NULL OR rule = ?) ORDER BY fired_us DESC, id LIMIT ?"
        return [_entry(row) for row in await self._rows(asked, since_us, rule, rule, limit)]

    async def alert(self, alert_id: str) -> Entry | None:
        """Return one alert by its id, or by the beginning of it when no other begins so."""
        prefix = alert_id.replace("\\", "").replace("%", "").replace("_", "")
        rows = await self._rows(f"{_ALERTS} WHERE id LIKE ? LIMIT 2", f"{prefix}%") if prefix else []
        return _entry(rows[0]) if len(rows) == 1 else None

    async def acknowledge(self, alert_id: str, by: str, why: str | None, at: datetime) -> bool:
        """Note who has taken an alert on; return whether there is such an alert."""
        asked = "UPDATE alerts SET acknowledged_us = ?, acknowledged_by = ?, why = ? WHERE id = ?"
        arguments = (microseconds(at), by, why, alert_id)
        return bool(await self._store.change(lambda writer: writer.execute(asked, arguments).rowcount))

    async def silence(self, silence: Silence) -> None:
        """Silence a rule."""
        row = (
            silence.id,
            silence.rule,
            microseconds(silence.began_at),
            microseconds(silence.until),
            silence.why,
            silence.by,
        )
        asked = 'INSERT INTO silences (id, rule, began_us, until_us, why, "by") VALUES (?, ?, ?, ?, ?, ?)'
        await self._store.change(lambda writer: writer.execute(asked, row))

    async def unsilence(self, rule: str, at: datetime) -> int:
        """End the silences of a rule that last; return how many."""
        asked = "UPDATE silences SET until_us = ? WHERE rule = ? AND until_us > ?"
        at_us = microseconds(at)
        return await self._store.change(lambda writer: writer.execute(asked, (at_us, rule, at_us)).rowcount)

    async def silences(self, at: datetime) -> list[Silence]:
        """Return the silences that last at a time, the one that lasts longest first."""
        asked = 'SELECT id, rule, began_us, until_us, why, "by" FROM silences WHERE until_us > ? ORDER BY until_us DESC'
        return [
            Silence(row[0], row[1], from_microseconds(row[2]), from_microseconds(row[3]), row[4], row[5])
            for row in await self._rows(asked, microseconds(at))
        ]

    async def deliveries(self, after: int, limit: int) -> list[Delivery]:
        """Return the notices behind a position, oldest first."""
        asked = "SELECT position, id, text FROM notices WHERE position > ? ORDER BY position LIMIT ?"
        return [Delivery(row[0], "notice", row[1], row[2]) for row in await self._rows(asked, after, limit)]

    async def end(self) -> int:
        """Return the position of the last notice, 0 when there never was one."""
        rows = await self._rows("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'notices'")
        return int(rows[0][0])

    async def cursor(self, sink: str) -> Cursor:
        """Return how far a target has come; a new one begins with what comes from now on."""
        rows = await self._rows("SELECT position, offered FROM cursors WHERE sink = ?", _CURSOR + sink)
        if rows:
            return Cursor(rows[0][0], rows[0][1])
        end = await self.end()
        return Cursor(end, end)

    async def move_cursor(self, sink: str, cursor: Cursor) -> None:
        """Note how far a target has come."""
        row = (_CURSOR + sink, cursor.position, cursor.offered)
        await self._store.change(lambda writer: writer.execute(_MOVE, row))

    async def trim(self, position: int) -> None:
        """Forget the notices at a position and before it, a slice at a time."""
        asked = "DELETE FROM notices WHERE position IN (SELECT position FROM notices WHERE position <= ? LIMIT ?)"
        while await self._store.change(
            lambda writer: writer.execute(asked, (position, TRIM_SLICE)).rowcount == TRIM_SLICE
        ):
            pass

    async def _rows(self, asked: str, *arguments: Any) -> Sequence[Any]:
        def read(connection: Connection) -> Sequence[Any]:
            return connection.exec_driver_sql(asked, arguments).all()

        return await self._store.read(read)


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return an alert as plain data: both changes whole, and who has taken it on."""
    acknowledged_at = None if entry.acknowledged_at is None else isoformat(entry.acknowledged_at)
    return {
        "id": entry.id,
        "rule": entry.rule,
        "state": "firing" if entry.cleared is None else "cleared",
        "told": entry.told,
        "fired": json.loads(entry.fired),
        "cleared": None if entry.cleared is None else json.loads(entry.cleared),
        "acknowledged_at": acknowledged_at,
        "acknowledged_by": entry.acknowledged_by,
        "why": entry.why,
    }


def _entry(row: Any) -> Entry:
    acknowledged_at = None if row[5] is None else from_microseconds(row[5])
    return Entry(row[0], row[1], bool(row[2]), row[3], row[4], acknowledged_at, row[6], row[7])

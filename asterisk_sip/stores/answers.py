"""The reading half of every store: it asks the questions of ``queries`` and turns rows into what ``base`` promises."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import Select

from asterisk_sip.calls.model import CallRecord, from_json
from asterisk_sip.errors import StoreError

from . import queries
from .base import CallQuery, Gap, Holdings, OpenCall, Total, TotalsQuery, from_microseconds
from .erasure import Stored

_UNITS = {"minute": 60_000_000, "hour": 3_600_000_000}
_FIELDS = Total._fields


class Answers(ABC):
    """What can be asked of a store. ``place`` is what an operator calls it: a file, or a server and its database."""

    place: str

    @abstractmethod
    async def _select(self, query: Select[Any]) -> list[Any]:
        """Return the rows that answer a question. Raises StoreError."""

    async def open_calls(self, pbx: str) -> list[OpenCall]:
        """Return the calls of a PBX in flight at the last write, oldest sight first."""
        rows = await self._select(queries.open_calls_of(pbx))
        return [OpenCall(row.pbx, row.linkedid, from_microseconds(row.seen_us), row.state) for row in rows]

    async def gaps(self, since: datetime, until: datetime, pbx: str | None = None) -> list[Gap]:
        """Return the gaps that touch a window of time, in the order they began."""
        return [_gap(row) for row in await self._select(queries.gaps_touching(since, until, pbx))]

    async def listened_until(self, pbx: str) -> datetime | None:
        """Return until when a PBX was listened to for sure, None when it never was."""
        rows = await self._select(queries.listened_to(pbx))
        return from_microseconds(rows[0].until_us) if rows else None

    async def calls(self, query: CallQuery) -> list[CallRecord]:
        """Return the newest calls first. Raises ValueError for a ``before`` that is no cursor."""
        return [self._record(row.record) for row in await self._select(queries.calls_matching(query))]

    async def call_texts(self, query: CallQuery) -> list[str]:
        """Return the JSON of calls as it lies there, the newest first."""
        return [row.record for row in await self._select(queries.calls_matching(query))]

    async def call(self, record_id: str) -> CallRecord | None:
        """Return one call by its id, None when it is not kept."""
        rows = await self._select(queries.call_of(record_id))
        return self._record(rows[0].record) if rows else None

    async def after(
        self, position: int, limit: int, query: CallQuery | None = None, upto: int | None = None
    ) -> list[tuple[int, CallRecord]]:
        """Return (position, record) of calls written after a position, in the order of writing."""
        rows = await self._select(queries.calls_after(position, limit, query or CallQuery(), upto))
        return [(row.position, self._record(row.record)) for row in rows]

    async def position_behind(self, position: int, calls: int) -> int | None:
        """Return the position of the last of so many calls written after a position, None when there are fewer."""
        rows = await self._select(queries.position_behind(position, calls))
        return int(rows[0].position) if rows else None

    async def texts(self, position: int, limit: int) -> list[Stored]:
        """Return calls written after a position as they lie there, in the order of writing."""
        rows = await self._select(queries.texts_after(position, limit))
        return [Stored(row.position, row.id, row.at_us, row.record) for row in rows]

    async def holdings(self) -> Holdings:
        """Return what the store holds."""
        (row,) = await self._select(queries.held())
        oldest_at = None if row.oldest_us is None else from_microseconds(row.oldest_us)
        spooled, behind = await self._spool()
        return Holdings(await self._size_bytes(), oldest_at, row.open_calls, spooled, behind)

    @abstractmethod
    async def _size_bytes(self) -> int:
        """Return what the store takes on the disk. Raises StoreError."""

    async def _spool(self) -> tuple[int, dict[str, int]]:
        """Return how many things wait for a sink, in all and for each. Raises StoreError."""
        return 0, {}

    async def ended(self, since: datetime, until: datetime, after: Stored | None, limit: int) -> list[Stored]:
        """Return calls that ended in a window as they lie there, in the order of their ends, behind one of them."""
        behind = None if after is None else (after.at_us, after.id)
        rows = await self._select(queries.texts_ended(since, until, behind, limit))
        return [Stored(row.position, row.id, row.at_us, row.record) for row in rows]

    async def totals(self, query: TotalsQuery) -> list[Total]:
        """Count all calls, or all attempts: the denominators."""
        return _totals(query.by, await self._select(queries.totals_of(query)))

    async def over_time(self, query: CallQuery, step: timedelta, begin: datetime | None = None) -> list[Total]:
        """Count the calls a query finds in a window, by where a step begins (``minute``) and code."""
        if query.since is None or query.until is None or step <= timedelta():
            raise ValueError("calls are counted over time from a since to an until, in steps")
        first = query.since if begin is None else begin
        rows = await self._select(queries.calls_over_time(query, first, step))
        cells = [(*queries.cell_of(row.cell), row.total) for row in rows]
        return [Total(total, 0, minute=first + number * step, sip_code=code) for number, code, total in cells]

    async def depth(self, query: CallQuery, calls: int) -> str | None:
        """Return the cursor of the last of so many calls of a window, the newest first; None when none is behind it."""
        rows = await self._select(queries.calls_at_depth(query, calls))
        return f"{rows[0].at_us}.{rows[0].id}" if len(rows) > 1 else None

    def _record(self, text: str) -> CallRecord:
        try:
            return from_json(CallRecord, json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{self.place}: a stored record cannot be read: {error!r}") from error


def _gap(row: Any) -> Gap:
    ended_at = None if row.ended_us is None else from_microseconds(row.ended_us)
    return Gap(row.id, row.pbx, row.source, from_microseconds(row.began_us), ended_at, row.reason, row.blind)


def _totals(names: tuple[str, ...], rows: list[Any]) -> list[Total]:
    """Return totals of rows that hold what was asked ``by``, then the sums. There may be many thousands."""
    unit = next((name for name in names if name in _UNITS), None)
    fields = (*names, "total", "talk_ms", None, unit)  # behind each row: None, and the begin of the unit as a time
    columns = itemgetter(*(-1 if name == unit else fields.index(name if name in fields else None) for name in _FIELDS))
    if unit is None:
        return [Total._make(columns((*row, None, None))) for row in rows]
    place, length_us = names.index(unit), _UNITS[unit]
    begins = {number: from_microseconds(number * length_us) for number in {row[place] for row in rows}}
    return [Total._make(columns((*row, None, begins[row[place]]))) for row in rows]

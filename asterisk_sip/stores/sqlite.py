"""The default store: one SQLite file that this process writes and any other may read meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Engine, Insert, Select, Table, bindparam, create_engine, delete
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import NullPool, QueuePool

from asterisk_sip.calls.model import CallRecord, from_json
from asterisk_sip.errors import StoreError

from . import queries, sqlite_file
from .base import (
    Batch,
    CallQuery,
    Gap,
    Keep,
    OpenCall,
    Total,
    TotalsQuery,
    from_microseconds,
    microseconds,
)
from .rows import Row, closed_row, gap_row, open_call_row, rows_of
from .schema import answered_ids, attempts, calls, gaps, listened, open_calls, totals

Answer = TypeVar("Answer")

_READERS = 2
_KNOWN = "SELECT id FROM {} WHERE id IN (SELECT value FROM json_each(?))"


class SqliteStore:
    """Keeps records in one SQLite file.

    Writes go through one connection in one thread, a batch at a time: cancelling whoever waits for one never tears it.
    ``keep="failures"`` keeps failed, rescued and abandoned calls whole and counts the answered ones. ``readonly`` never
    makes, changes or migrates the file.
    """

    def __init__(self, path: Path, keep: Keep = "failures", *, readonly: bool = False) -> None:
        self.path = path
        self._keep: Keep = keep
        self._readonly = readonly
        read = sqlite_file.connect_to_visit if readonly else sqlite_file.connect_to_read
        self._read_engine = _engine(lambda: read(path), 0 if readonly else _READERS)
        self._write_engine = _engine(lambda: sqlite_file.connect_to_write(path), 1)
        self._writer: Connection | None = None
        self._closed = False
        self._reading = ThreadPoolExecutor(_READERS, "store-read")
        self._writing = ThreadPoolExecutor(1, "store-write")

    async def open(self) -> None:
        """Open the file, make or migrate its tables.

        Raises StoreError when it cannot be used or is newer than this program, MissingStoreError when it is to be read
        only and nothing was written yet.
        """
        await self._run(self._writing, self._open)

    async def close(self) -> None:
        """Finish the batch being written and close the file."""
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    async def write(self, batch: Batch) -> int:
        """Write a batch in one transaction and return how many records were new. Durable when it returns."""
        return await self._run(self._writing, lambda: self._write(batch))

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

    async def after(self, position: int, limit: int, query: CallQuery | None = None) -> list[tuple[int, CallRecord]]:
        """Return (position, record) of calls written after a position, in the order of writing."""
        rows = await self._select(queries.calls_after(position, limit, query or CallQuery()))
        return [(row.position, self._record(row.record)) for row in rows]

    async def last_position(self) -> int:
        """Return the position of the call written last, 0 when none ever was."""
        return await self._run(self._reading, self._last_position)

    async def totals(self, query: TotalsQuery) -> list[Total]:
        """Count all calls, or all attempts: the denominators."""
        return [_total(row._asdict()) for row in await self._select(queries.totals_of(query))]

    async def _run(self, threads: Executor, work: Callable[[], Answer]) -> Answer:
        def mapped() -> Answer:
            with sqlite_file.errors_of(self.path):
                return work()

        if self._closed:
            raise StoreError(f"{self.path}: the store is closed")
        return await asyncio.get_running_loop().run_in_executor(threads, mapped)

    def _open(self) -> None:
        if self._readonly:
            with self._read_engine.connect() as connection:
                sqlite_file.check_readable(connection, self.path)
            return
        sqlite_file.create(self.path)
        self._writer = self._write_engine.connect()
        sqlite_file.bring_up_to_date(self._writer, self.path)

    def _close(self) -> None:
        self._writing.shutdown()
        self._reading.shutdown()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._read_engine.dispose()
        self._write_engine.dispose()

    def _write(self, batch: Batch) -> int:
        writer = self._writer
        if writer is None:
            raise StoreError(f"{self.path}: the store is not open for writing")
        with sqlite_file.immediate(writer):
            new = _unknown(writer, batch.records)
            rows = rows_of(new, self._keep)
            _many(writer, _INSERT_CALLS, rows.calls)
            _many(writer, _INSERT_ATTEMPTS, rows.attempts)
            _many(writer, _INSERT_ANSWERED_IDS, rows.answered_ids)
            _many(writer, _ADD_TOTALS, rows.totals)
            _many(writer, _DELETE_OPEN_CALLS, [closed_row(key) for key in batch.closed])
            _many(writer, _PUT_OPEN_CALLS, [open_call_row(call) for call in batch.open_calls])
            _many(writer, _PUT_GAPS, [gap_row(gap) for gap in batch.gaps])
            _many(writer, _PUT_LISTENED, [(pbx, microseconds(until)) for pbx, until in batch.listened.items()])
        return len(new)

    async def _select(self, query: Select[Any]) -> list[Any]:
        def select() -> list[Any]:
            with self._read_engine.connect() as connection:
                return list(connection.execute(query))

        return await self._run(self._reading, select)

    def _last_position(self) -> int:
        with self._read_engine.connect() as connection:
            # What SQLite itself remembers: it stays when the newest calls are deleted.
            position = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").scalar()
        return position or 0

    def _record(self, text: str) -> CallRecord:
        try:
            return from_json(CallRecord, json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{self.path}: a stored record cannot be read: {error!r}") from error


def _engine(connect: Callable[[], Any], size: int) -> Engine:
    """Return an engine that keeps up to ``size`` connections open, none when 0."""
    if size == 0:
        return create_engine("sqlite://", creator=connect, poolclass=NullPool)
    return create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=size, max_overflow=0)


def _unknown(connection: Connection, records: Iterable[CallRecord]) -> list[CallRecord]:
    """Return the records written never before, each once."""
    by_id: dict[str, CallRecord] = {}
    for record in records:
        by_id.setdefault(record.id, record)
    ids = json.dumps(list(by_id))
    for table in ("calls", "answered_ids") if by_id else ():
        for known in connection.exec_driver_sql(_KNOWN.format(table), (ids,)).scalars():
            by_id.pop(known, None)
    return list(by_id.values())


def _many(connection: Connection, sql: str, rows: list[Row]) -> None:
    if rows:
        connection.exec_driver_sql(sql, rows)


def _gap(row: Any) -> Gap:
    ended_at = None if row.ended_us is None else from_microseconds(row.ended_us)
    return Gap(row.id, row.pbx, row.source, from_microseconds(row.began_us), ended_at, row.reason, row.blind)


def _total(values: dict[str, Any]) -> Total:
    minute = values.pop("minute", None)
    return Total(minute=None if minute is None else from_microseconds(minute * 60_000_000), **values)


_DIALECT: Dialect = sqlite_dialect(paramstyle="qmark")


def _compiled(table: Table, make: Callable[[Any], Any] = lambda statement: statement) -> str:
    """Compile an insert of rows in the order of the table's columns, all but a position the engine gives itself."""
    names = [column.name for column in table.columns if column.name != "position"]
    statement: Insert = make(insert(table))
    return str(statement.compile(dialect=_DIALECT, column_keys=names))


def _replacing(table: Table) -> Callable[[Any], Any]:
    rest = [column.name for column in table.columns if not column.primary_key]
    return lambda new: new.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={name: new.excluded[name] for name in rest}
    )


def _adding(new: Any) -> Any:
    sums = (totals.c.total, totals.c.talk_ms)
    return new.on_conflict_do_update(
        index_elements=list(totals.primary_key),
        set_={column.name: column + new.excluded[column.name] for column in sums},
    )


_INSERT_CALLS = _compiled(calls)
_INSERT_ATTEMPTS = _compiled(attempts)
_INSERT_ANSWERED_IDS = _compiled(answered_ids)
_ADD_TOTALS = _compiled(totals, _adding)
_PUT_OPEN_CALLS = _compiled(open_calls, _replacing(open_calls))
_PUT_GAPS = _compiled(gaps, _replacing(gaps))
_PUT_LISTENED = _compiled(listened, _replacing(listened))
_DELETE_OPEN_CALLS = str(
    delete(open_calls)
    .where(open_calls.c.pbx == bindparam("pbx"), open_calls.c.linkedid == bindparam("linkedid"))
    .compile(dialect=_DIALECT)
)

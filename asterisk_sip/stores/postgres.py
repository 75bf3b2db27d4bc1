"""The store of a fleet: one PostgreSQL database that many write and many read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.errors import StoreError

from . import postgres_schema as schema
from . import postgres_server as server
from . import postgres_sweep, rollups
from .answers import Answers
from .base import Batch, Keep, ended_at, microseconds
from .erasure import Stored
from .retention import Bounds, Swept
from .rows import Row, closed_row, gap_row, open_call_row, rows_of
from .statements import Statements

_READERS = 2


class PostgresStore(Answers):
    """Keeps records in one PostgreSQL database, release 15 or newer.

    ``url`` is ``postgresql://user@host:port/database``, with more hosts after a comma; the password comes apart. One
    batch is written at a time, whoever writes: positions only grow, also for those who read them. Cancelling whoever
    waits for a batch never tears it. ``keep``, ``readonly`` and ``patience_s`` as in every store.
    """

    def __init__(
        self,
        url: str,
        password: str | None = None,
        keep: Keep = "failures",
        *,
        readonly: bool = False,
        patience_s: float | None = None,
    ) -> None:
        self.place = server.place_of(url)
        self._keep: Keep = keep
        self._readonly = readonly
        self._read_engine = server.engine(url, password, _READERS, use="read", patience_s=patience_s)
        self._write_engine = server.engine(url, password, 1, use="write")
        self._months: set[str] = set()
        self._writing: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()
        self._opened = False
        self._closed = False

    async def open(self) -> None:
        """Connect, make or migrate the tables.

        Raises StoreError when the database cannot be used or is newer than this program, MissingStoreError when it is
        to be read only and nothing was written yet.
        """
        with server.errors_of(self.place):
            if self._readonly:
                async with self._read_engine.connect() as connection:
                    await connection.run_sync(schema.check_readable, self.place)
            else:
                async with self._write_engine.begin() as connection:
                    await connection.run_sync(schema.bring_up_to_date, self.place)
                    self._months = await connection.run_sync(schema.partitions)
        self._opened = True

    async def close(self) -> None:
        """Finish the batch being written and let go of the database."""
        self._closed = True
        if self._writing:
            await asyncio.wait(self._writing)
        for engine in (self._read_engine, self._write_engine):
            with server.errors_of(self.place):
                await engine.dispose()

    async def write(self, batch: Batch) -> int:
        """Write a batch in one transaction and return how many records were new. Durable when it returns."""
        self._check_open()
        if self._readonly or not self._opened:
            raise StoreError(f"{self.place}: the store is not open for writing")
        task = asyncio.create_task(self._write(batch))
        self._writing.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    async def last_position(self) -> int:
        """Return the position of the call written last, 0 when none ever was."""
        rows = await self._select(select(schema.writing.c.position))
        return int(rows[0].position)

    async def sweep(self, bounds: Bounds) -> Swept:
        """Forget what is past its bounds: whole months at once, the rest in small steps."""
        self._check_open()
        with server.errors_of(self.place):
            async with self._read_engine.connect() as connection:
                months = await connection.run_sync(schema.partitions)
        return await postgres_sweep.sweep(bounds, self._change, months)

    async def erase(self, calls: Sequence[Stored]) -> int:
        """Delete calls for good, and return how many were there."""
        return await self._change(lambda connection: postgres_sweep.erase(connection, calls))

    async def _change(self, step: postgres_sweep.Step) -> int:
        """Do something in one transaction of its own, between batches."""
        async with self._turn:
            self._months.clear()  # one may be dropped
            with server.errors_of(self.place):
                async with self._write_engine.begin() as connection:
                    return await step(connection)

    async def _select(self, query: Select[Any]) -> list[Any]:
        self._check_open()
        with server.errors_of(self.place):
            async with self._read_engine.connect() as connection:
                return list(await connection.execute(query))

    async def _size_bytes(self) -> int:
        (row,) = await self._select(select(func.pg_database_size(func.current_database()).label("size")))
        return int(row.size)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.place}: the store is closed")

    def _written(self, task: asyncio.Task[Any]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited was told; if nobody did, nobody is to be

    async def _write(self, batch: Batch) -> int:
        async with self._turn:
            with server.errors_of(self.place):
                async with self._write_engine.connect() as connection:
                    try:
                        return await self._transaction(connection, batch)
                    except BaseException:
                        self._months.clear()  # one may have been dropped
                        await connection.invalidate()  # nobody knows what state it is in
                        raise

    async def _transaction(self, connection: AsyncConnection, batch: Batch) -> int:
        async with connection.begin():
            # The lock on this one row makes the writers of all programs take turns.
            position = await connection.scalar(select(schema.writing.c.position).with_for_update())
            driver: Any = (await connection.get_raw_connection()).driver_connection
            new = await _unwritten(driver, batch.records)
            rows = rows_of(new, self._keep)
            ends = {record.id: microseconds(ended_at(record)) for record in new}
            await self._make_partitions(connection, {schema.month_of(row[1]) for row in rows.calls})
            calls = [(number, *row) for number, row in enumerate(rows.calls, (position or 0) + 1)]
            await _copy(driver, "calls", calls)
            await _copy(driver, "attempts", [(*row, ends[row[0]]) for row in rows.attempts])
            for name, counts in rows.counts.items():
                if counts:
                    await driver.execute(_ADD[name], *zip(*counts, strict=True))
            await _many(driver, _DELETE_OPEN_CALLS, [closed_row(key) for key in batch.closed])
            await _many(driver, _PUT_OPEN_CALLS, [open_call_row(call) for call in batch.open_calls])
            await _many(driver, _PUT_GAPS, [gap_row(gap) for gap in batch.gaps])
            await _many(driver, _PUT_LISTENED, [(pbx, microseconds(until)) for pbx, until in batch.listened.items()])
            if calls:
                await driver.execute("UPDATE writing SET position = $1", calls[-1][0])
        return len(new)

    async def _make_partitions(self, connection: AsyncConnection, months: set[str]) -> None:
        if months <= self._months:
            return
        there = await connection.run_sync(schema.partitions)
        for statement in [text for month in sorted(months - there) for text in schema.partition(month)]:
            await connection.exec_driver_sql(statement)
        self._months = there | months


async def _unwritten(driver: Any, records: list[CallRecord]) -> list[CallRecord]:
    """Take down the ids of records written never before, and return these, each once."""
    by_id: dict[str, CallRecord] = {}
    for record in records:
        by_id.setdefault(record.id, record)
    times = [microseconds(ended_at(record)) for record in by_id.values()]
    new = {row[0] for row in await driver.fetch(_TAKE_IDS, list(by_id), times)} if by_id else set()
    return [record for record in by_id.values() if record.id in new]


async def _copy(driver: Any, table: str, rows: list[Row]) -> None:
    if rows:
        columns = [column.name for column in schema.metadata.tables[table].columns]
        await driver.copy_records_to_table(table, records=rows, columns=columns)


async def _many(driver: Any, sql: str, rows: list[Row]) -> None:
    if rows:
        await driver.executemany(sql, rows)


_TAKE_IDS = (
    "INSERT INTO written_ids (id, at_us) SELECT * FROM unnest($1::text[], $2::bigint[])"
    " ON CONFLICT DO NOTHING RETURNING id"
)
_STATEMENTS = Statements(asyncpg_dialect(), insert)  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
_TABLES = schema.metadata.tables
_ADD = {table.name: _STATEMENTS.add_arrays(_TABLES[table.name]) for table in rollups.TABLES}
_PUT_OPEN_CALLS = _STATEMENTS.replace(_TABLES["open_calls"])
_PUT_GAPS = _STATEMENTS.replace(_TABLES["gaps"])
_PUT_LISTENED = _STATEMENTS.replace(_TABLES["listened"])
_DELETE_OPEN_CALLS = _STATEMENTS.delete(_TABLES["open_calls"])

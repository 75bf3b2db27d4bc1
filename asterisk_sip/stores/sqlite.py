"""The default store: one SQLite file that this process writes and any other may read meanwhile."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine, Select, create_engine
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import NullPool, QueuePool

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.errors import StoreError

from . import outbox, rollups, sqlite_erase, sqlite_file, sqlite_sweep
from .answers import Answers
from .base import Batch, Keep, microseconds
from .erasure import Pending, Stored, Wanted
from .retention import Bounds, Swept
from .rows import Row, closed_row, gap_row, open_call_row, rows_of
from .schema import answered_ids, attempts, calls, gaps, listened, open_calls
from .spool import Cursor, Delivery
from .statements import Statements

Answer = TypeVar("Answer")

_READERS = 2
_KNOWN = " UNION ALL ".join(
    f"SELECT id FROM {table.name} WHERE id IN (SELECT value FROM json_each(?1))"  # noqa: S608  # constants
    for table in (calls, answered_ids)
)


class SqliteStore(Answers):
    """Keeps records in one SQLite file.

    Writes go through one connection in one thread, a batch at a time: cancelling whoever waits for one never tears it.
    ``keep="failures"`` keeps failed, rescued and abandoned calls whole and counts the answered ones. ``readonly`` never
    makes, changes or migrates the file. ``delivers``: what is written is kept for the sinks too, until all took it.
    What is asked may take ``patience_s``, waiting for others included, None for as long as it takes.
    """

    def __init__(
        self,
        path: Path,
        keep: Keep = "failures",
        *,
        readonly: bool = False,
        delivers: bool = False,
        patience_s: float | None = None,
    ) -> None:
        self.path = path
        self.place = str(path)
        self._keep: Keep = keep
        self._readonly = readonly
        self._delivers = delivers
        self._patience_s = math.inf if patience_s is None else patience_s
        read = sqlite_file.connect_to_visit if readonly else sqlite_file.connect_to_read
        self._read_engine = _engine(lambda: read(path), 0 if readonly else _READERS)
        self._writer: sqlite3.Connection | None = None
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

    async def last_position(self) -> int:
        """Return the position of the call written last, 0 when none ever was."""
        return await self._run(self._reading, self._last_position)

    async def deliveries(self, after: int, limit: int) -> list[Delivery]:
        """Return what stands in the outbox behind a position, oldest first."""
        return await self.read(lambda connection: outbox.after(connection, after, limit))

    async def end(self) -> int:
        """Return the position of what stands last in the outbox, or stood there."""
        return await self.read(outbox.end)

    async def cursor(self, sink: str) -> Cursor:
        """Return how far a sink has come; one that was never there begins with what comes from now on."""
        return await self.read(lambda connection: outbox.cursor(connection, sink))

    async def move_cursor(self, sink: str, cursor: Cursor) -> None:
        """Note how far a sink has come. Durable when it returns."""
        await self.change(lambda writer: outbox.move(writer, sink, cursor))

    async def trim(self, position: int) -> None:
        """Forget what stands at a position and before it, a slice at a time: no write waits long for it."""
        while await self.change(lambda writer: outbox.trim(writer, position)):
            pass

    async def sweep(self, bounds: Bounds) -> Swept:
        """Forget what is past its bounds, the oldest first; every write gets its turn in between."""
        return await sqlite_sweep.sweep(self, bounds)

    async def erase(self, calls: Sequence[Stored]) -> int:
        """Delete calls for good, and return how many were there."""
        return await self.change(lambda writer: sqlite_erase.erase(writer, calls))

    async def pending(self, wanted: Wanted, *, delete: bool) -> Pending:
        """Find, and delete if so wished, what else the file holds of a number."""

        def find(connection: Connection) -> Pending:
            return sqlite_erase.pending(connection.connection.driver_connection, wanted, delete=False)  # type: ignore[arg-type]  # it is SQLite's

        if delete:
            return await self.change(lambda writer: sqlite_erase.pending(writer, wanted, delete=True))
        return await self.read(find)

    async def settle(self, mode: Literal["PASSIVE", "TRUNCATE"] = "PASSIVE") -> bool:
        """Bring what is in the write-ahead log into the file; return whether all of it is.

        TRUNCATE empties the log too, and waits for readers, which keeps writers waiting.
        """

        def settled() -> bool:
            busy, logged, done = self._open_writer().execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            return not busy and bool(logged == done)

        return await self._run(self._writing, settled)

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Ask something, beside the writer. Raises TookTooLongError."""
        deadline = time.monotonic() + self._patience_s

        def read() -> Answer:
            with self._read_engine.connect() as connection, sqlite_file.until(deadline, connection, self.path):
                return work(connection)

        return await self._run(self._reading, read)

    async def change(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Change something in one transaction of its own."""

        def change() -> Answer:
            writer = self._open_writer()
            with sqlite_file.writing(writer):
                return work(writer)

        return await self._run(self._writing, change)

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
        engine = _engine(lambda: sqlite_file.connect_to_write(self.path), 0)
        with engine.connect() as connection:
            sqlite_file.bring_up_to_date(connection, self.path)
        self._writer = sqlite_file.connect_to_write(self.path)

    def _close(self) -> None:
        self._writing.shutdown()
        self._reading.shutdown()
        self._read_engine.dispose()
        if self._writer is not None:  # the last one: only who may write can put the write-ahead log into the file
            self._writer.close()
            self._writer = None

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreError(f"{self.path}: the store is not open for writing")
        return self._writer

    def _write(self, batch: Batch) -> int:
        writer = self._open_writer()
        with sqlite_file.writing(writer):
            new = batch.new = _unknown(writer, batch.records)
            rows = rows_of(new, self._keep)
            _many(writer, _INSERT_CALLS, rows.calls)
            _many(writer, _INSERT_ATTEMPTS, rows.attempts)
            _many(writer, _INSERT_ANSWERED_IDS, rows.answered_ids)
            for name, counts in rows.counts.items():
                _many(writer, _ADD[name], counts)
            if self._delivers:
                _many(writer, outbox.INSERT, [*outbox.rows_of(new, batch.gaps, self._keep)])
            _many(writer, _DELETE_OPEN_CALLS, [closed_row(key) for key in batch.closed])
            _many(writer, _PUT_OPEN_CALLS, [open_call_row(call) for call in batch.open_calls])
            _many(writer, _PUT_GAPS, [gap_row(gap) for gap in batch.gaps])
            _many(writer, _PUT_LISTENED, [(pbx, microseconds(until)) for pbx, until in batch.listened.items()])
        return len(new)

    async def _select(self, query: Select[Any]) -> list[Any]:
        return await self.read(lambda connection: list(connection.execute(query)))

    async def _size_bytes(self) -> int:
        return await self._run(self._reading, lambda: sqlite_file.size_bytes(self.path))

    async def _spool(self) -> tuple[int, dict[str, int]]:
        return await self.read(outbox.waiting)

    def _last_position(self) -> int:
        with self._read_engine.connect() as connection:
            # What SQLite itself remembers: it stays when the newest calls are deleted.
            position = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").scalar()
        return position or 0


def _engine(connect: Callable[[], Any], size: int) -> Engine:
    """Return an engine that keeps up to ``size`` connections open, none when 0."""
    if size == 0:
        return create_engine("sqlite://", creator=connect, poolclass=NullPool)
    return create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=size, max_overflow=0)


def _unknown(connection: sqlite3.Connection, records: list[CallRecord]) -> list[CallRecord]:
    """Return the records written never before, each once."""
    if not records:
        return records
    by_id: dict[str, CallRecord] = {}
    for record in records:
        by_id.setdefault(record.id, record)
    for (known,) in connection.execute(_KNOWN, (json.dumps(list(by_id)),)):
        by_id.pop(known, None)
    return list(by_id.values())


def _many(connection: sqlite3.Connection, sql: str, rows: list[Row]) -> None:
    if rows:
        connection.executemany(sql, rows)


_STATEMENTS = Statements(sqlite_dialect(paramstyle="qmark"), insert)
_INSERT_CALLS = _STATEMENTS.insert(calls)
_INSERT_ATTEMPTS = _STATEMENTS.insert(attempts)
_INSERT_ANSWERED_IDS = _STATEMENTS.insert(answered_ids)
_ADD = {table.name: _STATEMENTS.add(table) for table in rollups.TABLES}
_PUT_OPEN_CALLS = _STATEMENTS.replace(open_calls)
_PUT_GAPS = _STATEMENTS.replace(gaps)
_PUT_LISTENED = _STATEMENTS.replace(listened)
_DELETE_OPEN_CALLS = _STATEMENTS.delete(open_calls)

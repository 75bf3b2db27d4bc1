"""The store of a large fleet: one ClickHouse database that many read."""

from __future__ import annotations

import asyncio
import json
import time
from collections import namedtuple
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from clickhouse_connect.driver.asyncclient import AsyncClient
from sqlalchemy import Select

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.errors import StoreError

from . import clickhouse_schema as schema
from . import clickhouse_server as server
from . import clickhouse_sweep as sweeping
from .answers import Answers
from .base import Batch, CallQuery, Keep, MissingStoreError, microseconds
from .clickhouse_sql import literal, text_of
from .erasure import Stored
from .retention import Bounds, Swept
from .rows import Row, closed_row, gap_row, open_call_row, rows_to_count
from .schema import VERSION_TABLE

_IDS_AT_ONCE = 2_000
_INSERT = {"async_insert": 0, "max_partitions_per_insert_block": 0, "input_format_null_as_default": 0}


class ClickHouseStore(Answers):
    """Keeps records in one ClickHouse database, release 24.8 or newer, over its HTTP interface.

    ``url`` is ``clickhouse://user@host:port/database``; the password comes apart. There are no transactions: what a
    batch holds is there when `write` returns, and a batch that failed in the middle is whole when it is written again.
    ``keep``, ``readonly`` and ``patience_s`` as in every store.
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
        self._url = url
        self._password = password
        self._keep: Keep = keep
        self._readonly = readonly
        self._asking = {} if patience_s is None else {"max_execution_time": patience_s}
        self._client: AsyncClient | None = None
        self._position = 0
        self._writing: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Connect, make the tables that are missing.

        Raises StoreError when the database cannot be used or is newer than this program, MissingStoreError when it is
        to be read only and nothing was written yet.
        """
        await self._let_go()
        with server.errors_of(self.place):
            client = await server.connect(self._url, self._password)
            try:
                await self._make_ready(client)
            except BaseException:
                await client.close()
                raise
        self._client = client

    async def close(self) -> None:
        """Finish the batch being written and let go of the database."""
        self._closed = True
        if self._writing:
            await asyncio.wait(self._writing)
        await self._let_go()

    async def write(self, batch: Batch) -> int:
        """Write a batch and return how many records were new. Durable when it returns."""
        client = self._open_client()
        if self._readonly:
            raise StoreError(f"{self.place}: the store is not open for writing")
        task = asyncio.create_task(self._write(client, batch))
        self._writing.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    async def last_position(self) -> int:
        """Return the position of the call written last, 0 when none ever was."""
        ((position,),) = await self._rows("SELECT max(position) FROM writing")
        return int(position)

    async def depth(self, query: CallQuery, calls: int) -> str | None:
        """Return the cursor of the last of so many calls of a window; None without one: that would read every row."""
        return None if query.since is None else await super().depth(query, calls)

    async def sweep(self, bounds: Bounds) -> Swept:
        """Forget what is past its bounds: whole months and whole days; the server does so by itself, too."""
        client = self._open_client()
        async with self._turn:
            with server.errors_of(self.place):
                return await sweeping.sweep(client, bounds)

    async def erase(self, calls: Sequence[Stored]) -> int:
        """Delete calls for good, and return how many were there."""
        client = self._open_client()
        async with self._turn:
            with server.errors_of(self.place):
                return await sweeping.erase(client, [call.id for call in calls])

    async def _select(self, query: Select[Any]) -> list[Any]:
        make = _row_of(tuple(column.name for column in query.selected_columns))._make
        return [make(row) for row in await self._rows(text_of(query))]

    async def _size_bytes(self) -> int:
        parts = "system.parts WHERE active AND database = currentDatabase()"
        ((size,),) = await self._rows(f"SELECT sum(bytes_on_disk) FROM {parts}")  # noqa: S608  # our own words
        return int(size)

    async def _rows(self, sql: str) -> Sequence[Sequence[Any]]:
        client = self._open_client()
        with server.errors_of(self.place):
            return (await client.query(sql, settings=self._asking)).result_rows

    def _open_client(self) -> AsyncClient:
        if self._closed or self._client is None:
            raise StoreError(f"{self.place}: the store is {'closed' if self._closed else 'not open'}")
        return self._client

    async def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with server.errors_of(self.place):
                await client.close()

    async def _make_ready(self, client: AsyncClient) -> None:
        asked = "SELECT name FROM system.tables WHERE database = currentDatabase()"
        tables = {str(name) for (name,) in (await client.query(asked)).result_rows}
        revisions: Sequence[Sequence[Any]] = ()
        if VERSION_TABLE in tables:
            revisions = (await client.query(f"SELECT version_num FROM {VERSION_TABLE} FINAL")).result_rows  # noqa: S608  # ours
        revision = str(revisions[0][0]) if revisions else None
        if schema.check(str(client.server_version), tables, revision, self.place):
            return
        if self._readonly:
            raise MissingStoreError(f"{self.place}: nothing has been written there yet")
        for statement in schema.statements():
            await client.command(statement)

    def _written(self, task: asyncio.Task[Any]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited was told; if nobody did, nobody is to be

    async def _write(self, client: AsyncClient, batch: Batch) -> int:
        async with self._turn:
            with server.errors_of(self.place):
                new = await self._unwritten(client, batch.records)
                for table, rows in self._ordered(batch, new):
                    await _insert(client, table, rows)
        return len(new)

    async def _unwritten(self, client: AsyncClient, records: list[CallRecord]) -> list[CallRecord]:
        """Return the records written never before, each once; and go on behind the positions that others gave."""
        by_id: dict[str, CallRecord] = {}
        for record in records:
            by_id.setdefault(record.id, record)
        ids = list(by_id)
        for begin in range(0, len(ids), _IDS_AT_ONCE):
            for id_, position in (await client.query(_known(ids[begin : begin + _IDS_AT_ONCE]))).result_rows:
                self._position = max(self._position, int(position))
                by_id.pop(str(id_), None)
        return list(by_id.values())

    def _ordered(self, batch: Batch, new: list[CallRecord]) -> list[tuple[str, list[Row]]]:
        """Return the rows for each table, in the order in which they are written: calls are known by ``counted``.

        Positions are microseconds since 1970, so that those of several programs are nearly in the order of writing.
        """
        rows = rows_to_count(new, self._keep)
        first = max(self._position + 1, time.time_ns() // 1_000)
        last = first + len(rows.calls) - 1
        self._position = max(last, first + 1)
        ends = {fact[0]: fact[2] for fact in rows.facts}
        gone = [(*closed_row(key), 0, "", first, 1) for key in batch.closed]
        in_flight = [(*open_call_row(call), first + 1, 0) for call in batch.open_calls]
        ordered = [
            ("open_calls", gone + in_flight),
            ("gaps", [(*gap_row(gap), first) for gap in batch.gaps]),
            ("listened", [(pbx, microseconds(until), first) for pbx, until in batch.listened.items()]),
            ("attempts", [(*row, ends[row[0]]) for row in rows.attempts]),
            ("calls", [(position, *row) for position, row in enumerate(rows.calls, first)]),
            ("counted", rows.facts),
            ("writing", [(last,)] if rows.calls else []),
        ]
        for table, of_table in ordered:
            required = schema.needed(table)
            if any(row[place] is None for row in of_table for place in required):
                raise StoreError(f"{self.place}: a row of {table} lacks what it needs")
        return ordered


def _known(ids: list[str]) -> str:
    """Return the question which of some ids are known, and which position was given last."""
    asked = ", ".join(map(literal, ids))
    return (
        f"SELECT id, toInt64(0) FROM counted WHERE id IN ({asked}) AND seq = 0"  # noqa: S608  # literals of ours
        " UNION ALL SELECT '', max(position) FROM writing"
    )


async def _insert(client: AsyncClient, table: str, rows: list[Row]) -> None:
    if rows:
        text = "\n".join(map(_line, rows))
        await client.raw_insert(
            table, schema.columns_of(table), text.encode(), settings=_INSERT, fmt="JSONCompactEachRow"
        )


_line = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


@lru_cache(maxsize=256)
def _row_of(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names)  # noqa: PYI024  # made of what was asked

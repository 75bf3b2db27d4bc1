"""Forgetting in PostgreSQL: months that are wholly past are dropped, the rest goes in small transactions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from . import postgres_schema as schema
from . import rollups
from .erasure import Stored
from .retention import Bounds, Swept

Step = Callable[[AsyncConnection], Awaitable[int]]
Change = Callable[[Step], Awaitable[int]]
"""Runs a step in one transaction of its own, when it is the writer's turn."""

SLICE = 500
_LIGHT_SLICE = 5_000
_LOCK_WAIT = "SET LOCAL lock_timeout = '2s'"

_CALLS = (
    "DELETE FROM calls_{month} WHERE (at_us, id) IN"
    " (SELECT at_us, id FROM calls_{month} WHERE at_us < $1 ORDER BY at_us, id LIMIT $2)"
)
_ERASE = (
    "DELETE FROM calls USING unnest($1::text[], $2::bigint[]) AS gone(id, at_us)"
    " WHERE calls.at_us = gone.at_us AND calls.id = gone.id"
)
_IDS = (
    "DELETE FROM written_ids WHERE id IN (SELECT id FROM written_ids w WHERE at_us < $1 AND NOT EXISTS"
    " (SELECT 1 FROM calls c WHERE c.at_us = w.at_us AND c.id = w.id) ORDER BY at_us LIMIT $2)"
)
_TOTALS = (
    "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {among}{unit} < $1"
    " ORDER BY {unit} LIMIT $2))"
)
_GAPS = "DELETE FROM gaps WHERE id IN (SELECT id FROM gaps WHERE ended_us < $1 LIMIT $2)"


async def sweep(bounds: Bounds, change: Change, months: set[str]) -> Swept:
    """Forget what is past its bounds; the size of a server is its keeper's to bound."""
    swept = Swept()
    if bounds.calls is not None:
        for month in sorted(months):
            low, high = schema.bounds(month)
            if high is not None and low is not None and high <= bounds.calls:
                swept.calls += await change(lambda connection, month=month: _drop(connection, month))  # type: ignore[misc]  # a lambda with a default
            elif low is None or low < bounds.calls:
                swept.calls += await _in_steps(change, _CALLS.format(month=month), bounds.calls, SLICE)
    if bounds.ids is not None:
        swept.ids += await _in_steps(change, _IDS, bounds.ids, _LIGHT_SLICE)
    if bounds.totals is not None:
        for table, unit, counted in rollups.kept_by():
            among = "" if counted is None else f"counted = '{counted}' AND "
            sql = _TOTALS.format(table=table, unit=unit, among=among)
            swept.totals += await _in_steps(change, sql, rollups.first_kept(unit, bounds.totals), _LIGHT_SLICE)
    if bounds.gaps is not None:
        swept.gaps += await _in_steps(change, _GAPS, bounds.gaps, _LIGHT_SLICE)
    return swept


async def erase(connection: AsyncConnection, calls: Sequence[Stored]) -> int:
    """Delete calls with their attempts, and return how many were there."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    done = await driver.execute(_ERASE, [call.id for call in calls], [call.at_us for call in calls])
    return int(done.rpartition(" ")[2])


async def _drop(connection: AsyncConnection, month: str) -> int:
    """Drop the partitions of a month. Who reads meanwhile is waited for, shortly: the next run comes again."""
    await connection.exec_driver_sql(_LOCK_WAIT)
    await connection.execute(select(schema.writing.c.position).with_for_update())
    count = (await connection.exec_driver_sql(f"SELECT count(*) FROM calls_{month}")).scalar_one()  # noqa: S608  # ours
    await connection.exec_driver_sql(f"DROP TABLE attempts_{month}")
    await connection.exec_driver_sql(f"ALTER TABLE calls DETACH PARTITION calls_{month}")
    await connection.exec_driver_sql(f"DROP TABLE calls_{month}")
    return int(count)


async def _in_steps(change: Change, sql: str, before: int, slice_: int) -> int:
    """Delete in steps, with pauses as long as the steps, until one finds less than it may; return how many rows."""

    async def step(connection: AsyncConnection) -> int:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        return int((await driver.execute(sql, before, slice_)).rpartition(" ")[2])

    done = 0
    while True:
        began = time.monotonic()
        did = await change(step)
        done += did
        if did < slice_:
            return done
        await asyncio.sleep(time.monotonic() - began)

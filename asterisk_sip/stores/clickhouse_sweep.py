"""Forgetting in ClickHouse: months that are wholly past are dropped, the rest goes by whole days."""

from __future__ import annotations

from clickhouse_connect.driver.asyncclient import AsyncClient

from . import clickhouse_schema as schema
from . import rollups
from .base import from_microseconds
from .clickhouse_sql import literal
from .retention import DAY_US, Bounds, Swept

_LAST_SECOND = 0xFFFF_FFFF
_NET_DAYS = 2
"""So much later the server forgets by itself what no program came to forget."""


async def sweep(client: AsyncClient, bounds: Bounds) -> Swept:
    """Forget what is past its bounds. A delete marks rows in all files they are in: so it is done once a day.

    The ids of calls are those in ``counted``: they go with the counts. The size of a server is its keeper's to bound.
    """
    swept = Swept()
    await _forget_by_itself(client, bounds.age_days)
    if bounds.calls is not None:
        before = bounds.calls // DAY_US * DAY_US
        swept.calls += await _drop_months(client, before)
        swept.calls += await _delete(client, "calls", f"at_us < {before}")
        await _delete(client, "attempts", f"at_us < {before}")
    if bounds.totals is not None:
        whole_day = bounds.totals // DAY_US * DAY_US
        swept.totals += await _delete(client, "counted", f"minute < {rollups.first_kept('minute', whole_day)}")
    if bounds.gaps is not None:
        # By its id: of a gap that has ended, the row of when it lasted may still be there.
        ended = f"SELECT id FROM gaps FINAL WHERE ended_us < {bounds.gaps}"  # noqa: S608  # a number
        swept.gaps += await _delete(client, "gaps", f"id IN ({ended})")
    return swept


async def erase(client: AsyncClient, ids: list[str]) -> int:
    """Delete calls with their attempts, and return how many were there. Their rows in ``counted`` stay."""
    if not ids:
        return 0
    wanted = ", ".join(map(literal, ids))
    erased = await _delete(client, "calls", f"id IN ({wanted})")
    await _delete(client, "attempts", f"call_id IN ({wanted})")
    return erased


async def _forget_by_itself(client: AsyncClient, age_days: int | None) -> None:
    """Tell the server how long calls are kept, unless it knows."""
    days = None if age_days is None else age_days + _NET_DAYS
    told = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'calls'"
    ((known,),) = (await client.query(told)).result_rows
    if (" TTL " in known) if days is None else (f"toIntervalDay({days})" not in known):
        for table in ("calls", "attempts"):
            await client.command(f"ALTER TABLE {table} {_time_to_live(days)}")


def _time_to_live(days: int | None) -> str:
    """Return the change that makes rows go so many days after their call. A DateTime ends in 2106."""
    if days is None:
        return "REMOVE TTL"
    latest_s = _LAST_SECOND - days * DAY_US // 1_000_000
    return f"MODIFY TTL toDateTime(greatest(0, least({latest_s}, intDiv(at_us, 1000000)))) + toIntervalDay({days})"


async def _delete(client: AsyncClient, table: str, which: str) -> int:
    """Delete rows, and return how many there were. Nothing is written when there are none."""
    count = await _count(client, f"{table} FINAL WHERE {which}")
    if count:
        await client.command(f"DELETE FROM {table} WHERE {which}")  # noqa: S608  # our own words and literals
    return count


async def _drop_months(client: AsyncClient, before_us: int) -> int:
    """Drop the months of calls and attempts that end before a time; return how many calls there were."""
    first_kept = from_microseconds(before_us).strftime("%Y%m")
    parts = "system.parts WHERE active AND database = currentDatabase() AND table IN ('calls', 'attempts')"
    dropped = 0
    for month, table in (await client.query(f"SELECT DISTINCT partition_id, table FROM {parts}")).result_rows:  # noqa: S608  # ours
        if month >= first_kept:
            continue
        if table == "calls":
            dropped += await _count(client, f"calls FINAL WHERE {schema.MONTH} = {month}")
        await client.command(f"ALTER TABLE {table} DROP PARTITION {month}")
    return dropped


async def _count(client: AsyncClient, rows: str) -> int:
    return int((await client.query(f"SELECT count() FROM {rows}")).result_rows[0][0])  # noqa: S608  # our own words

"""A week of five million attempts, in each engine: how fast it is written, and what is asked of it.

Six hours are written by the stores themselves, and timed. Their rows are then copied with other times and ids until the
week is full: what lies in the tables is what the stores would have written. Then more is written, and timed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import asyncpg

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.stores import clickhouse_schema, postgres_schema, rollups
from asterisk_sip.stores.base import Batch, Store, TotalsQuery
from asterisk_sip.stores.clickhouse import ClickHouseStore
from asterisk_sip.stores.postgres import PostgresStore
from asterisk_sip.stores.sqlite import SqliteStore
from tests.bench import week
from tests.call_records import BEGAN
from tests.clickhouse_server import ClickHouseServer
from tests.clickhouse_server import running as running_clickhouse
from tests.postgres_server import PostgresServer
from tests.postgres_server import running as running_postgres

BATCH = 500
AFTERWARDS = 20_000
ROUNDS = 9

_DAY, _WEEK = timedelta(days=1), timedelta(days=week.DAYS)
_SHORT = timedelta(minutes=7, seconds=13)  # nobody asks on the hour

QUESTIONS = {
    "24 hours by minute and code": TotalsQuery(
        week.UNTIL - _DAY - _SHORT, week.UNTIL - _SHORT, by=("minute", "sip_code")
    ),
    "24 hours of all attempts by minute and disposition": TotalsQuery(
        week.UNTIL - _DAY - _SHORT, week.UNTIL - _SHORT, "attempts", ("minute", "disposition")
    ),
    "24 hours of one trunk by minute and code": TotalsQuery(
        week.UNTIL - _DAY, week.UNTIL, "attempts", ("minute", "sip_code"), trunk=week.TRUNKS[0]
    ),
    "7 days by trunk and code": TotalsQuery(
        week.UNTIL - _WEEK + _SHORT, week.UNTIL - _SHORT, "attempts", ("trunk", "sip_code")
    ),
    "7 days by hour and code": TotalsQuery(week.UNTIL - _WEEK + _SHORT, week.UNTIL - _SHORT, by=("hour", "sip_code")),
    "7 days of delays by trunk": TotalsQuery(
        week.UNTIL - _WEEK + _SHORT, week.UNTIL - _SHORT, "attempts", ("trunk", "pdd")
    ),
}


@dataclass(slots=True)
class Figures:
    """What was measured of one engine."""

    attempts: int = 0
    size_gb: float = 0.0
    calls_a_second: dict[str, float] = field(default_factory=dict)
    answer_ms: dict[str, float] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)


def report(folder: Path, attempts: int = week.ATTEMPTS) -> str:
    """Fill and ask both engines, and return the tables."""
    path = folder / "calls.db"
    sqlite = asyncio.run(_measure(SqliteStore(path), lambda: week.copy_in_sqlite(path), attempts))
    sqlite.size_gb = path.stat().st_size / 1e9
    path.unlink()
    with running_postgres() as database:
        url = asyncio.run(database.database())
        postgres = asyncio.run(
            _measure(
                PostgresStore(url, database.password), lambda: asyncio.run(_copy_in_postgres(database, url)), attempts
            )
        )
        (row,) = asyncio.run(database.run("SELECT pg_database_size(current_database()) AS size", url))
        postgres.size_gb = row["size"] / 1e9
    with running_clickhouse() as server:
        url = asyncio.run(server.database())
        store = ClickHouseStore(url, server.password)
        clickhouse = asyncio.run(_measure(store, lambda: asyncio.run(_copy_in_clickhouse(server, url)), attempts))
        (row,) = asyncio.run(server.run(f"SELECT sum(bytes_on_disk) AS size FROM {_PARTS}", url))  # noqa: S608  # ours
        clickhouse.size_gb = row["size"] / 1e9
    assert sqlite.totals == postgres.totals == clickhouse.totals, "the engines count differently"
    return _text(sqlite, postgres, clickhouse)


async def _measure(store: Store, copy: Callable[[], None], attempts: int) -> Figures:
    figures = Figures()
    calls = week.calls_to_write(attempts)
    await store.open()
    figures.calls_a_second["into an empty store"] = await _write(store, week.some_calls(calls, week.WRITTEN_S, 1))
    await asyncio.to_thread(copy)
    late = week.some_calls(AFTERWARDS, AFTERWARDS * week.WRITTEN_S / calls, 2)
    figures.calls_a_second["into the full one"] = await _write(store, week.moved(late, week.UNTIL - BEGAN))
    scattered = week.some_calls(AFTERWARDS, AFTERWARDS * 60, 3)
    figures.calls_a_second["into the full one, each call in a minute of its own"] = await _write(
        store, week.moved(scattered, week.UNTIL - BEGAN)
    )
    (everything,) = await store.totals(TotalsQuery(BEGAN - _DAY, week.UNTIL + _WEEK, "attempts", ()))
    figures.attempts = everything.total
    for question, query in QUESTIONS.items():
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            totals = await store.totals(query)
            times.append(time.perf_counter() - began)
        figures.answer_ms[question] = min(times) * 1e3
        figures.totals[question] = sum(total.total for total in totals)
    await store.close()
    return figures


async def _write(store: Store, records: Iterator[CallRecord]) -> float:
    """Write records in batches, and return how many a second. Making them is not timed."""
    count, taken_s = 0, 0.0
    while batch := [record for _, record in zip(range(BATCH), records, strict=False)]:
        began = time.perf_counter()
        count += await store.write(Batch(batch))
        taken_s += time.perf_counter() - began
    return count / taken_s


_LATER = (
    "CREATE FUNCTION later(id text, seconds bigint) RETURNS text LANGUAGE sql AS"
    " $$ SELECT lpad(to_hex(('x' || left(id, 8))::bit(32)::bigint + seconds), 8, '0') || substr(id, 9) $$"
)


_LATER_IN_CLICKHOUSE = (
    "CREATE FUNCTION later AS (id, seconds) -> concat(lower(leftPad(hex(toUInt32("
    "reinterpretAsUInt32(reverse(unhex(substring(id, 1, 8)))) + seconds)), 8, '0')), substring(id, 9))"
)
_PARTS = "system.parts WHERE active AND database = currentDatabase()"


async def _copy_in_clickhouse(server: ClickHouseServer, url: str) -> None:
    await server.run(_LATER_IN_CLICKHOUSE, url)
    for name in clickhouse_schema.BY_MONTH:
        await server.run(f"CREATE TABLE first_{name} ENGINE = Memory AS SELECT * FROM {name}", url)  # noqa: S608  # ours
        columns = clickhouse_schema.columns_of(name)
        for copy in range(1, week.COPIES):
            values = ", ".join(column if column == "position" else week.value_of(column, copy) for column in columns)
            await server.run(f"INSERT INTO {name} ({', '.join(columns)}) SELECT {values} FROM first_{name}", url)  # noqa: S608  # ours
        await server.run(f"DROP TABLE first_{name}", url)


async def _copy_in_postgres(server: PostgresServer, url: str) -> None:
    names = ["calls", "attempts", "written_ids", *(table.name for table in rollups.TABLES)]
    tables = [postgres_schema.metadata.tables[name] for name in names]
    connection = await asyncpg.connect(url, password=server.password, server_settings={"synchronous_commit": "off"})
    await connection.execute(_LATER)
    for statement in week.copies(tables, gives_positions=False):
        await connection.execute(statement)
    await connection.execute(f"UPDATE writing SET position = position * {week.COPIES}")  # noqa: S608  # a number
    await connection.execute("DROP FUNCTION later")
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def _text(sqlite: Figures, postgres: Figures, clickhouse: Figures) -> str:
    engines = (sqlite, postgres, clickhouse)
    names = "SQLite | PostgreSQL | ClickHouse"
    lines = [
        (
            f"{sqlite.attempts:,} attempts of {week.DAYS} days over {len(week.TRUNKS)} trunks; half of the calls are"
            f" answered at once and only counted. SQLite holds them in {sqlite.size_gb:.1f} GB, PostgreSQL in"
            f" {postgres.size_gb:.1f} GB, ClickHouse in {clickhouse.size_gb:.2f} GB."
        ),
        "",
        f"| asked; the best of {ROUNDS} times, until the answer is there in Python | {names} |",
        "|---|---|---|---|",
    ]
    lines += (
        f"| {question} | " + " | ".join(f"{each.answer_ms[question]:.0f} ms" for each in engines) + " |"
        for question in QUESTIONS
    )
    lines += ["", f"| {BATCH} calls a transaction, each durable | {names} |", "|---|---|---|---|"]
    lines += (
        f"| {where} | " + " | ".join(f"{each.calls_a_second[where]:,.0f} calls/s" for each in engines) + " |"
        for where in sqlite.calls_a_second
    )
    return "\n".join(lines)

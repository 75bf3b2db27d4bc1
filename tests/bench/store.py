"""A week of five million attempts, in each engine: how fast it is written, and what is asked of it.

Six hours are written by the stores themselves, and timed. Their rows are then copied with other times and ids until the
week is full: what lies in the tables is what the stores would have written. Then more is written, and timed.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
from sqlalchemy import Table

from asterisk_sip.calls.model import Attempt, CallRecord, Outcome, SipStatus, call_id
from asterisk_sip.calls.refusal_record import worded
from asterisk_sip.stores import clickhouse_schema, postgres_schema, rollups, schema
from asterisk_sip.stores.base import Batch, Store, TotalsQuery
from asterisk_sip.stores.clickhouse import ClickHouseStore
from asterisk_sip.stores.postgres import PostgresStore
from asterisk_sip.stores.sqlite import SqliteStore
from tests.call_records import BEGAN, OK, attempt, failed
from tests.clickhouse_server import ClickHouseServer
from tests.clickhouse_server import running as running_clickhouse
from tests.postgres_server import PostgresServer
from tests.postgres_server import running as running_postgres

ATTEMPTS = 5_000_000
BATCH = 500
AFTERWARDS = 20_000
ROUNDS = 9

_DAYS = 7
_WRITTEN_S = 6 * 3600
_COPIES = _DAYS * 86_400 // _WRITTEN_S
_ATTEMPTS_A_CALL = 1.16
_TRUNKS = [f"carrier-{letter}-{place}" for letter in "abcde" for place in ("fra", "ams", "lon", "mad")]
_TRUNK_WEIGHTS = [1 / rank for rank in range(1, len(_TRUNKS) + 1)]
_REFUSALS = {486: 30, 480: 22, 404: 14, 503: 12, 487: 8, 408: 4, 403: 4, 500: 2, 603: 2, 484: 1, 488: 1, 502: 0.5}
_STATUSES: dict[int, SipStatus] = {code: worded(code, None, "As the carrier says.") for code in _REFUSALS}
_A_SECOND = {  # what is shifted with the time of a copy, and by how much a second
    **dict.fromkeys(("at_us", "started_us", "ended_us", "began_us"), 1_000_000.0),
    "minute": 1 / 60,
    "hour": 1 / 3600,
}
_COUNTS = {table.name for table in rollups.TABLES}
UNTIL = BEGAN + timedelta(days=_DAYS)
_DAY, _WEEK = timedelta(days=1), timedelta(days=_DAYS)
_SHORT = timedelta(minutes=7, seconds=13)  # nobody asks on the hour

QUESTIONS = {
    "24 hours by minute and code": TotalsQuery(UNTIL - _DAY - _SHORT, UNTIL - _SHORT, by=("minute", "sip_code")),
    "24 hours of all attempts by minute and disposition": TotalsQuery(
        UNTIL - _DAY - _SHORT, UNTIL - _SHORT, "attempts", ("minute", "disposition")
    ),
    "24 hours of one trunk by minute and code": TotalsQuery(
        UNTIL - _DAY, UNTIL, "attempts", ("minute", "sip_code"), trunk=_TRUNKS[0]
    ),
    "7 days by trunk and code": TotalsQuery(UNTIL - _WEEK + _SHORT, UNTIL - _SHORT, "attempts", ("trunk", "sip_code")),
    "7 days by hour and code": TotalsQuery(UNTIL - _WEEK + _SHORT, UNTIL - _SHORT, by=("hour", "sip_code")),
    "7 days of delays by trunk": TotalsQuery(UNTIL - _WEEK + _SHORT, UNTIL - _SHORT, "attempts", ("trunk", "pdd")),
}


@dataclass(slots=True)
class Figures:
    """What was measured of one engine."""

    attempts: int = 0
    size_gb: float = 0.0
    calls_a_second: dict[str, float] = field(default_factory=dict)
    answer_ms: dict[str, float] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)


def report(folder: Path, attempts: int = ATTEMPTS) -> str:
    """Fill and ask both engines, and return the tables."""
    path = folder / "calls.db"
    sqlite = asyncio.run(_measure(SqliteStore(path), lambda: _copy_in_sqlite(path), attempts))
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


def some_calls(count: int, seconds: float, seed: int) -> Iterator[CallRecord]:
    """Yield calls of a wholesale day, evenly spread over a time: 55 % answered, some at the second trunk only."""
    dice = random.Random(seed)
    codes, weights = list(_REFUSALS), list(_REFUSALS.values())
    for number in range(count):
        at = BEGAN + timedelta(seconds=number * seconds / count, milliseconds=dice.randrange(1000))
        first, second = dice.choices(_TRUNKS, _TRUNK_WEIGHTS, k=2)
        sip = _STATUSES[dice.choices(codes, weights)[0]]
        fate = dice.random()
        pbx = f"pbx-{dice.randrange(2)}"
        linkedid = f"{int(at.timestamp())}.{number}"
        base = replace(failed(number), id=call_id(pbx, linkedid), pbx=pbx, linkedid=linkedid, started_at=at)
        delay_ms = min(60_000, int(dice.lognormvariate(7.3, 0.6)))
        base = replace(base, ended_at=at + timedelta(milliseconds=delay_ms + 400))
        if fate < 0.50:
            talked = timedelta(seconds=dice.expovariate(1 / 120))
            yield _answered(base, at, [_tried(1, first, OK, at, delay_ms)], talked)
        elif fate < 0.55:
            tries = [_tried(1, first, _STATUSES[503], at, None), _tried(2, second, OK, at, delay_ms)]
            yield _answered(base, at, tries, timedelta(seconds=60))
        else:
            tries = [_tried(1, first, sip, at, delay_ms if sip.code in {486, 480, 487} else None)]
            if fate > 0.88:
                tries.append(_tried(2, second, sip, at, None))
            outcome = Outcome.ABANDONED if sip.code == 487 else Outcome.FAILED
            last = tries[-1]
            yield replace(base, outcome=outcome, disposition=last.disposition, sip=sip, attempts=tuple(tries))


def _tried(seq: int, trunk: str, sip: SipStatus, at: datetime, delay_ms: int | None) -> Attempt:
    disposition = (
        "answered" if sip is OK else {486: "busy", 404: "not_found", 487: "cancelled"}.get(sip.code or 0, "congestion")
    )
    return replace(attempt(seq, trunk, sip, disposition, at), pdd_ms=delay_ms)


def _answered(base: CallRecord, at: datetime, tries: list[Attempt], talked: timedelta) -> CallRecord:
    outcome = Outcome.ANSWERED if len(tries) == 1 else Outcome.RESCUED
    answered_at = base.ended_at or at
    return replace(
        base,
        outcome=outcome,
        disposition="answered",
        sip=OK,
        answered_at=answered_at,
        ended_at=answered_at + talked,
        attempts=tuple(replace(each, ended_at=answered_at + talked if each.sip is OK else at) for each in tries),
        hint=None,
    )


async def _measure(store: Store, copy: Callable[[], None], attempts: int) -> Figures:
    figures = Figures()
    calls = round(attempts / _COPIES / _ATTEMPTS_A_CALL)
    await store.open()
    figures.calls_a_second["into an empty store"] = await _write(store, some_calls(calls, _WRITTEN_S, 1))
    await asyncio.to_thread(copy)
    late = some_calls(AFTERWARDS, AFTERWARDS * _WRITTEN_S / calls, 2)
    figures.calls_a_second["into the full one"] = await _write(store, _moved(late, UNTIL - BEGAN))
    scattered = some_calls(AFTERWARDS, AFTERWARDS * 60, 3)
    figures.calls_a_second["into the full one, each call in a minute of its own"] = await _write(
        store, _moved(scattered, UNTIL - BEGAN)
    )
    (everything,) = await store.totals(TotalsQuery(BEGAN - _DAY, UNTIL + _WEEK, "attempts", ()))
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


def _moved(records: Iterator[CallRecord], by: timedelta) -> Iterator[CallRecord]:
    for record in records:
        assert record.started_at is not None
        assert record.ended_at is not None
        answered_at = record.answered_at and record.answered_at + by
        tries = tuple(replace(each, ended_at=each.ended_at and each.ended_at + by) for each in record.attempts)
        times = {"started_at": record.started_at + by, "ended_at": record.ended_at + by, "answered_at": answered_at}
        yield replace(record, id=_later(record.id, by.total_seconds()), attempts=tries, **times)  # type: ignore[arg-type]  # each is a time


def _later(call_id: str, seconds: float) -> str:
    """Return the id of a call like another, so many seconds later: the same hash behind its own second."""
    return f"{int(call_id[:8], 16) + int(seconds):08x}{call_id[8:]}"


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
        for copy in range(1, _COPIES):
            values = ", ".join(column if column == "position" else _value(column, copy) for column in columns)
            await server.run(f"INSERT INTO {name} ({', '.join(columns)}) SELECT {values} FROM first_{name}", url)  # noqa: S608  # ours
        await server.run(f"DROP TABLE first_{name}", url)


def _copies(tables: list[Table], gives_positions: bool) -> Iterator[str]:
    """Yield the statements that copy what was written to the rest of the week."""
    for table in tables:
        yield f"CREATE TEMP TABLE first_{table.name} AS SELECT * FROM {table.name}"  # noqa: S608  # our own names
    for copy in range(1, _COPIES):
        for table in tables:
            columns = [column.name for column in table.columns if column.name != "position" or not gives_positions]
            values = ", ".join(_value(name, copy) for name in columns)
            names = f"{table.name} ({', '.join(columns)})"
            put = f"INSERT INTO {names} SELECT {values} FROM first_{table.name} WHERE true"  # noqa: S608  # our own names
            if table.name in _COUNTS:
                sums = [name for name in columns if name in {"total", "talk_ms"}]
                key = ", ".join(name for name in columns if name not in sums)
                added = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in sums)
                put += f" ON CONFLICT ({key}) DO UPDATE SET {added}"
            yield put


def _value(column: str, copy: int) -> str:
    if column in {"id", "call_id"}:
        return f"later({column}, {copy * _WRITTEN_S})"
    if column == "position":
        return f"position + {copy} * (SELECT position FROM writing)"  # noqa: S608  # a number
    if column in _A_SECOND:
        return f"{column} + {round(copy * _WRITTEN_S * _A_SECOND[column])}"
    return column


def _copy_in_sqlite(path: Path) -> None:
    tables = [schema.calls, schema.attempts, schema.answered_ids, *rollups.TABLES]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        connection.create_function("later", 2, _later, deterministic=True)
        for statement in _copies(tables, gives_positions=True):
            connection.execute(statement)


async def _copy_in_postgres(server: PostgresServer, url: str) -> None:
    names = ["calls", "attempts", "written_ids", *(table.name for table in rollups.TABLES)]
    tables = [postgres_schema.metadata.tables[name] for name in names]
    connection = await asyncpg.connect(url, password=server.password, server_settings={"synchronous_commit": "off"})
    await connection.execute(_LATER)
    for statement in _copies(tables, gives_positions=False):
        await connection.execute(statement)
    await connection.execute(f"UPDATE writing SET position = position * {_COPIES}")  # noqa: S608  # a number
    await connection.execute("DROP FUNCTION later")
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def _text(sqlite: Figures, postgres: Figures, clickhouse: Figures) -> str:
    engines = (sqlite, postgres, clickhouse)
    names = "SQLite | PostgreSQL | ClickHouse"
    lines = [
        (
            f"{sqlite.attempts:,} attempts of {_DAYS} days over {len(_TRUNKS)} trunks; half of the calls are answered"
            f" at once and only counted. SQLite holds them in {sqlite.size_gb:.1f} GB, PostgreSQL in"
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

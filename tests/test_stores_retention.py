"""What is too old or too much is forgotten, and writers do not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.config import Config, load
from asterisk_sip.config_keeping import RetentionConfig
from asterisk_sip.daemon_keeping import Keeping, kept
from asterisk_sip.stores import sqlite_sweep
from asterisk_sip.stores.base import Batch, CallQuery, Gap, OpenCall, Store, TotalsQuery, microseconds
from asterisk_sip.stores.retention import Bounds
from asterisk_sip.stores.sqlite import SqliteStore
from tests.call_records import BEGAN, answered, failed, rescued
from tests.postgres_server import PostgresServer
from tests.store_engines import Engine, PostgresEngine

DAY = timedelta(days=1)
NOW = BEGAN + 100 * DAY
LONG = timedelta(days=10_000)


def aged(record: CallRecord, days: float) -> CallRecord:
    """The record, but so many days later."""
    assert record.ended_at is not None
    return replace(record, ended_at=record.ended_at + days * DAY)


def bounds(**days: float) -> Bounds:
    """Bounds so many days after BEGAN."""
    return Bounds(microseconds(NOW), **{name: microseconds(BEGAN + count * DAY) for name, count in days.items()})


async def stored(store: Store) -> set[str]:
    return {record.id for record in await store.calls(CallQuery(limit=100_000))}


async def test_old_calls_go_with_their_attempts_and_their_totals_stay(engine: Engine, store: Store) -> None:
    records = [failed(1), aged(failed(2), 20), aged(failed(3), 45), aged(failed(4), 90)]
    await store.write(Batch(records))
    swept = await store.sweep(bounds(calls=40))
    assert swept.calls == 2
    assert await stored(store) == {records[2].id, records[3].id}
    assert len(await engine.run("SELECT * FROM attempts")) == 2
    assert sum(total.total for total in await store.totals(TotalsQuery(BEGAN - LONG, BEGAN + LONG))) == 4
    assert (await store.sweep(bounds(calls=40))).told() == {}


async def test_what_was_forgotten_does_not_come_back_nor_count_twice(store: Store) -> None:
    records = [failed(1), answered(2), aged(failed(3), 90)]
    await store.write(Batch(records))
    await store.sweep(bounds(calls=40, ids=-1))
    assert await store.write(Batch(records)) == 0
    assert await stored(store) == {records[2].id}


async def test_ids_are_forgotten_after_their_time_but_not_those_of_calls_that_are_kept(
    engine: Engine, store: Store
) -> None:
    await store.write(Batch([answered(1), failed(2), aged(answered(3), 90)]))
    swept = await store.sweep(bounds(ids=40))
    assert swept.ids == (0 if engine.ids_go_with_counts else 1)
    assert await store.write(Batch([failed(2), aged(answered(3), 90)])) == 0
    assert await stored(store) == {failed(2).id}


async def test_totals_and_gaps_have_times_of_their_own(engine: Engine, store: Store) -> None:
    later = aged(failed(2), 50)
    later = replace(later, attempts=(replace(later.attempts[0], ended_at=later.ended_at),))
    old = Gap("old", "pbx", "ami", BEGAN, BEGAN + DAY, "refused")
    lasting = Gap("lasting", "pbx", "ami", BEGAN, None, "refused")
    await store.write(Batch([failed(1), later], gaps=[old, lasting]))
    swept = await store.sweep(bounds(totals=40, gaps=40))
    assert (swept.gaps, swept.calls) == (1, 0)
    assert await store.gaps(BEGAN - LONG, BEGAN + LONG) == [lasting]
    totals = await store.totals(TotalsQuery(BEGAN - LONG, BEGAN + LONG))
    assert sum(total.total for total in totals) == 1
    for table in ("totals", "minute_totals", "hour_totals"):
        rows = await engine.run(f"SELECT counted, sum(total) AS total FROM {table} GROUP BY counted ORDER BY counted")  # noqa: S608  # tables of ours
        assert [(row["counted"], row["total"]) for row in rows] == [("attempts", 1), ("calls", 1)], table
    for table in ("minute_pdd", "hour_pdd"):
        assert [row["total"] for row in await engine.run(f"SELECT sum(total) AS total FROM {table}")] == [1], table  # noqa: S608  a name of ours


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> PostgresEngine:
    return PostgresEngine(postgres_server)


@pytest.mark.postgres
async def test_months_that_are_over_are_dropped_whole(postgres: PostgresEngine) -> None:
    engine = postgres
    store, other = engine.store(), engine.store()
    for each in (store, other):
        await each.open()
    await store.write(Batch([aged(failed(1), 0), aged(failed(2), 40), aged(failed(3), 42)]))
    await other.write(Batch([aged(failed(4), 0)]))
    assert (await store.sweep(bounds(calls=41))).calls == 3
    names = {row["relname"] for row in await engine.run("SELECT relname FROM pg_class WHERE relname LIKE 'calls_20%'")}
    assert not any("2026_11" in name for name in names)
    for each in (store, other):  # one is written to again: the month comes back
        assert await each.write(Batch([aged(failed(5 if each is store else 6), 1)])) == 1
        await each.close()


class TestInAFile:
    @pytest_asyncio.fixture
    async def file(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        store = SqliteStore(tmp_path / "calls.db", delivers=True)
        await store.open()
        yield store
        await store.close()

    async def test_writers_get_their_turn_between_the_steps(
        self, file: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_sweep, "SLICE", 50)
        steps = 0

        def counted(*arguments: object) -> int:
            nonlocal steps
            steps += 1
            return forget(*arguments)  # type: ignore[arg-type]  # whatever it takes

        forget = sqlite_sweep.forget_calls
        monkeypatch.setattr(sqlite_sweep, "forget_calls", counted)
        await file.write(Batch([failed(number) for number in range(2_000)]))
        sweeping = asyncio.create_task(file.sweep(bounds(calls=50)))
        written = 0
        while not sweeping.done():
            await file.write(Batch([aged(failed(10_000 + written), 90)]))
            written += 1
        assert (await sweeping).calls == 2_000
        assert steps >= 40
        assert written >= steps / 2

    async def test_the_file_stays_within_its_size_and_the_newest_calls_are_there(
        self, file: SqliteStore, tmp_path: Path
    ) -> None:
        allowed = 4 << 20
        for begin in range(0, 3_000, 500):
            await file.write(Batch([failed(number) for number in range(begin, begin + 500)]))
            await file.trim(1 << 40)
        assert (tmp_path / "calls.db").stat().st_size > allowed
        swept = await file.sweep(replace(bounds(), size_bytes=allowed))
        assert 0 < swept.calls < 3_000
        assert swept.undelivered == swept.over_bytes == 0
        kept = await stored(file)
        assert kept == {failed(number).id for number in range(3_000 - len(kept), 3_000)}
        await file.close()
        assert (tmp_path / "calls.db").stat().st_size <= allowed

    async def test_what_no_sink_has_taken_goes_too_when_it_is_older_and_is_counted(self, file: SqliteStore) -> None:
        await file.cursor("dead")
        await file.write(Batch([answered(number) for number in range(1_500)]))
        await file.write(Batch([aged(failed(number), 1) for number in range(5_000, 5_100)]))
        swept = await file.sweep(replace(bounds(), size_bytes=1 << 20))
        assert swept.undelivered >= 100
        assert len(await stored(file)) == 100

    async def test_calls_not_delivered_are_counted_and_passed_over_by_the_sinks(self, file: SqliteStore) -> None:
        await file.write(Batch([failed(1), answered(2), aged(failed(3), 90)]))
        swept = await file.sweep(bounds(calls=40))
        assert (swept.calls, swept.undelivered) == (1, 1)
        assert [bool(each.text) for each in await file.deliveries(0, 10)] == [False, True, True]
        assert (await file.sweep(bounds(calls=40))).undelivered == 0

    async def test_ids_near_a_time_not_yet_read_in_asterisks_log_stay(self, file: SqliteStore) -> None:
        lasting = Gap("lasting", "pbx", "ami", BEGAN + 10 * DAY, None, "refused")
        await file.write(Batch([answered(1), aged(answered(2), 20), rescued(3)], gaps=[lasting]))
        assert (await file.sweep(bounds(ids=40))).ids == 1
        await file.write(Batch(gaps=[replace(lasting, ended_at=NOW - 2 * DAY)]))
        assert (await file.sweep(bounds(ids=40))).ids == 1

    async def test_what_is_left_of_calls_in_flight_goes(self, file: SqliteStore) -> None:
        await file.write(Batch(open_calls=[OpenCall("gone", "1", BEGAN, "{}"), OpenCall("pbx", "2", NOW, "{}")]))
        assert (await file.sweep(bounds(calls=40))).open_calls == 1
        assert await file.open_calls("gone") == []

    async def test_a_run_is_told_once_and_counted(self, file: SqliteStore) -> None:
        await file.write(Batch([failed(1), failed(2)]))
        await file.trim(1 << 40)
        keeping = Keeping(RetentionConfig(max_age_days=40), file, clock=NOW.timestamp)
        with capture_logs() as told:
            await keeping.once()
            await keeping.once()
        assert [(line["event"], line["calls"]) for line in told] == [("old records forgotten", 2)]
        assert keeping.total.calls == 2

    async def test_a_store_that_cannot_be_swept_is_told_once(self, file: SqliteStore) -> None:
        await file.close()
        keeping = Keeping(RetentionConfig(max_age_days=40), file, clock=NOW.timestamp)
        with capture_logs() as told:
            await keeping.once()
            await keeping.once()
        assert [line["event"] for line in told] == ["old records stay for now"]


async def test_a_fault_that_ends_the_sweeping_is_told_at_once_and_not_at_the_end_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def broken(_keeping: Keeping) -> None:
        begun.set()
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Keeping, "once", broken)
    config = configuration(tmp_path)
    with capture_logs() as logs:
        async with kept(config, SqliteStore(config.store.path)):
            async with asyncio.timeout(30):
                await begun.wait()
            await asyncio.sleep(0)
            assert [(line["event"], line["part"]) for line in logs] == [
                ("ended by a fault, and not done until a restart", "retention")
            ]


def configuration(folder: Path) -> Config:
    path = folder / "my.toml"
    path.write_text('[[pbx]]\nname = "a"\n[pbx.ami]\n')
    return load(path, {"ASTERISK_SIP_AMI_SECRET": "not to be told"})

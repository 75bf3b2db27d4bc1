"""ClickHouse itself: rows that stand twice, months, a server that goes away, and clear words for what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.config_keeping import RetentionConfig
from asterisk_sip.daemon_keeping import Keeping
from asterisk_sip.errors import StoreError, TookTooLongError
from asterisk_sip.stores import clickhouse_schema, schema
from asterisk_sip.stores.base import Batch, CallQuery, Gap, MissingStoreError, TotalsQuery, microseconds
from asterisk_sip.stores.clickhouse import ClickHouseStore
from asterisk_sip.stores.clickhouse_sql import literal
from asterisk_sip.stores.erasure import Stored
from asterisk_sip.stores.retention import Bounds
from asterisk_sip.web.app import application
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import Shelf

from .call_records import BEGAN, answered, failed, rescued
from .clickhouse_server import ClickHouseServer, running
from .store_engines import ClickHouseEngine

pytestmark = pytest.mark.clickhouse

HIDDEN = "hunter2-must-never-show"
EVERYTHING = CallQuery(limit=1_000_000)
ALWAYS = TotalsQuery(BEGAN - timedelta(days=1), BEGAN + timedelta(days=1), by=())


@pytest.fixture
def engine(clickhouse_server: ClickHouseServer) -> ClickHouseEngine:
    return ClickHouseEngine(clickhouse_server)


@pytest.fixture
def password(clickhouse_server: ClickHouseServer) -> str:
    return clickhouse_server.password


@asynccontextmanager
async def opened(url: str, password: str | None, *, readonly: bool = False) -> AsyncIterator[ClickHouseStore]:
    store = ClickHouseStore(url, password, readonly=readonly)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


async def total(store: ClickHouseStore, query: TotalsQuery = ALWAYS) -> int:
    return sum(each.total for each in await store.totals(query))


class TestRowsThatStandTwice:
    async def test_what_two_programs_wrote_at_the_same_moment_is_there_and_counts_once(
        self, engine: ClickHouseEngine, password: str
    ) -> None:
        async with opened(engine.url, password) as store:
            await store.write(Batch([failed(1), rescued(2), answered(3)]))
            before = await store.totals(replace(ALWAYS, by=("minute", "trunk", "disposition")))
            for table in clickhouse_schema.BY_MONTH:
                await engine.run(f"SYSTEM STOP MERGES {table}")
                await engine.run(f"INSERT INTO {table} SELECT * FROM {table}")  # noqa: S608  # tables of ours
            assert len(await engine.run("SELECT * FROM calls")) == 4
            assert await store.calls(EVERYTHING) == [rescued(2), failed(1)]
            assert len(await store.after(0, 100)) == 2
            assert await store.totals(replace(ALWAYS, by=("minute", "trunk", "disposition"))) == before
            attempts = TotalsQuery(ALWAYS.since, ALWAYS.until, "attempts", ("hour", "trunk", "pdd"))
            assert sum(each.total for each in await store.totals(attempts)) == 4

    async def test_a_batch_that_failed_in_the_middle_is_whole_when_it_is_written_again(
        self, engine: ClickHouseEngine, password: str
    ) -> None:
        batch = Batch([failed(1), rescued(2), answered(3)], gaps=[Gap("g", "pbx", "ami", BEGAN, None, "refused")])
        async with opened(engine.url, password) as store:
            for table in ("attempts", "calls", "counted", "writing"):
                await engine.run(f"ALTER TABLE {table} ADD CONSTRAINT no_room CHECK 0")
                with pytest.raises(StoreError, match="no_room"):
                    await store.write(batch)
                await engine.run(f"ALTER TABLE {table} DROP CONSTRAINT no_room")
            assert await store.write(batch) == 0  # all but the last position was there
            assert await store.calls(EVERYTHING) == [rescued(2), failed(1)]
            assert await total(store) == 3
            assert len(await engine.run("SELECT * FROM attempts FINAL")) == 3
            await store.write(Batch([failed(9)]))
            assert [record for _, record in await store.after(0, 10)] == [failed(1), rescued(2), failed(9)]
            assert await store.last_position() == (await store.after(0, 10))[-1][0]

    async def test_a_gap_that_ended_and_was_forgotten_does_not_last_again(
        self, engine: ClickHouseEngine, password: str
    ) -> None:
        lasting = Gap("g", "pbx", "ami", BEGAN, None, "refused")
        async with opened(engine.url, password) as store:
            await engine.run("SYSTEM STOP MERGES gaps")
            await store.write(Batch(gaps=[lasting]))
            await store.write(Batch(gaps=[replace(lasting, ended_at=BEGAN + timedelta(minutes=1))]))
            await engine.run("SYSTEM START MERGES gaps")  # a delete waits for that
            swept = await store.sweep(Bounds(0, gaps=microseconds(BEGAN + timedelta(days=1))))
            assert swept.gaps == 1
            assert await store.gaps(BEGAN - timedelta(days=1), BEGAN + timedelta(days=1)) == []

    async def test_erased_calls_do_not_come_back_and_stay_counted(
        self, engine: ClickHouseEngine, password: str
    ) -> None:
        async with opened(engine.url, password) as store:
            await store.write(Batch([failed(1), rescued(2)]))
            gone: list[Stored] = [each for each in await store.texts(0, 10) if each.id == rescued(2).id]
            assert await store.erase(gone) == 1
            assert await store.erase(gone) == 0
            assert await store.erase([]) == 0
            assert await store.write(Batch([failed(1), rescued(2)])) == 0
            assert await store.calls(EVERYTHING) == [failed(1)]
            assert len(await engine.run("SELECT * FROM attempts")) == 1
            assert await total(store) == 2


class TestMonths:
    @pytest.mark.parametrize(
        ("at", "month"),
        [
            (datetime(1970, 1, 1, tzinfo=UTC), "200001"),
            (datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC), "202612"),
            (datetime(2027, 1, 1, tzinfo=UTC), "202701"),
            (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), "209912"),
        ],
    )
    async def test_every_time_has_one(self, engine: ClickHouseEngine, password: str, at: datetime, month: str) -> None:
        record = replace(failed(1), ended_at=at)
        async with opened(engine.url, password) as store:
            assert await store.write(Batch([record])) == 1
            assert await store.calls(EVERYTHING) == [record]
        rows = await engine.run("SELECT DISTINCT partition FROM system.parts WHERE active AND table = 'calls'")
        assert month in {row["partition"] for row in rows}

    async def test_a_batch_may_hold_calls_of_any_number_of_months(
        self, engine: ClickHouseEngine, password: str
    ) -> None:
        records = [replace(failed(number), ended_at=BEGAN + number * timedelta(days=31)) for number in range(150)]
        async with opened(engine.url, password) as store:
            assert await store.write(Batch(records)) == 150
            assert len(await store.calls(EVERYTHING)) == 150

    async def test_months_that_are_over_are_dropped_whole(self, engine: ClickHouseEngine, password: str) -> None:
        records = [replace(failed(number), ended_at=BEGAN + timedelta(days=20 * number)) for number in range(4)]
        async with opened(engine.url, password) as store:
            await store.write(Batch(records))
            bound = microseconds(datetime(2026, 12, 2, tzinfo=UTC))
            assert (await store.sweep(Bounds(bound, calls=bound))).calls == 2
            assert await store.calls(EVERYTHING) == records[:1:-1]
            rows = await engine.run(
                "SELECT DISTINCT partition, table FROM system.parts"
                " WHERE active AND database = currentDatabase() AND table IN ('calls', 'attempts')"
            )
            assert "202611" not in {row["partition"] for row in rows}
            assert await total(store, replace(ALWAYS, until=BEGAN + timedelta(days=100))) == 4

    async def test_the_server_forgets_by_itself_what_no_program_came_to_forget(
        self, engine: ClickHouseEngine, password: str
    ) -> None:
        now = datetime.now(UTC)
        old, new = (replace(failed(number), ended_at=now - timedelta(days=days)) for number, days in ((1, 50), (2, 3)))
        async with opened(engine.url, password) as store:
            await Keeping(RetentionConfig(max_age_days=30), store).once()
            await store.write(Batch([old, new]))
            for table in ("calls", "attempts"):
                await engine.run(f"OPTIMIZE TABLE {table} FINAL")
            assert await store.calls(EVERYTHING) == [new]
            await Keeping(RetentionConfig(), store).once()
            (row,) = await engine.run(
                "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'calls'"
            )
            assert " TTL " not in row["engine_full"]


class TestSeveralPrograms:
    async def test_what_each_writes_is_there_once(self, engine: ClickHouseEngine, password: str) -> None:
        async with opened(engine.url, password) as one, opened(engine.url, password) as other:

            async def write(store: ClickHouseStore, numbers: range) -> None:
                for number in numbers:
                    await store.write(Batch([failed(number), failed(number + 1), answered(1_000 + number)]))

            await asyncio.gather(write(one, range(10)), write(other, range(5, 15)))
            assert {record.id for record in await one.calls(EVERYTHING)} == {failed(number).id for number in range(16)}
            assert len(await one.after(0, 1_000)) == 16
            assert await total(other) == 16 + 15

    async def test_several_may_begin_the_same_database_at_once(self, engine: ClickHouseEngine, password: str) -> None:
        stores = [ClickHouseStore(engine.url, password) for _ in range(4)]
        await asyncio.gather(*(store.open() for store in stores))
        await stores[0].write(Batch([failed(1)]))
        for store in stores:
            assert await store.calls(EVERYTHING) == [failed(1)]
            await store.close()


class TestAServerThatGoesAway:
    def test_what_was_written_is_kept_and_writing_goes_on(self) -> None:
        with running() as server:
            asyncio.run(self.outlives(server))

    async def outlives(self, server: ClickHouseServer) -> None:
        url = await server.database()
        async with opened(url, server.password) as store:
            await store.write(Batch([failed(1)]))
            await asyncio.to_thread(server.kill)
            batch = Batch([failed(2)])
            for _ in range(2):
                with pytest.raises(StoreError, match=r"clickhouse://127\.0\.0\.1:[0-9]+/"):
                    await store.write(batch)
            with pytest.raises(StoreError, match="nobody listens there"):
                await store.calls(EVERYTHING)
            await asyncio.to_thread(server.start)
            assert await store.write(batch) == 1
            assert await store.calls(EVERYTHING) == [failed(2), failed(1)]


class TestWhatIsWrong:
    async def refused(self, url: str, password: str | None, *, readonly: bool = False) -> str:
        with pytest.raises(StoreError) as caught:
            async with opened(url, password, readonly=readonly):
                pass
        assert HIDDEN not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
        return str(caught.value).removeprefix(url.replace("asterisk_sip@", "") + ": ")

    async def test_what_an_operator_can_get_wrong(self, engine: ClickHouseEngine, password: str) -> None:
        server = engine.url.rpartition("/")[0]
        assert await self.refused(engine.url, HIDDEN) == "it refuses the user or the password"
        assert await self.refused(f"{server}/none", password) == "it has no database of that name"
        closed = "clickhouse://asterisk_sip@127.0.0.1:1/calls"
        assert "nobody listens there: is ClickHouse running" in await self.refused(closed, password)
        nowhere = "clickhouse://asterisk_sip@none.invalid/calls"
        assert await self.refused(nowhere, password) == "there is no host of that name"

    async def test_nothing_written_yet(self, engine: ClickHouseEngine, password: str) -> None:
        with pytest.raises(MissingStoreError, match="nothing has been written"):
            async with opened(engine.url, password, readonly=True):
                pass

    async def test_readonly_writes_nothing(self, engine: ClickHouseEngine, password: str) -> None:
        async with opened(engine.url, password):
            pass
        async with opened(engine.url, password, readonly=True) as store:
            with pytest.raises(StoreError, match="not open for writing"):
                await store.write(Batch([failed(1)]))

    async def test_the_database_of_another_program(self, engine: ClickHouseEngine, password: str) -> None:
        await engine.run("CREATE TABLE calls (id Int64) ENGINE = MergeTree ORDER BY id")
        for readonly in (False, True):
            assert "the database of another program" in await self.refused(engine.url, password, readonly=readonly)

    async def test_a_newer_schema(self, engine: ClickHouseEngine, password: str) -> None:
        async with opened(engine.url, password):
            pass
        await engine.run("TRUNCATE TABLE alembic_version")
        await engine.run("INSERT INTO alembic_version VALUES ('9999')")
        for readonly in (False, True):
            told = await self.refused(engine.url, password, readonly=readonly)
            assert "newer asterisk-sip (its schema is 9999" in told

    async def test_who_was_stopped_while_making_the_tables_is_followed_by_who_makes_the_rest(
        self, engine: ClickHouseEngine, password: str
    ) -> None:
        for statement in list(clickhouse_schema.statements())[:4]:
            await engine.run(statement)
        async with opened(engine.url, password) as store:
            assert await store.write(Batch([failed(1)])) == 1
            assert await total(store) == 1

    @pytest.mark.parametrize(("version", "fits"), [("18.16.1", False), ("24.7.9.1", False), ("24.8.1", True)])
    def test_a_server_that_is_too_old_is_refused(self, version: str, *, fits: bool) -> None:
        if fits:
            assert not clickhouse_schema.check(version, set(), None, "there")
        else:
            with pytest.raises(StoreError, match=re.escape(f"this is ClickHouse {version}; it must be 24.8 or newer")):
                clickhouse_schema.check(version, set(), None, "there")


def test_it_began_with_the_second_schema_and_a_fourth_one_needs_a_way_from_there() -> None:
    known = ("0001", "0002", "0003")  # the third is an index of SQLite's
    assert known == schema.REVISIONS, "ClickHouse's tables are not migrated by alembic: clickhouse_schema"


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_a_literal_is_exactly_the_text(clickhouse_server: ClickHouseServer, text: str) -> None:
    (row,) = asyncio.run(clickhouse_server.run(f"SELECT {literal(text)} AS said", clickhouse_server.url()))
    assert row["said"] == text


async def test_the_pages_and_the_api_answer_from_it(engine: ClickHouseEngine, password: str) -> None:
    async with opened(engine.url, password) as store:
        await store.write(Batch([replace(failed(1), ended_at=datetime.now(UTC)), answered(2)]))
    shelf = Shelf(lambda: ClickHouseStore(engine.url, password, readonly=True), ("pbx",))
    runner = await listen(application(shelf), "127.0.0.1", 0)
    asked = ["/", "/failures?trunk=carrier-*", f"/calls/{failed(1).id}", "/live", "/codes", "/status", "/metrics"]
    asked += [f"/api/v1/{what}" for what in ("calls?attempt_code=503", "attempts", "kpi", "gaps", "health")]
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
            for path in asked:
                async with session.get(path) as answer:
                    text = await answer.text()
                    assert answer.status == 200, (path, text)
                    if "calls" in path:
                        assert failed(1).id in text
    finally:
        await runner.cleanup()
        await shelf.close()


async def test_the_records_are_read_from_where_the_configuration_says(
    engine: ClickHouseEngine, password: str, tmp_path: Path
) -> None:
    config = tmp_path / "asterisk-sip.toml"
    config.write_text(f'[[pbx]]\nname = "pbx"\n[store]\nurl = "{engine.url}"\n')
    environ = os.environ | {"ASTERISK_SIP_STORE_PASSWORD": password}

    async def told(*arguments: str) -> str:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "asterisk_sip", *arguments, "--config", str(config)),
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await program.communicate()
        assert program.returncode == 0, err.decode()
        return out.decode()

    records: list[CallRecord] = [failed(1), rescued(2)]
    async with opened(engine.url, password) as store:
        await store.write(Batch([*records, answered(3)]))
    assert [json.loads(line)["id"] for line in (await told("calls", "--format", "json")).splitlines()] == [
        record.id for record in reversed(records)
    ]
    exported = tmp_path / "calls.jsonl"
    await told("export", "--out", str(exported), "--format", "jsonl")
    assert [json.loads(line)["id"] for line in exported.read_text().splitlines()] == [record.id for record in records]
    report = await told("purge", "--number", "+4930123456", "--region", "DE", "--yes")
    assert "2 calls erased" in report
    assert "until their parts are merged" in report
    assert await told("calls", "--format", "json") == ""


async def test_a_question_that_takes_too_long_is_given_up_and_the_next_is_answered(
    engine: ClickHouseEngine, password: str
) -> None:
    async with opened(engine.url, password) as store:
        await store.write(Batch([failed(1)]))
    hasty = ClickHouseStore(engine.url, password, readonly=True, patience_s=2)
    await hasty.open()
    with pytest.raises(TookTooLongError, match="it gave up"):
        await hasty._rows("SELECT count() FROM numbers(1000000000000000) WHERE cityHash64(number) = 1")
    assert await hasty.calls(CallQuery()) == [failed(1)]
    await hasty.close()

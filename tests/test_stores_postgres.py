"""PostgreSQL itself: its partitions, several writers, a server that goes away, and clear words for what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.errors import StoreError, TookTooLongError
from asterisk_sip.stores.base import Batch, CallQuery, MissingStoreError, OpenCall
from asterisk_sip.stores.postgres import PostgresStore
from asterisk_sip.stores.postgres_schema import month_of

from .call_records import BEGAN, abandoned, answered, batches, failed
from .postgres_server import PostgresServer, running
from .store_engines import PostgresEngine

pytestmark = pytest.mark.postgres

HIDDEN = "hunter2-must-never-show"
EVERYTHING = CallQuery(limit=1_000_000)


@pytest.fixture
def engine(postgres_server: PostgresServer) -> PostgresEngine:
    return PostgresEngine(postgres_server)


@asynccontextmanager
async def opened(url: str, password: str | None, *, readonly: bool = False) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, password, readonly=readonly)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


def ended(record: CallRecord, at: datetime) -> CallRecord:
    return replace(record, ended_at=at)


class TestPartitions:
    async def test_each_month_has_its_own_and_may_be_dropped(
        self, engine: PostgresEngine, postgres_server: PostgresServer
    ) -> None:
        last, first = datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC), datetime(2027, 1, 1, tzinfo=UTC)
        old, new = ended(failed(1), last), ended(failed(2), first)
        async with opened(engine.url, postgres_server.password) as store:
            await store.write(Batch([old, new]))
            for month, record in (("2026_12", old), ("2027_01", new)):
                (row,) = await engine.run(f"SELECT id FROM calls_{month}")  # noqa: S608 - our own
                assert row["id"] == record.id
                assert len(await engine.run(f"SELECT * FROM attempts_{month}")) == len(record.attempts)  # noqa: S608  a name of ours
            await engine.run("DROP TABLE attempts_2026_12")
            await engine.run("ALTER TABLE calls DETACH PARTITION calls_2026_12")
            assert await store.calls(EVERYTHING) == [new]
            again = ended(failed(3), last)
            with pytest.raises(StoreError):
                await store.write(Batch([again]))
            await engine.run("DROP TABLE calls_2026_12")
            assert await store.write(Batch([again, old])) == 1  # what was dropped does not come again
            assert await store.calls(EVERYTHING) == [new, again]

    @pytest.mark.parametrize(
        ("at", "month"),
        [
            (datetime(1970, 1, 1, tzinfo=UTC), "before"),
            (datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC), "before"),
            (datetime(2000, 1, 1, tzinfo=UTC), "2000_01"),
            (datetime(2099, 12, 31, 23, 59, 59, 999_999, UTC), "2099_12"),
            (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), "after"),
        ],
    )
    async def test_every_time_has_one(
        self, engine: PostgresEngine, postgres_server: PostgresServer, at: datetime, month: str
    ) -> None:
        async with opened(engine.url, postgres_server.password) as store:
            assert await store.write(Batch([ended(failed(1), at)])) == 1
            assert await store.calls(EVERYTHING) == [ended(failed(1), at)]
        (row,) = await engine.run("SELECT tableoid::regclass::text AS name FROM calls")
        assert row["name"] == f"calls_{month}"

    def test_a_month_is_that_of_greenwich(self) -> None:
        at = datetime(2026, 12, 1, 0, 30, tzinfo=UTC).astimezone()
        assert month_of(int(at.timestamp()) * 1_000_000) == "2026_12"


class TestSeveralPrograms:
    async def test_two_that_write_lose_nothing_and_leave_no_hole_for_who_follows(
        self, engine: PostgresEngine, postgres_server: PostgresServer
    ) -> None:
        password = postgres_server.password
        async with (
            opened(engine.url, password) as one,
            opened(engine.url, password) as other,
            opened(engine.url, password, readonly=True) as reader,
        ):
            done = asyncio.Event()

            async def write(store: PostgresStore, numbers: range) -> int:
                new = 0
                for number in numbers:
                    new += await store.write(Batch([failed(number), failed(number + 1), answered(1_000 + number)]))
                return new

            async def follow() -> list[str]:
                seen: list[str] = []
                position = 0
                while True:
                    last = done.is_set()
                    page = await reader.after(position, 7)
                    seen += [record.id for _, record in page]
                    position = page[-1][0] if page else position
                    if last and position == await reader.last_position():
                        return seen

            following = asyncio.create_task(follow())
            new = await asyncio.gather(write(one, range(60)), write(other, range(30, 90)))
            done.set()
            seen = await following
        expected = {failed(number).id for number in range(91)}
        assert set(seen) == expected
        assert len(seen) == len(expected)
        assert sum(new) == len(expected) + 90

    async def test_two_may_begin_the_same_database_at_once(
        self, engine: PostgresEngine, postgres_server: PostgresServer
    ) -> None:
        stores = [PostgresStore(engine.url, postgres_server.password) for _ in range(4)]
        await asyncio.gather(*(store.open() for store in stores))
        assert sorted(await asyncio.gather(*(store.write(Batch([failed(1)])) for store in stores))) == [0, 0, 0, 1]
        for store in stores:
            await store.close()


SIZE = 50
WRITER = f"""
import asyncio, os, sys
from asterisk_sip.stores.postgres import PostgresStore
from tests.call_records import batches

async def main():
    store = PostgresStore(sys.argv[1], os.environ["PASSWORD"])
    await store.open()
    for batch in batches(100_000, {SIZE}):
        await store.write(batch)
        print("written", flush=True)

asyncio.run(main())
"""


class TestAProgramThatIsKilled:
    async def test_every_announced_batch_is_there_and_no_half_one_and_the_next_goes_on(
        self, engine: PostgresEngine, postgres_server: PostgresServer
    ) -> None:
        announced = 0
        for rounds in range(1, 4):
            environ = os.environ | {"PASSWORD": postgres_server.password}
            writer = await asyncio.create_subprocess_exec(
                sys.executable, "-c", WRITER, engine.url, env=environ, stdout=subprocess.PIPE
            )
            assert writer.stdout is not None
            for _ in range(announced + rounds):  # what is there already is passed over, and announced as well
                assert await writer.stdout.readline() == b"written\n"
            writer.kill()
            await writer.communicate()
            announced += rounds
            async with opened(engine.url, postgres_server.password) as store:
                await store.write(Batch())  # takes its turn behind what the server still has to end
                ids = {record.id for record in await store.calls(EVERYTHING)}
                in_flight = await store.open_calls("pbx")
            assert len(ids) >= announced * SIZE
            expected = [record for batch in batches(len(ids) // SIZE, SIZE) for record in batch.records]
            assert ids == {record.id for record in expected}
            assert {call.linkedid for call in in_flight} == {record.linkedid for record in expected}
            (row,) = await engine.run("SELECT sum(total) AS total FROM totals WHERE counted = 'calls'")
            assert row["total"] == len(ids)


class TestAServerThatGoesAway:
    def test_what_was_written_is_kept_and_writing_goes_on(self) -> None:
        with running() as server:
            asyncio.run(self.outlives(server))

    async def outlives(self, server: PostgresServer) -> None:
        url = await server.database()
        async with opened(url, server.password) as store:
            await store.write(Batch([failed(1)], [OpenCall("pbx", "1", BEGAN, "{}")]))
            await asyncio.to_thread(server.kill)
            batch = Batch([failed(2)])
            for _ in range(2):
                with pytest.raises(StoreError, match=r"postgresql://127\.0\.0\.1:[0-9]+/"):
                    await store.write(batch)
            with pytest.raises(StoreError, match="nobody listens there"):
                await store.calls(EVERYTHING)
            await asyncio.to_thread(server.start)
            assert await store.write(batch) == 1
            assert await store.calls(EVERYTHING) == [failed(2), failed(1)]
            assert await store.open_calls("pbx") == [OpenCall("pbx", "1", BEGAN, "{}")]

    async def test_of_several_hosts_the_one_that_answers_is_taken(
        self, engine: PostgresEngine, postgres_server: PostgresServer
    ) -> None:
        url = engine.url.replace("@", "@127.0.0.1:1,")
        async with opened(url, postgres_server.password) as store:
            assert await store.write(Batch([failed(1)])) == 1
            assert await store.calls(EVERYTHING) == [failed(1)]
            assert ",127.0.0.1" in store.place


class TestDurable:
    async def test_a_commit_waits_for_the_disk_whatever_the_database_says(
        self, engine: PostgresEngine, postgres_server: PostgresServer
    ) -> None:
        name = engine.url.rpartition("/")[2]
        await engine.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
        await engine.run(f"ALTER DATABASE {name} SET default_transaction_isolation = serializable")
        expected = {"synchronous_commit": "on", "transaction_isolation": "read committed"}
        async with (
            opened(engine.url, postgres_server.password) as store,
            store._write_engine.connect() as connection,
        ):
            shown = {key: (await connection.exec_driver_sql(f"SHOW {key}")).scalar() for key in expected}
        assert shown == expected


class TestWhatIsWrong:
    async def refused(self, url: str, password: str | None, *, readonly: bool = False) -> str:
        with pytest.raises(StoreError) as caught:
            async with opened(url, password, readonly=readonly):
                pass
        assert HIDDEN not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
        return str(caught.value).removeprefix(url.replace("asterisk_sip@", "") + ": ")

    async def test_what_an_operator_can_get_wrong(
        self, engine: PostgresEngine, postgres_server: PostgresServer
    ) -> None:
        right = postgres_server.password
        url, server = engine.url, engine.url.rpartition("/")[0]
        assert (
            await self.refused(url, HIDDEN)
            == "it refuses the user or the password: see pg_hba.conf and the server's log"
        )
        assert await self.refused(f"{server}/none", right) == "it has no database of that name"
        closed = f"postgresql://asterisk_sip@127.0.0.1:1/{server[-5:]}"
        assert await self.refused(closed, right) == "nobody listens there: is PostgreSQL running?"
        nowhere = "postgresql://asterisk_sip@none.invalid/calls"
        assert await self.refused(nowhere, right) == "there is no host of that name"

    async def test_a_user_who_may_not(self, engine: PostgresEngine) -> None:
        await engine.run(f"CREATE ROLE guest LOGIN PASSWORD '{HIDDEN}'")
        url = engine.url.replace("asterisk_sip@", "guest@")
        assert "the user may not do that" in await self.refused(url, HIDDEN)
        await engine.run("DROP ROLE guest")

    async def test_nothing_written_yet(self, engine: PostgresEngine, postgres_server: PostgresServer) -> None:
        with pytest.raises(MissingStoreError, match="nothing has been written"):
            async with opened(engine.url, postgres_server.password, readonly=True):
                pass

    async def test_readonly_writes_nothing(self, engine: PostgresEngine, postgres_server: PostgresServer) -> None:
        async with opened(engine.url, postgres_server.password):
            pass
        async with opened(engine.url, postgres_server.password, readonly=True) as store:
            with pytest.raises(StoreError, match="not open for writing"):
                await store.write(Batch([failed(1)]))

    async def test_the_database_of_another_program(
        self, engine: PostgresEngine, postgres_server: PostgresServer
    ) -> None:
        await engine.run("CREATE TABLE calls (id int)")
        for readonly in (False, True):
            told = await self.refused(engine.url, postgres_server.password, readonly=readonly)
            assert "the database of another program" in told

    async def test_a_newer_schema(self, engine: PostgresEngine, postgres_server: PostgresServer) -> None:
        async with opened(engine.url, postgres_server.password):
            pass
        await engine.run("UPDATE alembic_version SET version_num = '9999'")
        for readonly in (False, True):
            told = await self.refused(engine.url, postgres_server.password, readonly=readonly)
            assert "newer asterisk-sip (its schema is 9999" in told

    async def test_a_full_disk_loses_nothing_that_is_written_again(
        self, engine: PostgresEngine, postgres_server: PostgresServer
    ) -> None:
        """A temporary quota stands for the disk: the error is the server's own for a full one."""
        async with opened(engine.url, postgres_server.password) as store:
            await engine.run(
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE SQLSTATE '53100'; END $$"
            )
            await engine.run("CREATE TRIGGER no_room BEFORE INSERT ON totals FOR EACH ROW EXECUTE FUNCTION full_disk()")
            batch = Batch([failed(1), abandoned(2), answered(3)])
            for _ in range(2):
                with pytest.raises(StoreError, match="its disk is full"):
                    await store.write(batch)
            assert await store.calls(EVERYTHING) == []
            await engine.run("DROP TRIGGER no_room ON totals")
            assert await store.write(batch) == 3
            assert await store.last_position() == 2

    async def test_a_locked_table_is_waited_for(self, engine: PostgresEngine, postgres_server: PostgresServer) -> None:
        async with opened(engine.url, postgres_server.password) as store:
            await store.write(Batch([failed(1)]))
            async with store._read_engine.connect() as other:
                await other.exec_driver_sql("SET default_transaction_read_only = off")
                await other.commit()
                await other.exec_driver_sql("LOCK TABLE writing")
                writing = asyncio.create_task(store.write(Batch([failed(2)])))
                done, _ = await asyncio.wait({writing}, timeout=0.2)
                assert not done
                await other.rollback()
            assert await writing == 1


async def test_the_records_are_read_from_where_the_configuration_says(
    engine: PostgresEngine, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    config = tmp_path / "asterisk-sip.toml"
    config.write_text(f'[[pbx]]\nname = "pbx"\n[store]\nurl = "{engine.url}"\n')
    environ = os.environ | {"ASTERISK_SIP_STORE_PASSWORD": postgres_server.password}

    async def calls() -> tuple[int | None, str, str]:
        arguments = ("-m", "asterisk_sip", "calls", "--config", str(config), "--format", "json")
        program = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await program.communicate()
        return program.returncode, out.decode(), err.decode()

    code, out, err = await calls()
    assert (code, out) == (1, "")
    assert "nothing has been written there yet" in err
    async with opened(engine.url, postgres_server.password) as store:
        await store.write(Batch([failed(1)]))
    code, out, _ = await calls()
    assert code == 0
    assert json.loads(out)["id"] == failed(1).id


async def test_a_question_that_takes_too_long_is_given_up_and_the_next_is_answered(
    engine: PostgresEngine, postgres_server: PostgresServer
) -> None:
    async with opened(engine.url, postgres_server.password) as store:
        await store.write(Batch([failed(1)]))
    hasty = PostgresStore(engine.url, postgres_server.password, readonly=True, patience_s=2)
    await hasty.open()
    for _ in range(2):
        with pytest.raises(TookTooLongError, match="it gave up"):
            await hasty._select(select(func.pg_sleep(60)))
    assert await hasty.calls(CallQuery()) == [failed(1)]
    await hasty.close()

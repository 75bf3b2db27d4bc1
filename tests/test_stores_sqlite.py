"""The SQLite file itself: read by others meanwhile, whole after a crash, and clear about what is wrong with it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from asterisk_sip.errors import StoreError, TookTooLongError
from asterisk_sip.stores import sqlite_file
from asterisk_sip.stores.base import Batch, CallQuery, MissingStoreError, OpenCall
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import BEGAN, answered, batches, failed, write

DEADLINE_S = 30.0
SIZE = 50

WRITER = f"""
import asyncio, sys
from pathlib import Path
from asterisk_sip.stores.sqlite import SqliteStore
from tests.call_records import batches

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    for batch in batches(100_000, {SIZE}):
        await store.write(batch)
        print("written", flush=True)

asyncio.run(main())
"""


def writer(path: Path) -> subprocess.Popen[str]:
    """Start a process that writes batches of SIZE calls until it is killed, and says so after each."""
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)


def written(process: subprocess.Popen[str], count: int) -> int:
    """Wait until the writer has said ``count`` times that a batch is durable."""
    assert process.stdout is not None
    for _ in range(count):
        assert process.stdout.readline() == "written\n"
    return count


def modes(folder: Path) -> dict[str, int]:
    """Return the permissions of every file in a folder."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


async def everything(store: SqliteStore) -> set[str]:
    return {record.id for record in await store.calls(CallQuery(limit=1_000_000))}


class TestOtherProcesses:
    async def test_one_reads_while_another_writes(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        with writer(path) as process:
            try:
                written(process, 1)
                store = SqliteStore(path, readonly=True)
                await store.open()
                counts = [len(await everything(store))]
                deadline = time.monotonic() + DEADLINE_S
                while counts[-1] < 10 * SIZE and time.monotonic() < deadline:
                    counts.append(len(await everything(store)))
                await store.close()
            finally:
                process.kill()
        assert counts[-1] >= 10 * SIZE
        assert counts == sorted(counts)
        assert {count % SIZE for count in counts} == {0}  # no reader ever sees half a batch

    async def test_kill_9_leaves_every_announced_batch_and_no_half_one(self, tmp_path: Path) -> None:
        for round_number in range(3):
            path = tmp_path / f"{round_number}.db"
            with writer(path) as process:
                announced = written(process, 5 + round_number)
                process.send_signal(signal.SIGKILL)
            store = SqliteStore(path)
            await store.open()
            ids = await everything(store)
            in_flight = await store.open_calls("pbx")
            await store.close()
            assert len(ids) >= announced * SIZE
            expected = [record for batch in batches(len(ids) // SIZE, SIZE) for record in batch.records]
            assert ids == {record.id for record in expected}
            assert {call.linkedid for call in in_flight} == {record.linkedid for record in expected}
            with closing(sqlite3.connect(path)) as check:
                assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert check.execute("SELECT sum(total) FROM totals WHERE counted = 'calls'").fetchone() == (len(ids),)

    async def test_two_may_begin_the_same_file_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        with writer(path) as first, writer(path) as second:
            try:
                written(first, 2)
                written(second, 2)
            finally:
                first.kill()
                second.kill()
        store = SqliteStore(path, readonly=True)
        await store.open()
        assert len(await everything(store)) % SIZE == 0
        await store.close()


class TestReadonly:
    async def test_it_makes_no_file(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "calls.db", readonly=True)
        with pytest.raises(MissingStoreError, match="no such file yet"):
            await store.open()
        await store.close()
        assert modes(tmp_path) == {}

    async def test_a_file_without_tables_is_not_there_yet(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        path.touch()
        store = SqliteStore(path, readonly=True)
        with pytest.raises(MissingStoreError, match="nothing has been written"):
            await store.open()
        await store.close()

    async def test_it_writes_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        await write(path, failed(1))
        store = SqliteStore(path, readonly=True)
        await store.open()
        with pytest.raises(StoreError, match="not open for writing"):
            await store.write(Batch([failed(2)]))
        assert await store.calls(CallQuery()) == [failed(1)]
        await store.close()

    async def test_it_leaves_nothing_behind_that_a_writer_could_stumble_over(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        await write(path, failed(1))
        store = SqliteStore(path, readonly=True)
        await store.open()
        assert await store.calls(CallQuery()) == [failed(1)]
        assert list(modes(tmp_path)) == ["calls.db"]
        await store.close()

    async def test_it_reads_what_a_crash_left_in_the_log(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        with writer(path) as process:
            announced = written(process, 3)
            process.kill()
        store = SqliteStore(path, readonly=True)
        await store.open()
        assert len(await everything(store)) >= announced * SIZE
        await store.close()

    async def test_it_sees_what_is_written_after_it_was_opened(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        await write(path, failed(1))
        store = SqliteStore(path, readonly=True)
        await store.open()
        await write(path, failed(2))
        assert await store.calls(CallQuery()) == [failed(2), failed(1)]
        await store.close()


class TestWhatIsWrongWithTheFile:
    async def refused(self, path: Path, *, readonly: bool = False) -> str:
        store = SqliteStore(path, readonly=readonly)
        with pytest.raises(StoreError) as caught:
            await store.open()
        await store.close()
        return str(caught.value)

    async def test_a_folder(self, tmp_path: Path) -> None:
        for readonly in (False, True):
            assert await self.refused(tmp_path, readonly=readonly) == f"{tmp_path}: it is a folder; name a file"

    async def test_no_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "none" / "calls.db"
        for readonly in (False, True):
            assert await self.refused(path, readonly=readonly) == f"{path}: its folder does not exist"

    async def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", denied)  # the user of the tests may be root, who is denied nothing
        path = tmp_path / "calls.db"
        assert await self.refused(path) == f"{path}: Permission denied"

    async def test_not_a_database(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        path.write_bytes(b"[asterisk]\n" * 1_000)
        for readonly in (False, True):
            assert await self.refused(path, readonly=readonly) == f"{path}: it is not an SQLite database"
        assert path.read_bytes() == b"[asterisk]\n" * 1_000

    async def test_the_database_of_another_program(self, tmp_path: Path) -> None:
        path = tmp_path / "queue.db"
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE calls (id)")
        for readonly in (False, True):
            assert "the database of another program" in await self.refused(path, readonly=readonly)
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("calls",)]

    async def test_a_newer_schema(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        await write(path, failed(1))
        with closing(sqlite3.connect(path)) as newer:
            newer.execute("UPDATE alembic_version SET version_num = '9999'")
            newer.commit()
        for readonly in (False, True):
            told = await self.refused(path, readonly=readonly)
            assert str(path) in told
            assert "newer" in told
            assert "9999" in told
            assert "update asterisk-sip" in told

    async def test_a_damaged_file(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        await write(path, *(failed(number) for number in range(100)))
        with path.open("r+b") as file:
            file.seek(4_096)
            file.write(b"\xff" * (path.stat().st_size - 4_096))
        store = SqliteStore(path)
        with pytest.raises(StoreError, match=r"calls\.db: it is damaged"):
            await store.open()
        await store.close()

    async def test_a_record_that_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        await write(path, failed(1))
        with closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE calls SET record = '{}'")
            other.commit()
        store = SqliteStore(path, readonly=True)
        await store.open()
        with pytest.raises(StoreError, match=r"calls\.db: a stored record cannot be read"):
            await store.calls(CallQuery())
        await store.close()


class TestWhenWritingFails:
    """The daemon keeps the batch and tries again: whatever the trouble was, the batch is taken once it is over."""

    async def trouble(self, path: Path, begin: str, end: str, expected: str) -> None:
        store = SqliteStore(path)
        await store.open()
        await store.write(Batch([failed(1)]))
        batch = Batch([failed(number) for number in range(2, 300)] + [answered(400)], [OpenCall("pbx", "9", BEGAN, "")])
        assert store._writer is not None
        store._writer.execute(begin)
        store._writer.rollback()
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                await store.write(batch)
            assert str(caught.value).startswith(f"{path}: {expected}")
        assert await store.calls(CallQuery()) == [failed(1)]
        assert await store.open_calls("pbx") == []
        store._writer.execute(end)
        store._writer.rollback()
        assert await store.write(batch) == len(batch.records)
        await store.close()

    async def test_disk_full(self, tmp_path: Path) -> None:
        full, free = "PRAGMA max_page_count = 30", "PRAGMA max_page_count = 1073741823"
        await self.trouble(tmp_path / "calls.db", full, free, "the disk is full")

    async def test_read_only(self, tmp_path: Path) -> None:
        on, off = "PRAGMA query_only = ON", "PRAGMA query_only = OFF"
        await self.trouble(tmp_path / "calls.db", on, off, "it can only be read")

    async def test_locked_by_another_program(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        store = SqliteStore(path)
        await store.open()
        assert store._writer is not None
        store._writer.execute("PRAGMA busy_timeout = 50")
        store._writer.rollback()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="another program keeps it locked"):
                await store.write(Batch([failed(1)]))
            other.execute("ROLLBACK")
        assert await store.write(Batch([failed(1)])) == 1
        await store.close()

    async def test_a_short_lock_is_waited_for(self, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        store = SqliteStore(path)
        await store.open()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(store.write(Batch([failed(1)])))
            done, _ = await asyncio.wait({writing}, timeout=0.2)
            assert not done
            other.execute("ROLLBACK")
        assert await writing == 1
        await store.close()


async def test_a_commit_is_on_the_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    assert store._writer is not None
    settings = {name: store._writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert settings == {"journal_mode": "wal", "synchronous": 2}
    await store.close()


async def test_a_store_that_was_closed_is_one_file_which_can_be_copied(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    await store.write(Batch([failed(1)]))
    assert len(await store.calls(CallQuery())) == 1  # what was read keeps a connection
    await store.close()
    assert set(modes(tmp_path)) == {"calls.db"}


async def test_strangers_cannot_read_who_called_whom(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    store = SqliteStore(path)
    await store.open()
    await store.write(Batch([failed(1)]))
    for_others = {name: mode & stat.S_IRWXO for name, mode in modes(tmp_path).items()}
    assert for_others == {"calls.db": 0, "calls.db-wal": 0, "calls.db-shm": 0}
    await store.close()


async def test_any_name_will_do(tmp_path: Path) -> None:
    path = tmp_path / "50% of ?all #calls é.db"
    await write(path, failed(1))
    assert path.is_file()
    store = SqliteStore(path, readonly=True)
    await store.open()
    assert await store.calls(CallQuery()) == [failed(1)]
    await store.close()


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


class TestPatience:
    async def test_a_question_without_end_ends_and_those_that_wait_behind_it_do_not_run_at_all(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "calls.db"
        await write(path, failed(1))
        store = SqliteStore(path, readonly=True, patience_s=0.2)
        await store.open()
        endless = [store.read(lambda connection: connection.exec_driver_sql(ENDLESS).scalar()) for _ in range(20)]
        answers = await asyncio.gather(*endless, return_exceptions=True)
        assert {type(answer) for answer in answers} == {TookTooLongError}
        assert "calls.db: the answer would have taken too long" in str(answers[0])
        await store.close()

    async def test_what_comes_after_it_on_the_same_connection_is_answered(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "calls.db", patience_s=30)
        await store.open()
        await store.write(Batch([failed(1)]))
        for _ in range(3):
            with pytest.raises(TookTooLongError), sqlite_file.errors_of(store.path):
                await store.read(stopped)
            assert await store.calls(CallQuery()) == [failed(1)]
        await store.close()


def stopped(connection: Connection) -> None:
    """Ask without end, with a time that is over by the next look at the clock."""
    with sqlite_file.until(time.monotonic() + 0.05, connection, Path("calls.db")):
        connection.exec_driver_sql(ENDLESS).scalar()

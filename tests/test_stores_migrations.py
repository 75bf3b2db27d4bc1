"""Upgrades never eat records: a file of every schema is opened, twice, and read."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from asterisk_sip.errors import StoreError
from asterisk_sip.stores import migrations, schema, sqlite_backup, sqlite_file
from asterisk_sip.stores.base import Batch, CallQuery, Gap, OpenCall, Store, TotalsQuery
from asterisk_sip.stores.schema import REVISIONS, VERSION_TABLE, metadata
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import BEGAN, BUSY, abandoned, answered, failed, rescued, write
from .postgres_server import PostgresServer
from .store_engines import PostgresEngine
from .test_stores_sqlite import modes

DATABASES = Path(__file__).parent / "databases"
SCHEMAS = sorted(DATABASES.glob("schema-*.db"))
POSTGRES_SCHEMAS = sorted(DATABASES.glob("schema-*.sql"))


def test_there_is_a_database_of_every_schema() -> None:
    for databases in (SCHEMAS, POSTGRES_SCHEMAS):
        assert [path.stem for path in databases] == [f"schema-{revision}" for revision in REVISIONS]


async def holds_all(store: Store) -> None:
    """Hold a store to what ``call_records.fill`` wrote."""
    assert await store.calls(CallQuery()) == [
        abandoned(4),
        rescued(3),
        failed(2, sip=BUSY, trunk="carrier-b"),
        failed(1),
    ]
    assert await store.calls(CallQuery(trunk="carrier-b", code=486)) == [failed(2, sip=BUSY, trunk="carrier-b")]
    assert await store.open_calls("pbx") == [OpenCall("pbx", "1700000000.9", BEGAN, '{"legs": []}')]
    (gap,) = await store.gaps(BEGAN, BEGAN.replace(hour=13))
    assert gap == Gap("gap-1", "pbx", "ami", BEGAN, BEGAN.replace(second=3), "Asterisk restarted")
    totals = await store.totals(TotalsQuery(BEGAN, BEGAN.replace(hour=13)))
    assert {total.outcome: total.total for total in totals} == {
        "abandoned": 1,
        "answered": 1,
        "failed": 2,
        "rescued": 1,
    }
    assert await store.write(Batch([failed(1), answered(5)])) == 0  # known from before


@pytest.mark.parametrize("old", SCHEMAS, ids=lambda path: path.stem)
async def test_a_database_of_an_old_schema_keeps_all_it_holds(old: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(old, tmp_path))
    for _ in range(2):
        store = SqliteStore(path)
        await store.open()
        await holds_all(store)
        await store.close()


async def test_migrations_and_schema_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    await write(path)
    engine, empty = create_engine(f"sqlite:///{path}"), create_engine("sqlite://")
    with engine.connect() as migrated, empty.connect() as direct:
        assert compare_metadata(MigrationContext.configure(migrated), metadata) == []
        metadata.create_all(direct)
        assert statements(migrated) == statements(direct)
    engine.dispose()
    empty.dispose()


def statements(connection: Connection) -> dict[str, str]:
    """Return what made each table and index of ours, spaces aside."""
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()) for name, sql in rows if name != VERSION_TABLE}


def test_the_list_of_schemas_is_that_of_the_migrations() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert tuple(step.revision for step in script.walk_revisions())[::-1] == REVISIONS


async def test_making_the_tables_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await write(tmp_path / "calls.db", failed(1))
    assert caplog.messages == []


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls.db"

    def fail_at_the_end(upgrade: Callable[..., None]) -> Callable[..., None]:
        def upgrade_and_fail(*arguments: object) -> None:
            upgrade(*arguments)
            raise OSError(5, "Input/output error")

        return upgrade_and_fail

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "migrate", fail_at_the_end(migrations.migrate))
        store = SqliteStore(path)
        with pytest.raises(Exception, match=r"calls\.db: Input/output error"):
            await store.open()
        await store.close()
    readonly = SqliteStore(path, readonly=True)
    with pytest.raises(Exception, match="nothing has been written there yet"):
        await readonly.open()
    await readonly.close()
    await write(path, failed(1))


def test_alembic_is_not_loaded_when_there_is_nothing_to_migrate(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    asyncio.run(write(path, failed(1)))
    program = (
        "import asyncio, sys; from pathlib import Path; from asterisk_sip.stores.sqlite import SqliteStore\n"
        "asyncio.run(SqliteStore(Path(sys.argv[1])).open()); print('alembic' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


TELLING = "ALTER TABLE gaps ADD COLUMN told INTEGER DEFAULT 0"


@pytest.fixture
def next_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this program have one schema more than it has, reached by one step."""

    def step(connection: Connection, revision: str) -> None:
        assert revision == "9998"
        connection.exec_driver_sql(TELLING)
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9998'")  # noqa: S608  # a constant

    monkeypatch.setattr(migrations, "migrate", step)
    for module in (schema, sqlite_file):
        monkeypatch.setattr(module, "REVISIONS", (*REVISIONS, "9998"))


class TestTheCopyBeforeAMigration:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Return a file of the schema before."""
        path = Path(shutil.copy(SCHEMAS[-1], tmp_path / "calls.db"))
        path.chmod(0o640)
        return path

    async def opened(self, path: Path) -> None:
        store = SqliteStore(path)
        try:
            await store.open()
        finally:
            await store.close()

    @pytest.mark.usefixtures("next_schema")
    async def test_the_file_as_it_was_lies_beside_it(self, path: Path) -> None:
        await self.opened(path)
        copy = sqlite_backup.name_of(path, REVISIONS[-1])
        assert modes(path.parent) == {"calls.db": 0o640, copy.name: 0o640}
        with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(path)) as new:
            for query in ("SELECT * FROM calls", "SELECT * FROM attempts", "SELECT * FROM totals"):
                assert old.execute(query).fetchall() == new.execute(query).fetchall() != []
            assert old.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone() == (REVISIONS[-1],)  # noqa: S608  a name of ours
            assert old.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert "told" in new.execute("SELECT sql FROM sqlite_master WHERE name = 'gaps'").fetchone()[0]

    @pytest.mark.usefixtures("next_schema")
    async def test_what_a_crash_left_in_the_log_is_in_the_copy(self, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as crashed:
            crashed.execute("PRAGMA journal_mode = WAL")
            crashed.execute("UPDATE gaps SET reason = 'in the log'")
            await self.opened(path)
        with closing(sqlite3.connect(sqlite_backup.name_of(path, REVISIONS[-1]))) as old:
            assert old.execute("SELECT reason FROM gaps").fetchall() == [("in the log",)]

    @pytest.mark.usefixtures("next_schema")
    async def test_older_copies_are_deleted_and_nothing_else(self, tmp_path: Path, path: Path) -> None:
        for name in ("calls.db.schema-0000", "calls.db.schema-mine", "other.db.schema-0000"):
            (tmp_path / name).touch()
        await self.opened(path)
        assert modes(tmp_path).keys() == {
            "calls.db",
            f"calls.db.schema-{REVISIONS[-1]}",
            "calls.db.schema-mine",
            "other.db.schema-0000",
        }

    @pytest.mark.usefixtures("next_schema")
    async def test_without_room_for_it_the_file_stays_as_it_is(
        self, tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
            with pytest.raises(
                StoreError, match=r"copied to calls\.db\.schema-\d+: that takes .* MB and 1 MB are free"
            ):
                await self.opened(path)
        assert modes(tmp_path).keys() == {"calls.db"}
        await self.opened(path)

    async def test_a_new_file_needs_none(self, tmp_path: Path) -> None:
        await self.opened(tmp_path / "calls.db")
        assert modes(tmp_path).keys() == {"calls.db"}


@pytest.mark.postgres
class TestPostgres:
    @pytest.mark.parametrize("old", POSTGRES_SCHEMAS, ids=lambda path: path.stem)
    async def test_a_database_of_an_old_schema_keeps_all_it_holds(
        self, old: Path, postgres_server: PostgresServer
    ) -> None:
        engine = await asyncio.to_thread(PostgresEngine, postgres_server)
        await postgres_server.restore(await asyncio.to_thread(old.read_text), engine.url)
        for _ in range(2):
            store = engine.store()
            await store.open()
            await holds_all(store)
            await store.close()

    async def test_an_older_database_is_migrated_once_and_keeps_what_it_holds(
        self, postgres_server: PostgresServer, request: pytest.FixtureRequest
    ) -> None:
        engine = await asyncio.to_thread(PostgresEngine, postgres_server)
        before = engine.store()
        await before.open()
        await before.write(Batch([failed(1), answered(2)]))
        await before.close()
        request.getfixturevalue("next_schema")
        readonly = engine.store(readonly=True)
        with pytest.raises(StoreError, match="written by an older asterisk-sip"):
            await readonly.open()
        await readonly.close()
        stores = [engine.store() for _ in range(3)]
        await asyncio.gather(*(store.open() for store in stores))  # the step would fail if it were taken twice
        assert await stores[0].calls(CallQuery()) == [failed(1)]
        assert await stores[1].write(Batch([failed(1), answered(2), failed(3)])) == 1
        for store in stores:
            await store.close()
        (row,) = await engine.run(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  # a constant
        assert row["version_num"] == "9998"

    async def test_a_step_that_fails_leaves_the_database_as_it_was(
        self, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = await asyncio.to_thread(PostgresEngine, postgres_server)
        before = engine.store()
        await before.open()
        await before.write(Batch([failed(1)]))
        await before.close()

        def fails(connection: Connection, _: str) -> None:
            connection.exec_driver_sql("DELETE FROM calls")
            connection.exec_driver_sql("ALTER TABLE gaps ADD COLUMN told nonsense")

        with monkeypatch.context() as patch:
            patch.setattr(migrations, "migrate", fails)
            patch.setattr(schema, "REVISIONS", (*REVISIONS, "9998"))
            after = engine.store()
            with pytest.raises(StoreError, match="nonsense"):
                await after.open()
            await after.close()
        again = engine.store()
        await again.open()
        assert await again.calls(CallQuery()) == [failed(1)]
        await again.close()

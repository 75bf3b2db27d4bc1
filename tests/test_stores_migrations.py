"""Upgrades never eat records: a file of every schema is opened, twice, and read."""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from asterisk_sip.stores import migrations
from asterisk_sip.stores.base import Batch, CallQuery, Gap, OpenCall, TotalsQuery
from asterisk_sip.stores.schema import REVISIONS, VERSION_TABLE, metadata
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import BEGAN, BUSY, abandoned, answered, failed, rescued, write

DATABASES = Path(__file__).parent / "databases"
SCHEMAS = sorted(DATABASES.glob("schema-*.db"))


def test_there_is_a_database_of_every_schema() -> None:
    assert [path.stem for path in SCHEMAS] == [f"schema-{revision}" for revision in REVISIONS]


@pytest.mark.parametrize("old", SCHEMAS, ids=lambda path: path.stem)
async def test_a_database_of_an_old_schema_keeps_all_it_holds(old: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(old, tmp_path))
    for _ in range(2):
        store = SqliteStore(path)
        await store.open()
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

"""What every test may use: the real PBXs of tests/lab, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from asterisk_sip.stores.base import Store
from tests import postgres_server as postgres
from tests.store_engines import Engine, PostgresEngine, SqliteEngine

pytest_plugins = ["tests.lab.fixtures"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A PostgreSQL of the tests' own, for as long as they run."""
    with postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """An empty place for records, of each engine in turn."""
    if request.param == "sqlite":
        return SqliteEngine(tmp_path)
    return PostgresEngine(request.getfixturevalue("postgres_server"))


@pytest_asyncio.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    """The store of that place, open."""
    store = engine.store()
    await store.open()
    yield store
    await store.close()

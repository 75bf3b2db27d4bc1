"""What every test may use: the real PBXs of tests/lab, a real PostgreSQL, and ClickHouse's own engine."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from asterisk_sip.stores.base import Store
from tests import clickhouse_server as clickhouse
from tests import postgres_server as postgres
from tests import slow
from tests.store_engines import ENGINES, Engine, engine_of

pytest_plugins = ["tests.lab.fixtures"]


def pytest_configure() -> None:
    """Hear Ctrl-C, as do the programs that tests start: who runs the tests in the background of a shell had it off."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make check` leaves out."""
    listed = slow.listed()
    for item in items:
        if slow.name_of(item.nodeid) in listed:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A PostgreSQL of the tests' own, for as long as they run."""
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse_server() -> Iterator[clickhouse.ClickHouseServer]:
    """A ClickHouse of the tests' own, for as long as they run."""
    with clickhouse.running() as server:
        yield server


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """An empty place for records, of each engine in turn."""
    return engine_of(request, tmp_path)


@pytest_asyncio.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    """The store of that place, open."""
    store = engine.store()
    await store.open()
    yield store
    await store.close()

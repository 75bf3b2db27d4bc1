"""What every test may use: the real PBXs of tests/lab, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import postgres_server as postgres

pytest_plugins = ["tests.lab.fixtures"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A PostgreSQL of the tests' own, for as long as they run."""
    with postgres.running() as server:
        yield server

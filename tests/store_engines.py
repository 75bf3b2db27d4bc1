"""Each engine that keeps records, in the same words: what the tests of all stores are run over."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest

from asterisk_sip.stores.base import Keep, Store
from asterisk_sip.stores.clickhouse import ClickHouseStore
from asterisk_sip.stores.postgres import PostgresStore
from asterisk_sip.stores.sqlite import SqliteStore

from .clickhouse_server import ClickHouseServer
from .postgres_server import PostgresServer

ENGINES = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("clickhouse", marks=pytest.mark.clickhouse),
]
"""The parameters of a fixture that gives each engine in turn."""


class Engine(Protocol):
    """One empty place for records. ``ids_go_with_counts``: those of answered calls are not kept apart from counts."""

    place: str
    ids_go_with_counts: bool

    def store(self, keep: Keep = "failures", *, readonly: bool = False) -> Store:
        """Return a store of this place, not yet opened."""

    async def run(self, sql: str) -> list[dict[str, Any]]:
        """Run a statement beside the stores, and return its rows."""


class SqliteEngine:
    """A file."""

    ids_go_with_counts = False

    def __init__(self, folder: Path) -> None:
        self._path = folder / "calls.db"
        self.place = str(self._path)

    def store(self, keep: Keep = "failures", *, readonly: bool = False) -> Store:
        """Return a store of the file."""
        return SqliteStore(self._path, keep, readonly=readonly)

    async def run(self, sql: str) -> list[dict[str, Any]]:
        """Run a statement on the file."""
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql)]


class PostgresEngine:
    """A database of a real server."""

    ids_go_with_counts = False

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.url = asyncio.run(server.database())
        self.place = self.url.replace("asterisk_sip@", "")

    def store(self, keep: Keep = "failures", *, readonly: bool = False) -> Store:
        """Return a store of the database."""
        return PostgresStore(self.url, self._server.password, keep, readonly=readonly)

    async def run(self, sql: str) -> list[dict[str, Any]]:
        """Run a statement on the database."""
        return await self._server.run(sql, self.url)


class ClickHouseEngine:
    """A database of ClickHouse's engine, over HTTP."""

    ids_go_with_counts = True

    def __init__(self, server: ClickHouseServer) -> None:
        self._server = server
        self.url = asyncio.run(server.database())
        self.place = self.url.replace("asterisk_sip@", "")

    def store(self, keep: Keep = "failures", *, readonly: bool = False) -> Store:
        """Return a store of the database."""
        return ClickHouseStore(self.url, self._server.password, keep, readonly=readonly)

    async def run(self, sql: str) -> list[dict[str, Any]]:
        """Run a statement on the database."""
        return await self._server.run(sql, self.url)


def engine_of(request: pytest.FixtureRequest, folder: Path) -> Engine:
    """Return an empty place of the engine that a fixture's parameter names."""
    if request.param == "sqlite":
        return SqliteEngine(folder)
    server = request.getfixturevalue(f"{request.param}_server")
    return PostgresEngine(server) if request.param == "postgres" else ClickHouseEngine(server)

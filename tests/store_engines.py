"""Each engine that keeps records, in the same words: what the tests of all stores are run over."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from asterisk_sip.stores.base import Keep, Store
from asterisk_sip.stores.postgres import PostgresStore
from asterisk_sip.stores.sqlite import SqliteStore

from .postgres_server import PostgresServer


class Engine(Protocol):
    """One empty place for records."""

    place: str

    def store(self, keep: Keep = "failures", *, readonly: bool = False) -> Store:
        """Return a store of this place, not yet opened."""

    async def run(self, sql: str) -> list[dict[str, Any]]:
        """Run a statement beside the stores, and return its rows."""


class SqliteEngine:
    """A file."""

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

"""The book of alerts as the pages read it and write into it: silences, and who has taken an alert on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from asterisk_sip.alerts.model import Rule
from asterisk_sip.errors import StoreError
from asterisk_sip.stores.alert_book import AlertBook
from asterisk_sip.stores.sqlite import SqliteStore

from .problems import ProblemError

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Ledger:
    """The rules of the configuration, and the book in the local file. Without a file there is nothing in it."""

    rules: tuple[Rule, ...] = ()
    path: Path | None = None
    _store: SqliteStore | None = None
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    def rule(self, name: str) -> Rule | None:
        """Return a rule by its name."""
        return next((rule for rule in self.rules if rule.name == name), None)

    async def book(self) -> AlertBook | None:
        """Return the book, to be read; None when there is none. Raises ProblemError (503)."""
        async with self._one_at_a_time:
            if self._store is None:
                self._store = await self._opened(readonly=True)
            return None if self._store is None else AlertBook(self._store)

    async def change(self, work: Callable[[AlertBook], Awaitable[Answer]]) -> Answer:
        """Write into the book. Raises ProblemError (503, and 404 when there is none), StoreError."""
        store = await self._opened(readonly=False)
        if store is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "there are no alerts here")
        try:
            return await work(AlertBook(store))
        finally:
            await store.close()

    async def close(self) -> None:
        """Let go of the file."""
        if self._store is not None:
            await self._store.close()
            self._store = None

    async def _opened(self, *, readonly: bool) -> SqliteStore | None:
        if self.path is None:
            return None
        store = SqliteStore(self.path, readonly=readonly)
        try:
            await store.open()
        except StoreError as error:
            await store.close()
            reason = f"the alerts cannot be read: {error}"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, reason, {"Retry-After": "5"}) from error
        return store


LEDGER = web.AppKey("ledger", Ledger)

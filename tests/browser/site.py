"""The pages over a store that a test writes, at an address that stays when they are stopped and served again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from aiohttp import web

from asterisk_sip.alerts.model import Rule
from asterisk_sip.stores.sqlite import SqliteStore
from asterisk_sip.web.access import Gate, Rules
from asterisk_sip.web.app import application
from asterisk_sip.web.ledger import Ledger
from asterisk_sip.web.operations import Program
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import Shelf


class Served:
    """Pages and store. ``rules``: who is let in; ``alerts``: what is watched; ``pbxs``: those of the configuration."""

    def __init__(
        self,
        folder: Path,
        rules: Rules | None = None,
        program: Program | None = None,
        alerts: tuple[Rule, ...] = (),
        *,
        pbxs: tuple[str, ...] = ("pbx",),
    ) -> None:
        self._path = folder / "calls.db"
        self._gate = Gate(rules or Rules())
        self._program = program
        self._ledger = Ledger(alerts, self._path)
        self._pbxs = pbxs
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._shelf: Shelf | None = None
        self.store = SqliteStore(self._path, delivers=True)

    @property
    def url(self) -> str:
        """Where they are."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Serve them."""
        make: Callable[[], SqliteStore] = lambda: SqliteStore(self._path, readonly=True)  # noqa: E731  it has a type
        self._shelf = Shelf(make, self._pbxs)
        self._runner = await listen(
            application(self._shelf, self._gate, self._program, self._ledger), "127.0.0.1", self._port
        )
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Serve them no more."""
        if self._runner is not None and self._shelf is not None:
            await self._runner.cleanup()
            await self._shelf.close()
            await self._ledger.close()
        self._runner = None

    async def __aenter__(self) -> Self:
        await self.store.open()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.store.close()

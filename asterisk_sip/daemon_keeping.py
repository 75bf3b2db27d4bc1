"""Forgets in the background what the configuration says is too old or too much."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import structlog

from asterisk_sip.config import Config
from asterisk_sip.config_keeping import RetentionConfig
from asterisk_sip.daemon_log import told_of
from asterisk_sip.errors import StoreError
from asterisk_sip.stores.base import Store
from asterisk_sip.stores.place import StorePlace
from asterisk_sip.stores.retention import Bounds, Swept, days_before

log = structlog.get_logger(__name__)

EVERY_S = 60.0
IDS_EVERY_S = 3_600.0  # all of them are looked at


class Keeping:
    """Sweeps one store again and again. ``total`` counts what was forgotten since the start."""

    def __init__(self, retention: RetentionConfig, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self.total = Swept()
        self._retention = retention
        self._store = store
        self._clock = clock
        self._ids_at = -IDS_EVERY_S
        self._trouble = False
        self._too_large = False

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await self.once()
            await asyncio.sleep(EVERY_S)

    async def once(self) -> None:
        """Sweep, and tell what was done. A store that cannot be swept now is tried again; it is told once."""
        try:
            swept = await self._store.sweep(self._bounds())
        except StoreError as error:
            if not self._trouble:
                log.warning("old records stay for now", store=self._store.place, reason=str(error))
            self._trouble = True
            return
        self._trouble = False
        self._tell(swept)
        self.total.add(swept)

    def _bounds(self) -> Bounds:
        retention, now = self._retention, datetime.fromtimestamp(self._clock(), UTC)
        ids = None
        if time.monotonic() - self._ids_at >= IDS_EVERY_S:
            self._ids_at = time.monotonic()
            ids = days_before(now, retention.answered_ids_days)
        return Bounds(
            now=days_before(now, 0) or 0,
            calls=days_before(now, retention.max_age_days),
            ids=ids,
            totals=days_before(now, retention.totals_days),
            gaps=days_before(now, retention.gaps_days),
            size_bytes=None if retention.max_size_mb is None else retention.max_size_mb << 20,
            age_days=retention.max_age_days,
        )

    def _tell(self, swept: Swept) -> None:
        told = swept.told()
        over_bytes = told.pop("over_bytes", 0)
        if told:
            log.info("old records forgotten", store=self._store.place, **told)
        if swept.undelivered:
            log.warning("some of them never reached every sink", records=swept.undelivered)
        if over_bytes and not self._too_large:
            mb = self._retention.max_size_mb
            log.warning("no call is left to forget, and the store is too large", over_bytes=over_bytes, max_size_mb=mb)
        self._too_large = over_bytes > 0


@contextlib.asynccontextmanager
async def kept(config: Config, store: Store | None = None) -> AsyncIterator[None]:
    """Sweep meanwhile: the daemon's own store, and the one that ``store.url`` names, or that of a collector."""
    async with contextlib.AsyncExitStack() as stack:
        tasks = []
        if store is not None:
            tasks.append(asyncio.create_task(Keeping(config.retention, store).run(), name="retention"))
        if store is None or config.store.url is not None:
            place = StorePlace(config.store.path, config.store.url, config.store.plain_password)
            tasks.append(asyncio.create_task(_elsewhere(config, place), name="retention"))
        for task in tasks:
            stack.push_async_callback(_ended, told_of(task))
        yield


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _elsewhere(config: Config, place: StorePlace) -> None:
    """Open a store that another part of the program writes to, as soon as it is there, and sweep it."""
    while True:
        store = place.store(config.records.keep)
        try:
            await store.open()
            await Keeping(config.retention, store).run()
        except StoreError as error:
            log.debug("not swept: the store is not there", store=str(place), reason=str(error))
        finally:
            await store.close()
        await asyncio.sleep(EVERY_S)

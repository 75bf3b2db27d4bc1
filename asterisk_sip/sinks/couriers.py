"""All couriers of a daemon: started before anything is recorded, ended when everything is delivered or time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from asterisk_sip.errors import StoreError
from asterisk_sip.sinks.courier import Courier
from asterisk_sip.sinks.hand_over import Progress
from asterisk_sip.stores.spool import Spool

log = structlog.get_logger(__name__)

TRIM_EVERY_S = 10.0


class Reader(Protocol):
    """What reads the spool to its end, again and again: a courier, or what judges alerts."""

    name: str

    @property
    def position(self) -> int:
        """Up to which position of the spool it needs nothing any more."""

    def wake(self) -> None:
        """Say that there is something new."""

    def finish(self) -> None:
        """Let ``run`` end as soon as everything is read."""

    async def run(self) -> None:
        """Read until all is read after ``finish``, or until cancelled."""


class Couriers:
    """Runs a courier for each sink, and forgets what all of them have delivered, and other ``readers`` have read."""

    def __init__(self, couriers: Sequence[Courier], spool: Spool, readers: Sequence[Reader] = ()) -> None:
        self.couriers = tuple(couriers)
        self.spool = spool
        self._readers: tuple[Reader, ...] = (*couriers, *readers)
        self._tasks: list[asyncio.Task[None]] = []
        self._trimming: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start them."""
        self._tasks = [asyncio.create_task(courier.run(), name=courier.name) for courier in self._readers]
        self._trimming = asyncio.create_task(self._trim())

    def progress(self) -> list[tuple[str, Progress]]:
        """Return what each sink was given, by its name."""
        return [(courier.name, courier.progress) for courier in self.couriers]

    def wake(self) -> None:
        """Say that something was recorded."""
        for courier in self._readers:
            courier.wake()

    async def stop(self, drain_s: float) -> None:
        """Let them deliver what is recorded, for so many seconds; the rest waits in the store."""
        for courier in self._readers:
            courier.finish()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=drain_s)
            for task in late:
                log.warning("not everything is delivered; the rest waits for the next start", sink=task.get_name())
                task.cancel()
        if self._trimming is not None:
            self._trimming.cancel()
        await asyncio.gather(*self._tasks, *filter(None, [self._trimming]), return_exceptions=True)

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(TRIM_EVERY_S)
            try:
                await self.spool.trim(min(courier.position for courier in self._readers))
            except StoreError as error:
                log.warning("delivered records are still in the spool", reason=str(error))

"""Carries what is recorded to one sink: in order, at least once, and no other sink ever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from asterisk_sip.errors import SinkError, StoreError
from asterisk_sip.retry import Backoff
from asterisk_sip.sinks.base import Delivery, PermanentSinkError, Sink, TransientSinkError
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.stores.spool import Cursor, Spool

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """How patient a courier is. ``timeout_s``: a sink that takes longer for a batch is taken to hang."""

    timeout_s: float = 30.0
    retry_min_s: float = 0.5
    retry_max_s: float = 60.0


@dataclass(slots=True)
class Progress:
    """What a courier did since it began."""

    delivered: int = 0
    repeated: int = 0
    dead: int = 0  # never to be taken: they are in the dead-letter file
    gone: int = 0  # deleted from the store before they could be delivered
    failures: int = 0
    failing: str | None = None  # why the sink does not take anything at the moment


class Courier:
    """One sink and its cursor. What a sink took is noted after it took it: a crash in between delivers it again."""

    def __init__(
        self, name: str, sink: Sink, spool: Spool, dead: DeadLetters, settings: CourierSettings | None = None
    ) -> None:
        self.name = name
        self.progress = Progress()
        self._sink = sink
        self._spool = spool
        self._dead = dead
        self._settings = settings or CourierSettings()
        self._backoff = Backoff(self._settings.retry_min_s, self._settings.retry_max_s)
        self._news = asyncio.Event()
        self._last_round = False
        self._cursor = Cursor(0, 0)
        self._log = log.bind(sink=name)

    @property
    def position(self) -> int:
        """Up to which position of the spool everything was delivered."""
        return self._cursor.position

    def wake(self) -> None:
        """Say that there is something new to deliver."""
        self._news.set()

    def finish(self) -> None:
        """Let ``run`` end as soon as everything is delivered."""
        self._last_round = True
        self._news.set()

    async def run(self) -> None:
        """Deliver until all is delivered after ``finish``, or until cancelled; then let go of the sink."""
        try:
            await self._trying(self._start)
            while True:
                self._news.clear()
                deliveries = await self._trying(self._next)
                if deliveries:
                    await self._carry(deliveries)
                elif self._last_round:
                    return
                else:
                    await self._news.wait()
        finally:
            await self._sink.close()

    async def _start(self) -> None:
        self._cursor = await self._spool.cursor(self.name)
        await self._spool.move_cursor(self.name, self._cursor)
        async with asyncio.timeout(self._settings.timeout_s):
            await self._sink.open()

    async def _next(self) -> list[Delivery]:
        return await self._spool.deliveries(self._cursor.position, self._sink.at_most)

    async def _carry(self, deliveries: list[Delivery]) -> None:
        """Deliver a batch, and note it before and after."""
        cursor, last = self._cursor, deliveries[-1].position
        wanted = [
            replace(delivery, repeated=True) if delivery.position <= cursor.offered else delivery
            for delivery in deliveries
            if delivery.kind in self._sink.wants and delivery.text
        ]
        self.progress.gone += sum(not delivery.text for delivery in deliveries)
        if wanted:
            await self._note(Cursor(cursor.position, max(last, cursor.offered)))
            await self._deliver(wanted)
        await self._note(Cursor(last, max(last, cursor.offered)))

    async def _note(self, cursor: Cursor) -> None:
        if cursor != self._cursor:
            await self._trying(lambda: self._spool.move_cursor(self.name, cursor))
            self._cursor = cursor

    async def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver all of these. What the sink will never take is put aside, found by halving the batch."""
        rest = deliveries
        while rest:
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    await self._sink.write(rest)
            except PermanentSinkError as error:
                rest = self._counted(rest, error.taken)
                if len(rest) == 1:
                    await self._put_aside(rest[0], str(error))
                    return
                half = len(rest) // 2
                await self._deliver(rest[:half])
                rest = rest[half:]
            except Exception as error:  # noqa: BLE001  a sink of a third party may raise anything; nothing is lost by it
                rest = self._counted(rest, error.taken if isinstance(error, SinkError) else 0)
                await self._pause(error)
            else:
                self._counted(rest, len(rest))
                self._well()
                return

    def _counted(self, deliveries: Sequence[Delivery], taken: int) -> Sequence[Delivery]:
        """Count the first ``taken`` as delivered; return the others."""
        self.progress.delivered += taken
        self.progress.repeated += sum(delivery.repeated for delivery in deliveries[:taken])
        return deliveries[taken:]

    async def _put_aside(self, delivery: Delivery, reason: str) -> None:
        await self._trying(lambda: self._dead.put(self.name, delivery, reason))
        self.progress.dead += 1
        self._log.error("put aside: the sink will never take it", id=delivery.id, reason=reason, file=self._dead.place)

    async def _trying(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do something that is needed to go on, again and again until it works."""
        while True:
            try:
                answer = await work()
            except Exception as error:  # noqa: BLE001  see above
                await self._pause(error)
            else:
                self._well()
                return answer

    async def _pause(self, error: Exception) -> None:
        """Note that it does not work, told once an outage, and wait."""
        reason = _reason(error, self._settings.timeout_s)
        if self.progress.failing is None:
            self._log.error("the sink takes nothing; what is recorded waits for it in the store", reason=reason)
        self.progress.failing = reason
        self.progress.failures += 1
        wait_s = self._backoff.next_s()
        if isinstance(error, TransientSinkError) and error.not_before_s is not None:
            wait_s = min(max(wait_s, error.not_before_s), self._settings.retry_max_s)
        await asyncio.sleep(wait_s)

    def _well(self) -> None:
        if self.progress.failing is not None:
            self._log.info("the sink takes records again")
        self.progress.failing = None
        self._backoff.reset()


def _reason(error: Exception, timeout_s: float) -> str:
    if isinstance(error, SinkError | StoreError):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"nothing came back within {timeout_s:g} s"
    return f"{type(error).__name__}: {error}"

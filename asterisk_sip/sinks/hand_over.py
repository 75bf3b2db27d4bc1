"""Hands records over to one sink, however long it takes: what may be taken later is tried again, the rest put aside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from asterisk_sip.errors import SinkError, StoreError
from asterisk_sip.retry import Backoff
from asterisk_sip.sinks.base import Delivery, PermanentSinkError, Sink, TransientSinkError
from asterisk_sip.sinks.dead_letters import DeadLetters

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How patiently a sink is treated. ``timeout_s``: a sink that takes longer for a batch is taken to hang."""

    timeout_s: float = 30.0
    retry_min_s: float = 0.5
    retry_max_s: float = 60.0


@dataclass(slots=True)
class Progress:
    """What a sink was given so far."""

    delivered: int = 0
    repeated: int = 0
    dead: int = 0  # never to be taken: they are in the dead-letter file
    gone: int = 0  # deleted from the store before they could be delivered
    failures: int = 0
    failing: str | None = None  # why the sink does not take anything at the moment


class HandOver:
    """One sink, with the patience it is treated with."""

    def __init__(self, name: str, sink: Sink, dead: DeadLetters, patience: Patience | None = None) -> None:
        self.name = name
        self.progress = Progress()
        self._patience = patience or Patience()
        self._sink = sink
        self._dead = dead
        self._backoff = Backoff(self._patience.retry_min_s, self._patience.retry_max_s)
        self._log = log.bind(sink=name)
        self._busy_since_s: float | None = None

    @property
    def held_s(self) -> float:
        """For how long the sink has taken nothing of what it was given, or could not be opened; 0 when it has all."""
        return 0.0 if self._busy_since_s is None else time.monotonic() - self._busy_since_s

    async def open(self) -> None:
        """Open the sink, as soon as that works."""
        await self.trying(self._open)

    async def close(self) -> None:
        """Let go of the sink."""
        await self._sink.close()

    async def _open(self) -> None:
        async with asyncio.timeout(self._patience.timeout_s):
            await self._sink.open()

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver all of these. What the sink will never take is put aside, found by halving the batch."""
        rest = deliveries
        self._busy()
        while rest:
            try:
                async with asyncio.timeout(self._patience.timeout_s):
                    await self._sink.write(rest)
            except PermanentSinkError as error:
                rest = self._counted(rest, error.taken)
                if len(rest) == 1:
                    await self._put_aside(rest[0], str(error))
                    return
                half = len(rest) // 2
                await self.deliver(rest[:half])
                rest = rest[half:]
            except Exception as error:  # noqa: BLE001  a sink of a third party may raise anything; nothing is lost by it
                rest = self._counted(rest, error.taken if isinstance(error, SinkError) else 0)
                await self._pause(error)
            else:
                self._counted(rest, len(rest))
                rest = ()
        self._well()

    def _counted(self, deliveries: Sequence[Delivery], taken: int) -> Sequence[Delivery]:
        """Count the first ``taken`` as delivered; return the others."""
        if taken:
            self._busy_since_s = time.monotonic()
        self.progress.delivered += taken
        self.progress.repeated += sum(delivery.repeated for delivery in deliveries[:taken])
        return deliveries[taken:]

    async def _put_aside(self, delivery: Delivery, reason: str) -> None:
        await self.trying(lambda: self._dead.put(self.name, delivery, reason))
        self.progress.dead += 1
        self._log.error("put aside: the sink will never take it", id=delivery.id, reason=reason, file=self._dead.place)

    async def trying(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
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
        reason = _reason(error, self._patience.timeout_s)
        if self.progress.failing is None:
            self._log.error("the sink takes nothing; what is recorded waits for it in the store", reason=reason)
        self._busy()
        self.progress.failing = reason
        self.progress.failures += 1
        wait_s = self._backoff.next_s()
        if isinstance(error, TransientSinkError) and error.not_before_s is not None:
            wait_s = min(max(wait_s, error.not_before_s), self._patience.retry_max_s)
        await asyncio.sleep(wait_s)

    def _busy(self) -> None:
        if self._busy_since_s is None:
            self._busy_since_s = time.monotonic()

    def _well(self) -> None:
        self._busy_since_s = None
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

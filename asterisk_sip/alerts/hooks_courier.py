"""Carries changes to one target: gathers what belongs together, writes the notice, and hands it over at least once.

Which changes are one notice is noted before it is sent: after a crash the same changes make the same notice, under the
same id, and who got it before can drop it.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog

from asterisk_sip.alerts.hooks_manners import Bucket, Manners, group_wait_s
from asterisk_sip.alerts.model import Change, change_of
from asterisk_sip.sinks.base import Delivery, Kind, PermanentSinkError, Sink
from asterisk_sip.sinks.courier import Courier
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.sinks.hand_over import Patience
from asterisk_sip.stores.spool import Cursor, Spool

log = structlog.get_logger(__name__)

_SKIPPED_AT_ONCE = 1_000


class Composer(Protocol):
    """Writes the notice of changes."""

    async def compose(self, changes: Sequence[Change], missed: int) -> tuple[str, str]:
        """Return the id of the notice and its JSON. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Both kinds of time: ``now`` in UTC, and seconds that only go forward."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic_s: Callable[[], float] = time.monotonic


class HookCourier(Courier):
    """One target, its cursor in the queue of notices, and its manners."""

    def __init__(
        self,
        name: str,
        target: Sink,
        queue: Spool,
        dead: DeadLetters,
        composer: Composer,
        *,
        manners: Manners | None = None,
        patience: Patience | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._manners = manners or Manners()
        self._clock = clock or Clock()
        super().__init__(name, Expiring(target, self._manners.expire_s, self._clock), queue, dead, patience)
        self._queue = queue
        self._composer = composer
        self._bucket = Bucket(self._manners.per_minute, self._manners.burst)
        self._sent_s = -math.inf
        self._first = (0, 0.0)  # the position that waits longest, and since when
        self._missed = 0
        self._log = log.bind(target=name)

    async def _next(self) -> list[Delivery]:
        """Return what makes the next notice, as soon as it is due; nothing, when nothing waits."""
        if self._cursor.offered > self._cursor.position:
            waiting = await self._queue.deliveries(self._cursor.position, self._manners.queue_max)
            begun = [each for each in waiting if each.position <= self._cursor.offered]
            if begun:
                return begun
        while True:
            self._news.clear()
            await self._skip_what_is_too_much()
            waiting = await self._queue.deliveries(self._cursor.position, self._manners.group_max)
            wait_s = self._wait_s(waiting)
            if wait_s <= 0 or self._last_round:
                return waiting
            try:
                await asyncio.wait_for(self._news.wait(), wait_s)
            except TimeoutError:
                continue

    def _wait_s(self, waiting: Sequence[Delivery]) -> float:
        """Return for how many seconds what waits is to wait still."""
        changes = self._mine(waiting)
        if not changes:
            return 0.0
        now_s = self._clock.monotonic_s()
        if self._first[0] != waiting[0].position:
            self._first = waiting[0].position, now_s
        of_group = group_wait_s(changes, now_s - self._first[1], now_s - self._sent_s, self._manners)
        return max(of_group, self._bucket.wait_s(now_s))

    async def _wanted(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Return the notice of a batch of changes."""
        changes = self._mine(deliveries)
        if not changes:
            return []
        id_, text = await self._composer.compose(changes, self._missed)
        self._missed = 0
        self._bucket.take(self._clock.monotonic_s())
        self._sent_s = self._clock.monotonic_s()
        last = deliveries[-1].position
        return [Delivery(last, "notice", id_, text, repeated=last <= self._cursor.offered)]

    def _mine(self, deliveries: Sequence[Delivery]) -> list[Change]:
        """Return the changes that are for this target."""
        changes = []
        for delivery in deliveries:
            try:
                change = change_of(delivery.text)
            except (KeyError, TypeError, ValueError) as error:
                self._log.error("passed over: not a change of this version", id=delivery.id, reason=repr(error))
                continue
            if change.muted is None and (not change.targets or self.name in change.targets):
                changes.append(change)
        return changes

    async def _skip_what_is_too_much(self) -> None:
        """Pass over the oldest when too much waits: nobody reads ten thousand alerts."""
        last = await self._queue.end() - self._manners.queue_max
        while self._cursor.position < last:
            old = await self._queue.deliveries(self._cursor.position, _SKIPPED_AT_ONCE)
            old = [each for each in old if each.position <= last]
            skipped = len(self._mine(old))
            self._missed += skipped
            await self._note(Cursor(old[-1].position if old else last, max(last, self._cursor.offered)))
            self._log.error("too far behind: changes are passed over", changes=skipped)


class Expiring:
    """A target whose notices are given up at an age: what nobody took for a day wakes nobody any more."""

    wants: frozenset[Kind] = frozenset({"notice"})
    at_most = 1

    def __init__(self, target: Sink, expire_s: float, clock: Clock) -> None:
        self._target = target
        self._expire_s = expire_s
        self._clock = clock
        self._tried: str | None = None

    async def open(self) -> None:
        """Open the target."""
        await self._target.open()

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Hand over one notice. Raises as the target does, and PermanentSinkError for one that is too old by now."""
        for delivery in deliveries:
            age_s = (self._clock.now() - datetime.fromisoformat(json.loads(delivery.text)["at"])).total_seconds()
            if age_s > self._expire_s and self._tried == delivery.id:
                raise PermanentSinkError(f"was not taken for {self._expire_s / 3600:g} h")
            self._tried = delivery.id
            await self._target.write([delivery])

    async def close(self) -> None:
        """Close the target."""
        await self._target.close()

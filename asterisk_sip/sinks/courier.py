"""Carries what is recorded to one sink: in order, at least once, and no other sink ever waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from asterisk_sip.errors import StoreError
from asterisk_sip.sinks.base import Delivery, Sink
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.sinks.hand_over import HandOver, Patience, Progress
from asterisk_sip.stores.spool import Cursor, Spool

_LOOKED_AT = 500


class Courier:
    """One sink and its cursor. What a sink took is noted after it took it: a crash in between delivers it again."""

    def __init__(
        self, name: str, sink: Sink, spool: Spool, dead: DeadLetters, patience: Patience | None = None
    ) -> None:
        self.name = name
        self._sink = sink
        self._spool = spool
        self.hands = HandOver(name, sink, dead, patience)
        self._news = asyncio.Event()
        self._ending = asyncio.Event()
        self._last_round = False
        self._cursor = Cursor(0, 0)

    @property
    def progress(self) -> Progress:
        """What it did since it began."""
        return self.hands.progress

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
        self._ending.set()

    async def run(self) -> None:
        """Deliver until all is delivered after ``finish``, or until cancelled; then let go of the sink."""
        try:
            await self.hands.trying(self._start)
            if not await self._opened():
                return
            while True:
                self._news.clear()
                deliveries = await self.hands.trying(self._next)
                if deliveries:
                    await self._carry(deliveries)
                elif self._last_round:
                    return
                else:
                    await self._news.wait()
        finally:
            await self.hands.close()

    async def _opened(self) -> bool:
        """Open the sink, as soon as that works; return whether it is open: at the end nothing may wait for it."""
        opening = asyncio.create_task(self.hands.open())
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({opening, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done() and not await self._something_waits():
                return False
            await opening
        finally:
            for task in (opening, ending):
                task.cancel()
            await asyncio.gather(opening, ending, return_exceptions=True)
        return True

    async def _something_waits(self) -> bool:
        try:
            waiting = await self._spool.deliveries(self._cursor.position, _LOOKED_AT)
        except StoreError:
            return True
        return len(waiting) == _LOOKED_AT or any(each.kind in self._sink.wants for each in waiting)

    async def _start(self) -> None:
        self._cursor = await self._spool.cursor(self.name)
        await self._spool.move_cursor(self.name, self._cursor)

    async def _next(self) -> list[Delivery]:
        return await self._spool.deliveries(self._cursor.position, self._sink.at_most)

    async def _carry(self, deliveries: list[Delivery]) -> None:
        """Deliver a batch, and note it before and after."""
        cursor, last = self._cursor, deliveries[-1].position
        wanted = await self.hands.trying(lambda: self._wanted(deliveries))
        if wanted:
            await self._note(Cursor(cursor.position, max(last, cursor.offered)))
            await self.hands.deliver(wanted)
        await self._note(Cursor(last, max(last, cursor.offered)))

    async def _wanted(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Return what of a batch the sink is given, marked where it may have been given before."""
        self.hands.progress.gone += sum(not delivery.text for delivery in deliveries)
        return [
            replace(delivery, repeated=True) if delivery.position <= self._cursor.offered else delivery
            for delivery in deliveries
            if delivery.kind in self._sink.wants and delivery.text
        ]

    async def _note(self, cursor: Cursor) -> None:
        if cursor != self._cursor:
            await self.hands.trying(lambda: self._spool.move_cursor(self.name, cursor))
            self._cursor = cursor

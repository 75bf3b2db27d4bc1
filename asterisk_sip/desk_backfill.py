"""Reads after a gap what Asterisk's own log tells of it, before the calls that ended unseen are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import SourceError
from asterisk_sip.stores.base import Gap

log = structlog.get_logger(__name__)

ReadLog = Callable[[float, float], Awaitable[Sequence[ev.Backfilled]]]
"""Takes the begin and the end of a gap (seconds since 1970), gives what happened in it. Raises SourceError."""


@dataclass(frozen=True, slots=True)
class Filled:
    """The log was read, or could not be: what it told of a gap."""

    events: tuple[ev.Event, ...]


class Backfill:
    """One PBX's. While the log is read, lists of living channels are held back: they would close calls blindly."""

    def __init__(self, pbx: str, read_log: ReadLog, tell: Callable[[Filled], None]) -> None:
        self._pbx = pbx
        self._read_log = read_log
        self._tell = tell
        self._reading: set[asyncio.Task[None]] = set()
        self._pending = 0
        self._held: list[ev.Event] = []

    def begin(self, gap: Gap) -> None:
        """Read the log of a gap that is over; what it tells comes as ``Filled``."""
        if gap.ended_at is None:
            return
        self._pending += 1
        task = asyncio.get_running_loop().create_task(self._read(gap, gap.ended_at.timestamp()))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    def holds(self, event: ev.Event) -> bool:
        """Take an event that has to wait; return False for all others."""
        if not self._pending or not isinstance(event, ev.ChannelsListed):
            return False
        self._held.append(event)
        return True

    def take(self, filled: Filled) -> list[ev.Event]:
        """Return what the core hears now: the log's events, then what was held back, when nothing is read any more."""
        self._pending -= 1
        if self._pending:
            return [*filled.events]
        held, self._held = self._held, []
        return [*filled.events, *held]

    async def _read(self, gap: Gap, ended_at: float) -> None:
        events: Sequence[ev.Event] = ()
        try:
            read = await self._read_log(gap.began_at.timestamp(), ended_at)
            events = [each._replace(gap_ids=(gap.id,)) for each in read]
            log.info("calls of the gap read from Asterisk's own log", pbx=self._pbx, calls=len(events))
        except SourceError as error:
            log.warning("Asterisk's own log of the gap cannot be read", pbx=self._pbx, reason=str(error))
        finally:
            self._tell(Filled(tuple(events)))

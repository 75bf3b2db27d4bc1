"""Where the doors of a PBX lead to: its desk, and the one inbox of all desks."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from asterisk_sip.calls import enrich
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.switchboard import Switchboard
from asterisk_sip.desk_backfill import Backfill, Filled, ReadLog
from asterisk_sip.desk_gaps import Listening
from asterisk_sip.stores.base import Gap


@dataclass(slots=True)
class Counters:
    """What the pipeline did since it began."""

    events: int = 0
    lost_events: int = 0
    calls: int = 0
    records: int = 0
    lost_records: int = 0
    lost_ends: int = 0  # of calls saved in flight: the store may still hold them, and the next start take them up
    conflicts: int = 0  # records in which two sources contradict each other


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A door is heard from now on."""

    at: float
    door: str
    version: str | None


@dataclass(frozen=True, slots=True)
class LinkDown:
    """Nothing comes through a door from now on."""

    at: float
    door: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A door passed over messages that it could not read or take."""

    at: float
    door: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Overflow:
    """Events are lost from now on, as the inbox is full; or no more, when it has ``ended``."""

    at: float
    ended: bool = False


News = LinkUp | LinkDown | Lost | Overflow
Item = ev.Event | News | Filled
NEWS = (LinkUp, LinkDown, Lost, Overflow)


class Tape(Protocol):
    """The journal of one door."""

    def data(self, data: bytes) -> None:
        """Take what came."""

    def up(self, at: float, version: str | None) -> None:
        """Hear that the door is heard from a time on."""

    def down(self, at: float, reason: str) -> None:
        """Hear that nothing comes through the door from a time on."""


class Door:
    """The listener of one source: hands what it tells to the inbox, at once."""

    def __init__(self, desk: Desk, name: str, inbox: Inbox, tape: Tape | None = None) -> None:
        self._desk = desk
        self._inbox = inbox
        self._tape = tape
        self.name = name

    def heard(self, events: list[ev.Event]) -> None:
        """Take events, in order."""
        self._inbox.put(self._desk, events)

    def link_up(self, version: str | None) -> None:
        """Hear that the source listens now; ``version`` is Asterisk's, None when it does not tell."""
        at = time.time()
        self._inbox.put(self._desk, [LinkUp(at, self.name, version)])
        if self._tape is not None:
            self._tape.up(at, version)

    def link_down(self, reason: str) -> None:
        """Hear that the source does not listen any more."""
        at = time.time()
        self._inbox.put(self._desk, [LinkDown(at, self.name, reason)])
        if self._tape is not None:
            self._tape.down(at, reason)

    def lost(self, count: int, reason: str) -> None:
        """Hear that the source passed over some messages; ``reason`` reads on after their number."""
        self._inbox.put(self._desk, [Lost(time.time(), self.name, count, reason)])

    def raw(self, data: bytes) -> None:
        """Take raw bytes: they go to the journal, if there is one."""
        if self._tape is not None:
            self._tape.data(data)


class Desk:
    """One PBX: what is known of it, its calls in flight, its gaps."""

    def __init__(self, around: enrich.Surroundings, board: Switchboard, listening: Listening, inbox: Inbox) -> None:
        self.around = around
        self.board = board
        self.listening = listening
        self.relist: list[Callable[[], None]] = []  # each asks a source which channels are alive
        self.tape_of: Callable[[str], Tape] | None = None  # where a door's journal is, when one is kept
        self.backfill: Backfill | None = None
        self.clock_ahead_s = 0.0  # by how much the PBX's clock is ahead of ours, as its newest event showed
        self._inbox = inbox

    def read_gaps_from(self, read_log: ReadLog) -> None:
        """Let Asterisk's own log fill the times in which nobody listened."""
        self.backfill = Backfill(self.pbx, read_log, lambda filled: self._inbox.put(self, [filled]))

    @property
    def pbx(self) -> str:
        """The PBX's name."""
        return self.around.pbx

    def door(self, name: str) -> Door:
        """Return the listener for one of the PBX's sources (``ami``, ``ari``, ``agi``, ``hep``)."""
        return Door(self, name, self._inbox, self.tape_of(name) if self.tape_of is not None else None)

    def take(self, news: News) -> list[Gap]:
        """Take news of a door; return the gaps to write. The calls that a blind gap touches are marked."""
        if isinstance(news, LinkUp):
            if news.version is not None and news.version != self.around.version:
                self.around = replace(self.around, version=news.version)
            return self._filled(self.listening.up(news.door, news.at))
        if isinstance(news, Lost):
            return self.listening.lost(news.door, news.at, news.count, news.reason)
        if isinstance(news, LinkDown):
            gaps = self.listening.down(news.door, news.at, news.reason)
        else:
            gaps = self._overflow(news)
        for gap in gaps:
            if gap.blind:
                self.board.correlator.mark_gap(gap.id)
        return gaps

    def _overflow(self, news: Overflow) -> list[Gap]:
        if not news.ended:
            return self.listening.overflow(news.at)
        for ask in self.relist:  # calls may have ended in what was lost
            ask()
        gaps = self._filled(self.listening.overflow_ended(news.at))
        for gap in gaps:  # those that began meanwhile
            self.board.correlator.mark_gap(gap.id)
        return gaps

    def _filled(self, gaps: list[Gap]) -> list[Gap]:
        """Let the blind gaps that are over be read in Asterisk's own log, if it keeps one."""
        if self.backfill is not None:
            for gap in gaps:
                if gap.blind:
                    self.backfill.begin(gap)
        return gaps


class Inbox:
    """What was heard and not yet worked on, of all PBXs, in order. Bounded: what does not fit makes a gap."""

    def __init__(self, max_events: int, counters: Counters) -> None:
        self._items: deque[tuple[Desk, Iterable[Item]]] = deque()
        self._max_events = max_events
        self._size = 0
        self._counters = counters
        self._overflowing: set[str] = set()  # names of PBXs
        self.wake = asyncio.Event()

    def __len__(self) -> int:
        """How many events wait."""
        return self._size

    def put(self, desk: Desk, items: Sequence[Item]) -> None:
        """Take items; events that do not fit are lost, counted, and told as a gap. News of doors always fit."""
        if not isinstance(items[0], (*NEWS, Filled)):
            full = self._size + len(items) > self._max_events
            if full:
                self._counters.lost_events += len(items)
            if full != (desk.pbx in self._overflowing):
                self._overflowing ^= {desk.pbx}
                self._append(desk, [Overflow(time.time(), ended=not full)])
            if full:
                return
        self._append(desk, items)

    def _append(self, desk: Desk, items: Sequence[Item]) -> None:
        self._items.append((desk, items))
        self._size += len(items)
        self.wake.set()

    def take(self) -> tuple[Desk, list[Item]] | None:
        """Return the oldest items of one PBX, None when there are none."""
        if not self._items:
            self.wake.clear()
            return None
        desk, items = self._items.popleft()
        taken = list(items)
        self._size -= len(taken)
        return desk, taken

"""The road of one hangup: inbox -> correlator -> record -> store. Two bounded queues, no back-and-forth."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from asterisk_sip.calls import enrich, state
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.correlator import Correlator
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.errors import StoreError
from asterisk_sip.retry import Backoff
from asterisk_sip.stores.base import Batch, Gap, OpenCall, Store

log = structlog.get_logger(__name__)

SLICE_EVENTS = 500  # how many events are worked on before the loop may turn to the sockets
TICK_S = 0.2
SAVE_EVERY_S = 2.0
EXPIRE_EVERY_S = 10.0


@dataclass(slots=True)
class Counters:
    """What the pipeline did since it began."""

    events: int = 0
    lost_events: int = 0
    calls: int = 0
    records: int = 0
    lost_records: int = 0


class Desk:
    """One PBX: what is known of it, its calls in flight, its gaps. It is the listener of the PBX's sources."""

    def __init__(self, around: enrich.Surroundings, limits: Limits, inbox: Inbox) -> None:
        self.around = around
        self.correlator = Correlator(limits)
        self._inbox = inbox
        self.gap: Gap | None = None
        self.up = False

    @property
    def pbx(self) -> str:
        """The PBX's name."""
        return self.around.pbx

    def heard(self, events: list[ev.Event]) -> None:
        """Take events from a source."""
        self._inbox.put(self, events)

    def link_up(self, version: str | None) -> None:
        """Hear that a source listens now."""
        self._inbox.put(self, [LinkUp(time.time(), version)])

    def link_down(self, reason: str) -> None:
        """Hear that a source does not listen any more."""
        self._inbox.put(self, [LinkDown(time.time(), reason)])

    def raw(self, data: bytes) -> None:
        """Take raw bytes: nothing is done with them here."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A source listens from now on."""

    at: float
    version: str | None


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A source hears nothing from now on."""

    at: float
    reason: str


Item = ev.Event | LinkUp | LinkDown


class Inbox:
    """What was heard and not yet worked on, of all PBXs, in order. Bounded: what does not fit makes a gap."""

    def __init__(self, max_events: int, counters: Counters) -> None:
        self._items: deque[tuple[Desk, Iterable[Item]]] = deque()
        self._max_events = max_events
        self._size = 0
        self._counters = counters
        self._overflowing = False
        self.wake = asyncio.Event()

    def put(self, desk: Desk, items: Sequence[Item]) -> None:
        """Take items; events that do not fit are lost, counted, and told as a gap."""
        if self._size + len(items) > self._max_events and not isinstance(items[0], LinkUp | LinkDown):
            self._counters.lost_events += len(items)
            if self._overflowing:
                return
            self._overflowing = True
            items = [LinkDown(time.time(), "more events than could be worked on"), LinkUp(time.time(), None)]
        else:
            self._overflowing = False
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


@dataclass(slots=True)
class Pipeline:
    """Works on what the desks hear and writes the records, durably, before anybody else sees them."""

    store: Store
    inbox_max_events: int = 200_000
    flush_s: float = 0.02
    max_waiting_records: int = 50_000
    on_stored: Callable[[list[CallRecord]], None] | None = None
    clock: Callable[[], float] = time.time
    counters: Counters = field(default_factory=Counters)
    desks: list[Desk] = field(default_factory=list)
    inbox: Inbox = field(init=False)
    _waiting: Batch = field(default_factory=Batch)
    _flush: asyncio.Event = field(default_factory=asyncio.Event)
    _store_told: bool = False
    _committing: asyncio.Task[bool] | None = None

    def __post_init__(self) -> None:
        """Make the inbox."""
        self.inbox = Inbox(self.inbox_max_events, self.counters)

    async def add(self, around: enrich.Surroundings, limits: Limits) -> Desk:
        """Open a desk for a PBX and take up the calls that an earlier run left in flight. Raises StoreError."""
        desk = Desk(around, limits, self.inbox)
        remembered = await self.store.open_calls(around.pbx)
        desk.gap = await self._gap_since_last_run(around.pbx, remembered)
        if remembered and desk.gap is not None:
            desk.correlator.restore(_restored(remembered, self._waiting))
            desk.correlator.mark_gap(desk.gap.id)
            log.info("calls in flight taken up from the last run", pbx=around.pbx, calls=len(desk.correlator))
        self.desks.append(desk)
        return desk

    async def _gap_since_last_run(self, pbx: str, remembered: list[OpenCall]) -> Gap | None:
        """Return the gap that lasts until a source listens: what the last run left open, else since its last sign."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        for gap in await self.store.gaps(now, now + timedelta(seconds=1), pbx):
            if gap.ended_at is None:
                return gap
        if not remembered:
            return None
        began_at = max(open_call.seen_at for open_call in remembered)
        gap = _gap(pbx, began_at.timestamp(), "the companion was not running")
        self._waiting.gaps.append(gap)
        return gap

    async def run(self) -> None:
        """Work for ever; when cancelled, work off what was heard, save what is in flight, and write all of it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._work())
                tasks.create_task(self._tick())
                tasks.create_task(self._write())
        finally:
            await self._drain()

    async def _work(self) -> None:
        while True:
            await self.inbox.wake.wait()
            worked = 0
            while (taken := self.inbox.take()) is not None:
                desk, items = taken
                self._handle(desk, items)
                worked += len(items)
                if worked >= SLICE_EVENTS:
                    worked = 0
                    await asyncio.sleep(0)

    def _handle(self, desk: Desk, items: list[Item]) -> None:
        feed = desk.correlator.feed
        for item in items:
            if isinstance(item, LinkUp):
                self._link_up(desk, item)
            elif isinstance(item, LinkDown):
                self._link_down(desk, item)
            else:
                self.counters.events += 1
                ended = feed(item)
                if ended:
                    self._close(desk, ended)

    def _close(self, desk: Desk, calls: list[state.Call]) -> None:
        waiting = self._waiting
        for call in calls:
            waiting.records.append(enrich.record(call, desk.around))
            waiting.closed.extend((desk.pbx, linkedid) for linkedid in call.saved_as)
        self.counters.calls += len(calls)
        overflow = len(waiting.records) - self.max_waiting_records
        if overflow > 0:
            del waiting.records[:overflow]
            self.counters.lost_records += overflow
        self._flush.set()

    def _link_up(self, desk: Desk, item: LinkUp) -> None:
        desk.up = True
        if item.version is not None and item.version != desk.around.version:
            desk.around = replace(desk.around, version=item.version)
        if desk.gap is not None:
            ended_at = datetime.fromtimestamp(item.at, UTC)
            gap = desk.gap
            self._waiting.gaps.append(Gap(gap.id, gap.pbx, gap.source, gap.began_at, ended_at, gap.reason))
            desk.gap = None
            self._flush.set()

    def _link_down(self, desk: Desk, item: LinkDown) -> None:
        desk.up = False
        if desk.gap is None:
            desk.gap = _gap(desk.pbx, item.at, item.reason)
            self._waiting.gaps.append(desk.gap)
            self._flush.set()
        desk.correlator.mark_gap(desk.gap.id)

    async def _tick(self) -> None:
        expire_at = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            now = self.clock()
            self._save_open(now, SAVE_EVERY_S)
            if now >= expire_at:
                expire_at = now + EXPIRE_EVERY_S
                for desk in self.desks:
                    given_up = desk.correlator.expire(now)
                    if given_up:
                        self._close(desk, given_up)

    def _save_open(self, now: float, every_s: float) -> None:
        seen_at = datetime.fromtimestamp(now, UTC)
        for desk in self.desks:
            for call in desk.correlator.unsaved(now, every_s):
                text = json.dumps(state.dump(call), separators=(",", ":"), ensure_ascii=False)
                self._waiting.open_calls.append(OpenCall(desk.pbx, call.linkedid, seen_at, text))
        if self._waiting.open_calls:
            self._flush.set()

    async def _write(self) -> None:
        backoff = Backoff(0.5, 15.0)
        while True:
            await self._flush.wait()
            await asyncio.sleep(self.flush_s)  # what ends together is written together
            self._flush.clear()
            if await self._write_once():
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next_s())
                self._flush.set()

    async def _write_once(self) -> bool:
        """Write what waits; return whether the store took it. Being cancelled does not stop what is being written."""
        batch, self._waiting = self._waiting, Batch()
        if not (batch.records or batch.open_calls or batch.closed or batch.gaps):
            return True
        self._committing = asyncio.create_task(self._commit(batch))
        return await asyncio.shield(self._committing)

    async def _commit(self, batch: Batch) -> bool:
        try:
            self.counters.records += await self.store.write(batch)
        except StoreError as error:
            self._put_back(batch)
            self._tell_store(str(error))
            return False
        self._tell_store(None)
        if self.on_stored is not None and batch.records:
            self.on_stored(batch.records)
        return True

    def _tell_store(self, trouble: str | None) -> None:
        if trouble is not None and not self._store_told:
            log.error("records wait in memory: the store does not take them", reason=trouble)
        elif trouble is None and self._store_told:
            log.info("the store takes records again")
        self._store_told = trouble is not None

    def _put_back(self, batch: Batch) -> None:
        later = self._waiting
        self._waiting = Batch(
            batch.records + later.records,
            later.open_calls,  # they are saved again soon, newer
            batch.closed + later.closed,
            batch.gaps + later.gaps,
        )

    async def _drain(self) -> None:
        if self._committing is not None:
            await self._committing
        while (taken := self.inbox.take()) is not None:
            self._handle(*taken)
        self._save_open(self.clock(), 0.0)
        if not await self._write_once():
            log.error("records lost: the store did not take them at the end", records=len(self._waiting.records))


def _gap(pbx: str, began_at: float, reason: str) -> Gap:
    text = f"{pbx}\0ami\0{began_at:.6f}"
    gap_id = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return Gap(gap_id, pbx, "ami", datetime.fromtimestamp(began_at, UTC), None, reason)


def _restored(remembered: list[OpenCall], batch: Batch) -> list[state.Call]:
    calls = []
    for open_call in remembered:
        try:
            calls.append(state.load(json.loads(open_call.state)))
        except (ValueError, KeyError, TypeError):
            log.warning("a call in flight of another version is not taken up", linkedid=open_call.linkedid)
            batch.closed.append((open_call.pbx, open_call.linkedid))
    return calls

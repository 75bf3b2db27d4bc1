"""The road of one hangup: inbox -> correlator -> record -> store. Two bounded queues, no back-and-forth."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from asterisk_sip.calls import enrich, state
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.own_address import Addresses
from asterisk_sip.calls.switchboard import Switchboard
from asterisk_sip.calls.tally import Spread
from asterisk_sip.desk import NEWS, Counters, Desk, Inbox, Item
from asterisk_sip.desk_backfill import Filled
from asterisk_sip.desk_gaps import Listening
from asterisk_sip.errors import StoreError
from asterisk_sip.pipeline_clock import Clocks
from asterisk_sip.retry import Backoff
from asterisk_sip.stores.base import Batch, Gap, OpenCall, Store

log = structlog.get_logger(__name__)

SLICE_EVENTS = 500  # how many events are worked on before the loop may turn to the sockets
TICK_S = 0.2
LOOK_FOR_UNSAVED_S = 1.0  # most calls that fail are over sooner: they are written once, as records
SAVE_EVERY_S = 2.0
EXPIRE_EVERY_S = 10.0
LISTENED_EVERY_S = 5.0
WRITE_BOUNDS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
STRUCTURE = ("ami", "ari")
"""The doors that tell of every channel of a PBX. With neither, the others tell of its calls as well as they can."""


@dataclass(slots=True)
class Pipeline:
    """Works on what the desks hear and writes the records, durably, before anybody else sees them."""

    store: Store
    inbox_max_events: int = 200_000
    flush_s: float = 0.02
    max_waiting_records: int = 50_000
    on_stored: Callable[[list[CallRecord]], None] | None = None
    private: Callable[[CallRecord], CallRecord] | None = None
    clock: Callable[[], float] = time.time
    counters: Counters = field(default_factory=Counters)
    desks: list[Desk] = field(default_factory=list)
    inbox: Inbox = field(init=False)
    _waiting: Batch = field(default_factory=Batch)
    _flush: asyncio.Event = field(default_factory=asyncio.Event)
    store_trouble: str | None = None  # why the store takes nothing, None while it does
    write_s: Spread = field(default_factory=lambda: Spread(WRITE_BOUNDS_S))
    _faults: set[type[Exception]] = field(default_factory=set)  # of ours, that the log already has
    _lost_before: tuple[int, int] = (0, 0)
    _committing: asyncio.Task[bool] | None = None

    def __post_init__(self) -> None:
        """Make the inbox."""
        self.inbox = Inbox(self.inbox_max_events, self.counters)

    @property
    def waiting_records(self) -> int:
        """How many records the store has not been given, or has not taken."""
        return len(self._waiting.records)

    async def add(
        self,
        around: enrich.Surroundings,
        limits: Limits,
        doors: tuple[str, ...] = ("ami",),
        settle_s: float = 0.0,
        addresses: Addresses | None = None,
    ) -> Desk:
        """Open a desk for a PBX with its doors, and take up the calls that an earlier run left in flight.

        ``settle_s`` is how long an ended call waits for what another door still tells; ``addresses`` what is known of
        the SIP addresses of the PBX and those around it. Raises StoreError.
        """
        pbx = around.pbx
        telling = tuple(door for door in doors if door in STRUCTURE) or doors
        now = datetime.fromtimestamp(self.clock(), UTC)
        lasting = [gap for gap in await self.store.gaps(now, now + timedelta(seconds=1), pbx) if gap.ended_at is None]
        listening = Listening(pbx, telling, lasting, now.timestamp())
        remembered = await self.store.open_calls(pbx)
        last = [open_call.seen_at for open_call in remembered]
        last += filter(None, [await self.store.listened_until(pbx)])
        if last:
            self._waiting.gaps += listening.not_running(max(last).timestamp())
        desk = Desk(
            around,
            Switchboard(limits, settle_s=settle_s, addresses=addresses, hep_alone=doors == ("hep",)),
            listening,
            self.inbox,
        )
        gap = listening.blind_gap
        if remembered and gap is not None:
            desk.board.correlator.restore(_restored(remembered, self._waiting))
            desk.board.correlator.mark_gap(gap.id)
            log.info("calls in flight taken up from the last run", pbx=pbx, calls=len(desk.board.correlator))
        self.desks.append(desk)
        return desk

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
        backfill = desk.backfill
        now = time.monotonic()
        heard_at = 0.0
        for item in items:
            if isinstance(item, NEWS):
                self._take_gaps(desk.take(item))
            elif isinstance(item, Filled):
                if backfill is not None:
                    for event in backfill.take(item):
                        self._close(desk, self._fed(desk, event, now))
            elif backfill is None or not backfill.holds(item):
                self.counters.events += 1
                ended = self._fed(desk, item, now)
                if ended:
                    self._close(desk, ended)
                heard_at = item.at
        if heard_at:
            desk.clock_ahead_s = heard_at - self.clock()

    def _fed(self, desk: Desk, event: ev.Event, now: float) -> list[state.Call]:
        """Feed an event; return the calls that are complete with it. A fault of ours makes its call partial, only."""
        try:
            return desk.board.feed(event, now)
        except Exception as error:
            self.counters.lost_events += 1
            desk.board.correlator.mark_missed(part.uniqueid for part in event if isinstance(part, ev.Channel))
            if type(error) not in self._faults:  # thousands a second may be of the same kind
                self._faults.add(type(error))
                log.exception("events are lost: they cannot be worked on (told once)", pbx=desk.pbx)
            return []

    def _close(self, desk: Desk, calls: list[state.Call]) -> None:
        waiting = self._waiting
        for call in calls:
            record = self._judged(call, desk)
            if record is not None:
                self.counters.conflicts += record.evidence.conflict
                waiting.records.append(record)
            if call.saved_as:
                closed = {(desk.pbx, linkedid) for linkedid in call.saved_as}
                waiting.closed += closed
                # Saved and over within one batch: the store keeps what is both, as its linkedid may be used again.
                waiting.open_calls = [each for each in waiting.open_calls if (each.pbx, each.linkedid) not in closed]
        self.counters.calls += len(calls)
        self._bound()
        self._flush.set()

    def _judged(self, call: state.Call, desk: Desk) -> CallRecord | None:
        """Return a call's record, None when we fail at it: a fault of ours costs the one call, not all that follow."""
        try:
            record = enrich.record(call, desk.around)
            return record if self.private is None else self.private(record)
        except Exception:  # whatever it is, the log tells it with where it came from
            log.exception("a call was lost: it could not be judged", pbx=desk.pbx, linkedid=call.linkedid)
            self.counters.lost_records += 1
            return None

    def _take_gaps(self, gaps: list[Gap]) -> None:
        if gaps:
            self._waiting.gaps += gaps
            self._flush.set()

    def _bound(self) -> None:
        """Give up what waits for the store beyond its bound: the oldest records, and the latest ends of saved calls.

        The first ends are of calls that the store knows; what was saved later, while it took nothing, is not there.
        """
        waiting, most = self._waiting, self.max_waiting_records
        self.counters.lost_records += max(0, len(waiting.records) - most)
        self.counters.lost_ends += max(0, len(waiting.closed) - most)
        del waiting.records[: max(0, len(waiting.records) - most)], waiting.closed[most:]

    async def _tick(self) -> None:
        expire_at = listened_at = save_at = 0.0
        clocks = Clocks()
        while True:
            await asyncio.sleep(TICK_S)
            now, ticks = self.clock(), time.monotonic()
            clocks.own(now, ticks)
            if ticks >= save_at:
                save_at = ticks + LOOK_FOR_UNSAVED_S
                self._save_open(now, SAVE_EVERY_S)
            for desk in self.desks:
                self._take_gaps(desk.listening.tick(now))
                clocks.pbx(desk.pbx, desk.clock_ahead_s)
                settled = desk.board.due(ticks)
                if settled:
                    self._close(desk, settled)
            if ticks >= listened_at:
                listened_at = ticks + LISTENED_EVERY_S
                self._tell_listened(now)
            if ticks >= expire_at:
                expire_at = ticks + EXPIRE_EVERY_S
                for desk in self.desks:
                    given_up = desk.board.ended(desk.board.correlator.expire(now + desk.clock_ahead_s), ticks)
                    if given_up:
                        self._close(desk, given_up)

    def _tell_listened(self, now: float) -> None:
        """Keep until when each PBX was listened to: a crash then leaves a gap, even when no call was in flight."""
        for desk in self.desks:
            if not desk.listening.blind:
                self._waiting.listened[desk.pbx] = datetime.fromtimestamp(now, UTC)
                self._flush.set()

    def _save_open(self, now: float, every_s: float) -> None:
        seen_at = datetime.fromtimestamp(now, UTC)
        for desk in self.desks:
            for call in desk.board.correlator.unsaved(now, every_s):
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
        if not (batch.records or batch.open_calls or batch.closed or batch.gaps or batch.listened):
            return True
        self._committing = asyncio.create_task(self._commit(batch))
        return await asyncio.shield(self._committing)

    async def _commit(self, batch: Batch) -> bool:
        began_s = time.monotonic()
        try:
            self.counters.records += await self.store.write(batch)
        except StoreError as error:
            self._put_back(batch)
            self._tell_store(str(error))
            return False
        self.write_s.add(time.monotonic() - began_s)
        self._tell_store(None)
        if self.on_stored is not None and (batch.records or batch.gaps):
            self.on_stored(batch.records if batch.new is None else batch.new)
        return True

    def _tell_store(self, trouble: str | None) -> None:
        if trouble is not None and self.store_trouble is None:
            log.error("records wait in memory: the store does not take them", reason=trouble)
            self._lost_before = (self.counters.lost_records, self.counters.lost_ends)
        elif trouble is None and self.store_trouble is not None:
            records, ends = self._lost_before
            lost, lost_ends = self.counters.lost_records - records, self.counters.lost_ends - ends
            log.info("the store takes records again", lost=lost, lost_ends=lost_ends)
        self.store_trouble = trouble

    def _put_back(self, batch: Batch) -> None:
        later = self._waiting
        self._waiting = Batch(
            batch.records + later.records,
            later.open_calls,  # they are saved again soon, newer
            batch.closed + later.closed,
            batch.gaps + later.gaps,
            batch.listened | later.listened,
        )
        self._bound()

    async def _drain(self) -> None:
        if self._committing is not None:
            await self._committing
        while (taken := self.inbox.take()) is not None:
            self._handle(*taken)
        for desk in self.desks:
            self._close(desk, desk.board.finish())
        self._save_open(self.clock(), 0.0)
        if not await self._write_once():
            lost = len(self._waiting.records)
            self.counters.lost_records += lost
            log.error("records lost: the store did not take them at the end", records=lost)


def _restored(remembered: list[OpenCall], batch: Batch) -> list[state.Call]:
    calls = []
    for open_call in remembered:
        try:
            calls.append(state.load(json.loads(open_call.state)))
        except (ValueError, KeyError, TypeError):
            log.warning("a call in flight of another version is not taken up", linkedid=open_call.linkedid)
            batch.closed.append((open_call.pbx, open_call.linkedid))
    return calls

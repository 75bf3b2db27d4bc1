"""What the running program knows of itself, for /readyz, /metrics and systemd."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from asterisk_sip.alerts.model import change_of
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.tally import Tally
from asterisk_sip.config import Config, PbxConfig
from asterisk_sip.daemon_alarms import Alarms
from asterisk_sip.desk import Desk
from asterisk_sip.desk_gaps import COMPANION, INBOX
from asterisk_sip.errors import StoreError
from asterisk_sip.health import DoorHealth, Health, PbxHealth, SinkHealth, WorkHealth, in_a_line
from asterisk_sip.metrics import Samples, of_health, of_tally
from asterisk_sip.pipeline import Pipeline
from asterisk_sip.sinks.couriers import Couriers
from asterisk_sip.sinks.hand_over import HandOver
from asterisk_sip.sources.keeper import LinkedSource
from asterisk_sip.stores.completeness import completeness

SLICE = 200  # so many records are counted before the loop turns to something else
ASK_EVERY_S = 1.0  # so often the store is asked what there is to deliver
STORE_S = 2.0  # how long the store may take to be asked
ALERTS = "alert:"
"""How the name of a target of alerts begins where it stands beside sinks."""

_A_DAY = timedelta(days=1)


class Watch:
    """Gathers what the rooms tell. A room that is not there (yet) is left out."""

    def __init__(self, config: Config) -> None:
        self.phase = "starting"
        self.pipeline: Pipeline | None = None
        self.couriers: Couriers | None = None
        self.alarms: Alarms | None = None
        self.collector: HandOver | None = None
        self.collecting: Callable[[], str | None] = lambda: None  # why nothing is collected
        self.tally = Tally((pbx.name for pbx in config.pbx), (rule.name for rule in config.trunk))
        self._config = config
        self._sources: dict[tuple[str, str], LinkedSource[Any]] = {}
        self._uncounted: deque[tuple[CallRecord, float]] = deque()
        self._news = asyncio.Event()
        self._ends: dict[int, int | None] = {}  # up to where there is something to deliver, by who delivers it
        self._ask_again_s = 0.0

    def listens(self, sources: Iterable[object]) -> None:
        """Hear of the sources there are: those that connect tell why they cannot."""
        for source in sources:
            if isinstance(source, LinkedSource):
                self._sources[source.pbx, source.door] = source

    def stored(self, records: list[CallRecord]) -> None:
        """Take records that are durable now."""
        now = time.time()
        self._uncounted.extend((record, now) for record in records)
        self._news.set()

    async def run(self) -> None:
        """Count what was stored, a slice at a time; for ever."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._uncounted:
                    self._count(SLICE)
                    await asyncio.sleep(0)
        finally:
            self._count(len(self._uncounted))

    async def health(self) -> Health:
        """Return how the program is, with what waits for each sink."""
        if (
            time.monotonic() >= self._ask_again_s
        ):  # anybody may ask for /readyz: that must not keep the sinks from reading
            self._ask_again_s = time.monotonic() + ASK_EVERY_S
            self._ends = {id(each): await _end(each) for each in self._delivering()}
        return self.now(self._ends)

    async def samples(self) -> Samples:
        """Return the numbers of everything."""
        self._count(len(self._uncounted) if len(self._uncounted) < SLICE else 0)
        found = await asyncio.to_thread(of_tally, self.tally.copy())
        found |= of_health(await self.health())
        if self.pipeline is not None:
            found["store_write_seconds"] = {(): self.pipeline.write_s.copy()}
            found |= await self._alerts()
            found["completeness_ratio"] = {(name,): share for name, share in (await self._completeness()).items()}
        return found

    def status(self) -> str:
        """Return the state in one line."""
        return in_a_line(self.now())

    def now(self, ends: Mapping[int, int | None] | None = None) -> Health:
        """Return how the program is. ``ends``: up to where there is something to deliver, by who delivers it."""
        pipeline = self.pipeline
        return Health(
            phase=self.phase,
            store=None if pipeline is None else pipeline.store.place,
            source_trouble=self.collecting(),
            store_trouble=None if pipeline is None else pipeline.store_trouble,
            pbxs=() if pipeline is None else tuple(self._pbxs(pipeline)),
            sinks=tuple(self._sinks(ends or {})),
            work=None if pipeline is None else _work(pipeline),
        )

    def _pbxs(self, pipeline: Pipeline) -> Iterable[PbxHealth]:
        desks = {desk.pbx: desk for desk in pipeline.desks}
        return (self._pbx(pbx, desks[pbx.name]) for pbx in self._config.pbx if pbx.name in desks)

    def _pbx(self, pbx: PbxConfig, desk: Desk) -> PbxHealth:
        listening = desk.listening
        return PbxHealth(
            name=pbx.name,
            heard=not listening.blind,
            version=desk.around.version,
            doors=tuple(
                DoorHealth(
                    door,
                    listening.hears(door),
                    self._trouble(desk, door),
                    listening.outages[door],
                    listening.lost_messages[door],
                )
                for door in pbx.doors
            ),
            open_calls=len(desk.board.correlator),
            clock_ahead_s=desk.clock_ahead_s,
            gaps_begun={**_possible_gaps(pbx.doors), **listening.begun},
            gaps_open=len(listening.lasting),
        )

    def _trouble(self, desk: Desk, door: str) -> str | None:
        if desk.listening.hears(door):
            return None
        source = self._sources.get((desk.pbx, door))
        if source is not None and source.last_error is not None:
            return str(source.last_error)
        gap = desk.listening.lasting.get(door)
        return None if gap is None else gap.reason

    def _delivering(self) -> list[Couriers]:
        """Return who delivers records, and who delivers notices of alerts."""
        targets = None if self.alarms is None else self.alarms.targets
        return [each for each in (self.couriers, targets) if each is not None and each.couriers]

    def _sinks(self, ends: Mapping[int, int | None]) -> Iterable[SinkHealth]:
        for delivering in self._delivering():
            end = ends.get(id(delivering))
            for courier in delivering.couriers:
                waiting = None if end is None else max(0, end - courier.position)
                yield _sink(courier.hands, waiting, "" if delivering is self.couriers else ALERTS)
        if self.collector is not None:
            yield _sink(self.collector, None)

    async def _alerts(self) -> Samples:
        """Return how many alerts fire, by rule; nothing when there are no rules, or the store does not tell."""
        if self.alarms is None or not self.alarms.readers:
            return {}
        try:
            async with asyncio.timeout(STORE_S):
                firing = await self.alarms.book.firing()
        except (StoreError, TimeoutError):
            return {}
        by_rule = dict.fromkeys(self.alarms.rule_names, 0) | Counter(change_of(entry.fired).rule for entry in firing)
        told = sum(lookout.tally.changes for lookout in self.alarms.readers)
        return {
            "alerts_firing": {(rule,): count for rule, count in by_rule.items()},
            "alert_changes": {(): told},
        }

    async def _completeness(self) -> dict[str, float]:
        """Return which share of the last day each PBX was heard; nothing when the store does not tell."""
        assert self.pipeline is not None  # noqa: S101  the caller looked
        until = datetime.now(UTC)
        try:
            async with asyncio.timeout(STORE_S):
                gaps = await self.pipeline.store.gaps(until - _A_DAY, until)
        except (StoreError, TimeoutError):
            return {}
        shares = {
            pbx.name: completeness([gap for gap in gaps if gap.pbx == pbx.name], until - _A_DAY, until)
            for pbx in self._config.pbx
        }
        return {name: share for name, share in shares.items() if share is not None}

    def _count(self, most: int) -> None:
        for _ in range(min(most, len(self._uncounted))):
            self.tally.add(*self._uncounted.popleft())


def _possible_gaps(doors: Iterable[str]) -> dict[tuple[str, bool], int]:
    """Return 0 for each kind of gap: a counter that only appears with its first one hides that one from Prometheus."""
    kinds = [(COMPANION, True), (INBOX, True), *((door, blind) for door in doors for blind in (True, False))]
    return dict.fromkeys(kinds, 0)


def _work(pipeline: Pipeline) -> WorkHealth:
    counters = pipeline.counters
    return WorkHealth(
        events=counters.events,
        lost_events=counters.lost_events,
        records=counters.records,
        lost_records=counters.lost_records,
        inbox_events=len(pipeline.inbox),
        inbox_limit=pipeline.inbox_max_events,
        waiting_records=pipeline.waiting_records,
    )


async def _end(delivering: Couriers) -> int | None:
    """Return the position of what is to be delivered last, None when the store does not tell."""
    try:
        async with asyncio.timeout(STORE_S):
            return await delivering.spool.end()
    except (StoreError, TimeoutError):
        return None


def _sink(hands: HandOver, waiting: int | None, prefix: str = "") -> SinkHealth:
    progress = hands.progress
    return SinkHealth(
        name=prefix + hands.name,
        trouble=progress.failing,
        waiting=waiting,
        held_s=hands.held_s,
        delivered=progress.delivered,
        repeated=progress.repeated,
        dead=progress.dead,
        gone=progress.gone,
        failures=progress.failures,
    )

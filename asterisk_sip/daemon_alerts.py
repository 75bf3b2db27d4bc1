"""Keeps the engine of alerts fed with what is recorded, and writes what it tells into the book.

It reads the spool as a sink does. What it knows is saved now and then, together with how far it has read; after a crash
it reads again what came since, tells the same under the same ids, and the book drops what it has.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog

from asterisk_sip.alerts.engine import Engine
from asterisk_sip.alerts.engine_heard import Trouble
from asterisk_sip.alerts.engine_mute import Silenced
from asterisk_sip.alerts.engine_past import trouble_of
from asterisk_sip.alerts.model import Change, Kind, Rule, State, change_of, change_text
from asterisk_sip.alerts.past import learn
from asterisk_sip.errors import StoreError
from asterisk_sip.retry import Backoff
from asterisk_sip.sinks.hand_over import Progress
from asterisk_sip.stores.alert_book import AlertBook
from asterisk_sip.stores.base import Gap
from asterisk_sip.stores.spool import Delivery
from asterisk_sip.stores.sqlite import SqliteStore

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")
Sinks = Callable[[], Iterable[tuple[str, Progress]]]

READER = "alerts:rules"  # no sink has such a name

_AT_ONCE = 500
_SLICE = 50  # records between two turns of the loop
_TICK_S = 1.0
_SAVE_EVERY_S = 60.0
_SAVE_SHARE = 0.01  # of all time: what takes longer is done more seldom
_GAPS_BACK = timedelta(minutes=2)
_SINK_IDLE_S = 30.0
_REPLAYED = ("failure", "answered")


@dataclass(slots=True)
class Tally:
    """What it did since it began."""

    records: int = 0
    unread: int = 0
    changes: int = 0
    groups: int = 0
    evicted: int = 0


class Lookout:
    """The rules at work in the daemon. ``told`` is called when there are notices, ``clock`` gives seconds since 1970.

    ``sinks`` tells how each sink does; it may be set until ``run``.
    """

    name = READER

    def __init__(
        self,
        wanted: Sequence[Rule],
        pbxs: Sequence[str],
        store: SqliteStore,
        book: AlertBook,
        *,
        told: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.engine = Engine(wanted, pbxs)
        self.tally = Tally()
        self.taken_up = False
        self._rules = tuple(wanted)
        self._others: tuple[Rule, ...] | None = None  # rules to be taken next
        self._pbxs = tuple(pbxs)
        self._store = store
        self._book = book
        self.sinks: Sinks = tuple
        self.told = told
        self._clock = clock
        self._news = asyncio.Event()
        self._last_round = False
        self._read = 0  # up to where the spool was read
        self._saved = 0  # up to where nothing is needed again
        self._save_at = 0.0
        self._ticked_at = 0.0
        self._gaps: dict[str, Gap] = {}
        self._untold: list[Change] = []
        self._began = time.monotonic()
        self._failing = False

    @property
    def position(self) -> int:
        """Up to which position of the spool it needs nothing any more."""
        return self._saved

    def wake(self) -> None:
        """Say that something was recorded."""
        self._news.set()

    def change(self, wanted: Sequence[Rule]) -> None:
        """Judge by other rules, as soon as what was recorded so far is judged. What is in both keeps what it knows."""
        self._others = tuple(wanted)
        self._news.set()

    def finish(self) -> None:
        """Let ``run`` end as soon as everything is read."""
        self._last_round = True
        self._news.set()

    async def run(self) -> None:
        """Judge until all is read after ``finish``, or until cancelled."""
        await self._trying(self._take_up)
        while True:
            self._news.clear()
            full = await self._trying(self._round)
            if full:
                continue
            if self._others is not None:
                await self._trying(self._change)
            if self._last_round:
                await self._save()
                return
            try:
                async with asyncio.timeout(_TICK_S):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _take_up(self) -> None:
        """Take up what an earlier run knew; what a rule has to know of the past, it learns from the store."""
        cursor = await self._store.cursor(READER)
        self._read = self._saved = cursor.position
        states = await self._book.states()
        anew = self.engine.load(states)
        now = self._clock()
        if not states:
            self.engine.begin(now)
        else:
            await self._not_running(now)
        await self._begin(anew, now)
        await self._tell()
        await self._save()
        self.taken_up = True

    async def _not_running(self, now: float) -> None:
        """Tell the engine since when nothing was heard, until the gap of each PBX itself is told."""
        for pbx in self._pbxs:
            heard = await self._store.listened_until(pbx)
            began = self.engine.time if heard is None else max(self.engine.time, heard.timestamp())
            fields: dict[str, str | bool] = {"pbx": pbx, "source": "companion", "blind": True, "reason": ""}
            self.engine.trouble(Kind.GAP, Trouble(f"{pbx} restart", began, now, fields))

    async def _change(self) -> None:
        """Put an engine with the other rules in the place of this one, which knows what the book has of it."""
        assert self._others is not None  # noqa: S101  the caller looked
        await self._tell()
        await self._save()
        states = await self._book.states()
        before = self.engine, self._rules, self._gaps, self._read
        self._rules, self._gaps, self._read = self._others, {}, self._saved
        self.engine = Engine(self._rules, self._pbxs)
        try:
            await self._begin(self.engine.load(states), self._clock())
        except BaseException:
            self.engine, self._rules, self._gaps, self._read = before
            raise
        self._others = None

    async def _begin(self, anew: Sequence[str], now: float) -> None:
        """Let the rules take up what fires, and those that begin anew learn from the past."""
        await self._hear_gaps(timedelta(days=1))
        firing = [change_of(entry.fired) for entry in await self._book.firing()]
        at = datetime.fromtimestamp(now, UTC)
        learned = await learn([rule for rule in self._rules if rule.name in anew], self._store, at)
        self.engine.load(learned)
        orphans = self.engine.adopt(firing)
        self._untold += [_ended(change, at) for change in orphans]
        log.info("alerts", rules=len(self._rules), firing=len(firing) - len(orphans), begin_anew=len(anew))

    async def _round(self) -> bool:
        """Read and judge once; return whether there is more to read."""
        await self._tell()
        deliveries = await self._store.deliveries(self._read, _AT_ONCE)
        now = self._clock()
        for number, delivery in enumerate(deliveries, 1):
            if delivery.kind in _REPLAYED and delivery.text:
                self._feed(delivery, now)
            self._read = delivery.position
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        full = len(deliveries) == _AT_ONCE
        if not full and (time.monotonic() >= self._ticked_at + _TICK_S or self._last_round):
            self._ticked_at = time.monotonic()
            await self._hear()
            self._untold += self.engine.tick(now)
        await self._tell()
        if time.monotonic() >= self._save_at:
            await self._save()
        return full

    def _feed(self, delivery: Delivery, now: float) -> None:
        """Judge one record. One of another version that cannot be read is passed over, and told."""
        try:
            self._untold += self.engine.feed(json.loads(delivery.text), delivery.position, now)
        except (KeyError, TypeError, ValueError) as error:
            self.tally.unread += 1
            log.warning("alerts pass over a record they cannot read", id=delivery.id, reason=repr(error))
        self.tally.records += 1

    async def _hear(self) -> None:
        await self._hear_gaps(_GAPS_BACK)
        lasting = await self._book.silences(datetime.fromtimestamp(self._clock(), UTC))
        self.engine.silence(Silenced(each.rule, each.until.timestamp(), each.why) for each in lasting)
        self._hear_sinks()

    async def _hear_gaps(self, back: timedelta) -> None:
        """Tell the engine of gaps that are new or over."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        gaps = {gap.id: gap for gap in await self._store.gaps(now - back, now + timedelta(seconds=1))}
        for gap in gaps.values():
            if self._gaps.get(gap.id) != gap:
                self.engine.trouble(Kind.GAP, trouble_of(gap))
        self._gaps = gaps

    def _hear_sinks(self) -> None:
        """Tell the engine which sinks take nothing. After a start one is well again only when it has shown so."""
        lasting = {str(each.fields["sink"]): each for each in self.engine.lasting(Kind.SINK) if each.ended is None}
        now = self._clock()
        settled = time.monotonic() - self._began > _SINK_IDLE_S
        for name, progress in self.sinks():
            known = lasting.get(name)
            if progress.failing is not None and known is None:
                fields: dict[str, str | bool] = {"sink": name, "reason": progress.failing}
                self.engine.trouble(Kind.SINK, Trouble(f"{name}-{now:.3f}", now, None, fields))
            elif progress.failing is None and known is not None and (progress.delivered or settled):
                self.engine.trouble(Kind.SINK, replace(known, ended=now))

    async def _tell(self) -> None:
        """Write what is untold into the book: durable before anybody hears of it."""
        if not self._untold:
            return
        changes = self._untold
        await self._book.tell([(change, change_text(change)) for change in changes])
        self._untold = []
        for change in changes:
            if change.kind is not Kind.HOOK:
                log.info("alert", state=change.state.value, rule=change.rule, group=change.group, muted=change.muted)
        self.tally.changes += len(changes)
        self.told()

    async def _save(self) -> None:
        """Save what the engine knows, and up to where nothing has to be read again."""
        began = time.monotonic()
        states = await asyncio.to_thread(self.engine.dump, self._read)
        saved = min(self.engine.waiting, default=self._read + 1) - 1
        await self._book.save(states, READER, saved)
        self._saved = saved
        now = time.monotonic()
        self._save_at = now + max(_SAVE_EVERY_S, (now - began) / _SAVE_SHARE)
        self._tell_evicted()
        self.tally.groups, self.tally.evicted = self.engine.groups, self.engine.evicted

    def _tell_evicted(self) -> None:
        if self.engine.evicted and not self.tally.evicted:
            hint = "raise max_groups, or group by what remote parties cannot invent"
            log.warning("alerts forget idle groups: a rule has too many", rules=self.engine.crowded, hint=hint)

    async def _trying(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do something again and again until the store lets it."""
        backoff = Backoff(0.5, 15.0)
        while True:
            try:
                answer = await work()
            except StoreError as error:
                if not self._failing:
                    log.warning("alerts wait: the store does not answer", reason=str(error))
                self._failing = True
                await asyncio.sleep(backoff.next_s())
            except Exception:  # whatever it is: alerts that end for ever would not be missed
                log.exception("alerts go on after a fault")
                await asyncio.sleep(backoff.next_s())
            else:
                if self._failing:
                    log.info("alerts are judged again")
                self._failing = False
                return answer


def _ended(change: Change, at: datetime) -> Change:
    """Return the end of an alert whose rule is no longer there."""
    return replace(
        change,
        id=f"{change.alert_id}-{State.CLEARED}",
        state=State.CLEARED,
        at=at,
        detail="the rule is no longer in the configuration",
    )

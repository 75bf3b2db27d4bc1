"""Stored calls as the engine takes them: for rules that compare with the past, and for looking back at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

import structlog

from asterisk_sip.alerts.engine import LAG_S, Engine
from asterisk_sip.alerts.engine_past import Backtest, Episode, answered, trouble_of
from asterisk_sip.alerts.engine_trace import TRACED
from asterisk_sip.alerts.engine_trace import trace as engine_trace
from asterisk_sip.alerts.model import Change, Kind, Rule, State
from asterisk_sip.errors import AsteriskSipError
from asterisk_sip.stores.base import CallQuery, Store, TotalsQuery, microseconds
from asterisk_sip.stores.erasure import Stored

log = structlog.get_logger(__name__)

States = dict[str, tuple[str, str]]

COMPARING = (Kind.BURST, Kind.SILENCE, Kind.NEW_CODE)

_COMPANION = "companion"  # the source of a gap in which nobody was there to tell of it
_AT_ONCE = 500
_PORTION = timedelta(hours=1)
_SLICE = 50  # calls between two turns of the loop
_ANSWERED = '"outcome":"answered"'  # as records are written, see calls.record_text
_POINTS = 240
_MOST_TRACED = 20_000


async def learn(rules: Sequence[Rule], store: Store, until: datetime) -> States:
    """Return what the rules that compare with the past know of it. Raises StoreError."""
    comparing = [rule for rule in rules if rule.kind in COMPARING]
    if not comparing:
        return {}
    since = until - timedelta(weeks=max(rule.weeks for rule in comparing))
    engine = Engine(comparing)
    records = 0
    async for call in past(store, since, until, "hour"):
        engine.learn(call)
        records += 1
    if records:
        log.info("alerts learned from the past", rules=len(comparing), records=records)
    return engine.learned()


async def backtest(rule: Rule, store: Store, since: datetime, until: datetime, pbxs: tuple[str, ...] = ()) -> Backtest:
    """Judge a time again. Raises StoreError, and AsteriskSipError for a rule about sinks: that is not stored."""
    if rule.kind is Kind.SINK:
        raise AsteriskSipError(f"alert {rule.name!r} is about sinks; how they did is not stored")
    before = since - timedelta(seconds=rule.window_s)
    engine = Engine([rule], pbxs)
    engine.begin((since if rule.kind in COMPARING else before).timestamp())
    if rule.kind in COMPARING:
        engine.load(await learn([rule], store, since))
    gaps = await store.gaps(before, until)
    for gap in gaps:
        if rule.kind is not Kind.GAP or gap.source != _COMPANION:
            engine.trouble(Kind.GAP, trouble_of(gap))
    changes: list[Change] = []
    records = counted_only = 0
    async for call in past(store, since if rule.kind in COMPARING else before, until):
        changes += engine.feed(call)
        records += 1
        counted_only += 0 if call["id"] else call["count"]
    changes += engine.tick(until.timestamp() + LAG_S)
    changes = [change for change in changes if change.at >= since or change.state is State.CLEARED]
    cleared = {change.alert_id: change for change in changes if change.state is State.CLEARED}
    fired = {change.alert_id: change for change in changes if change.state is State.FIRED}
    episodes = tuple(Episode(change, cleared.get(name)) for name, change in fired.items())
    hooked = tuple(change for change in changes if change.state is State.HOOK)
    return Backtest(rule, since, until, episodes, hooked, records, counted_only, len(gaps))


async def past(store: Store, since: datetime, until: datetime, unit: str = "minute") -> AsyncIterator[dict[str, Any]]:
    """Give the calls of a time in the order they ended: those kept whole, and answered ones out of their counts.

    A count stands for its calls at the middle of its minute, or hour. Raises StoreError.
    """
    step = timedelta(minutes=1) if unit == "minute" else timedelta(hours=1)
    begin = since
    while begin < until:
        end = min(until, begin + _PORTION)
        for number, (_, call) in enumerate(await _of_time(store, begin, end, unit, step), 1):
            yield json.loads(call) if isinstance(call, str) else call
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        begin = end


async def _of_time(
    store: Store, since: datetime, until: datetime, unit: str, step: timedelta
) -> list[tuple[int, str | dict[str, Any]]]:
    """Return (when it ended, the call) in that order: as text where it is kept whole."""
    calls: list[tuple[int, str | dict[str, Any]]] = []
    calls += [(each.at_us, each.text) for each in await _whole(store, since, until)]
    if any(_ANSWERED in text for _, text in calls):
        return calls  # all are kept whole: their counts would tell of them a second time
    by: Any = (unit, "pbx", "direction", "trunk", "outcome", "sip_code")
    for total in await store.totals(TotalsQuery(since, until, by=by)):
        at = total.minute or total.hour
        if total.outcome == "answered" and at is not None:
            calls.append((microseconds(at + step / 2), answered(total, at + step / 2)))
    return sorted(calls, key=itemgetter(0))


async def _whole(store: Store, since: datetime, until: datetime) -> list[Stored]:
    """Return the calls kept whole that ended in a time."""
    found: list[Stored] = []
    while True:
        page = await store.ended(since, until, found[-1] if found else None, _AT_ONCE)
        found += page
        if len(page) < _AT_ONCE:
            return found


async def trace(
    rule: Rule, group: dict[str, str], store: Store, since: datetime, until: datetime
) -> list[tuple[datetime, float | None]] | None:
    """Return the number of a group over a time, in even steps; None for a kind that has none, or too many calls."""
    if rule.kind not in TRACED:
        return None
    first, last = int(since.timestamp()), int(until.timestamp())
    step = max(1, (last - first) // _POINTS)
    calls: list[dict[str, Any]] = []
    began = since - timedelta(seconds=rule.window_s)
    if await store.depth(CallQuery(since=began, until=until), _MOST_TRACED) is not None:
        return None
    async for call in past(store, began, until):
        calls.append(call)
        if len(calls) > _MOST_TRACED:
            return None
    traced = engine_trace(rule, group, calls, range(first, last + 1, step))
    return [(datetime.fromtimestamp(at, UTC), value) for at, value in traced]

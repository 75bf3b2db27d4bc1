"""Reads the past for rules that compare with it: what is usual at an hour, which codes were seen before."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from asterisk_sip.alerts.engine import Engine
from asterisk_sip.alerts.engine_past import answered
from asterisk_sip.alerts.model import Kind, Rule
from asterisk_sip.stores.base import Store, TotalsQuery
from asterisk_sip.stores.erasure import Stored

log = structlog.get_logger(__name__)

States = dict[str, tuple[str, str]]

COMPARING = (Kind.BURST, Kind.SILENCE, Kind.NEW_CODE)

_AT_ONCE = 500
_PORTION = timedelta(hours=1)


async def learn(rules: Sequence[Rule], store: Store, until: datetime) -> States:
    """Return what the rules that compare with the past know of it. Raises StoreError."""
    comparing = [rule for rule in rules if rule.kind in COMPARING]
    if not comparing:
        return {}
    since = until - timedelta(weeks=max(rule.weeks for rule in comparing))
    engine = Engine(comparing)
    records = 0
    async for call in past(store, since, until, "hour"):
        engine.feed(call)
        records += 1
    if records:
        log.info("alerts learned from the past", rules=len(comparing), records=records)
    states = engine.dump()
    del states[""]
    return states


async def past(store: Store, since: datetime, until: datetime, unit: str = "minute") -> AsyncIterator[dict[str, Any]]:
    """Give the calls of a time in the order they ended: those kept whole, and answered ones out of their counts.

    A count stands for its calls at the middle of its minute, or hour. Raises StoreError.
    """
    step = timedelta(minutes=1) if unit == "minute" else timedelta(hours=1)
    begin = since
    while begin < until:
        end = min(until, begin + _PORTION)
        for call in sorted(await _of_time(store, begin, end, unit, step), key=_ended):
            yield call
        begin = end


async def _of_time(store: Store, since: datetime, until: datetime, unit: str, step: timedelta) -> list[dict[str, Any]]:
    calls = [json.loads(each.text) for each in await _whole(store, since, until)]
    if any(call["outcome"] == "answered" for call in calls):
        return calls  # all are kept whole: their counts would tell of them a second time
    by: Any = (unit, "pbx", "direction", "trunk", "outcome", "sip_code")
    for total in await store.totals(TotalsQuery(since, until, by=by)):
        at = total.minute or total.hour
        if total.outcome == "answered" and at is not None:
            calls.append(answered(total, at + step / 2))
    return calls


async def _whole(store: Store, since: datetime, until: datetime) -> list[Stored]:
    """Return the calls kept whole that ended in a time."""
    found: list[Stored] = []
    while True:
        page = await store.ended(since, until, found[-1] if found else None, _AT_ONCE)
        found += page
        if len(page) < _AT_ONCE:
            return found


def _ended(call: dict[str, Any]) -> str:
    return str(call["ended_at"] or "")

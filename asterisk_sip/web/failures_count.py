"""How many calls a filter of the page Failures finds, over time: what was counted in advance, and the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from asterisk_sip.stores.base import CallQuery, Dimension, Store, Total, TotalsQuery, ended_at, time_of
from asterisk_sip.stores.search import Found, reach

from . import charts

Counts = list[tuple[datetime, int, int]]
"""(time, SIP code, count): an unknown code is 0."""

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_COUNTED_AHEAD = {"since", "until", "outcome", "code", "sip_class", "disposition", "pbx", "limit", "before"}
_KEPT_WHOLE = {"failed", "rescued", "abandoned"}


async def counted(store: Store, query: CallQuery, found: Found, step: timedelta) -> tuple[Counts, datetime | None]:
    """Return the counts of all pages, of which ``found`` is one, and since when they count: None for all of the window.

    Raises ValueError without a window, StoreError.
    """
    if query.since is None or query.until is None:
        raise ValueError("calls are counted over time in a window")
    wanted = {name for name in CallQuery.__dataclass_fields__ if getattr(query, name) is not None}
    if wanted <= _COUNTED_AHEAD and query.outcome in _KEPT_WHOLE:
        return await _ahead(store, query, query.since, query.until, step), None
    first_page = query.before is None
    counts = [(ended_at(call), call.sip.code or 0, 1) for call in found.calls] if first_page else []
    if first_page and (found.cut or found.following is None):
        return counts, time_of(found.following) if found.following else None
    whole = replace(query, before=None)
    down_to = await store.depth(whole, reach(query))
    rest = replace(whole, down_to=down_to, before=found.following if first_page else None)
    begin = charts.floored(query.since, step)
    counts += _plain(await store.over_time(rest, step, begin), query.since)
    return counts, None if down_to is None else time_of(down_to)


async def _ahead(store: Store, query: CallQuery, since: datetime, until: datetime, step: timedelta) -> Counts:
    """Count the whole minutes of a window as they were counted in advance, and the calls on both sides of them."""
    first = since if charts.floored(since, _MINUTE) == since else charts.floored(since, _MINUTE) + _MINUTE
    last = max(first, charts.floored(until, _MINUTE))
    begin = charts.floored(since, step)
    counts: Counts = []
    for side_since, side_until in ((since, min(first, until)), (last, until)):
        if side_since < side_until:
            side = replace(query, since=side_since, until=side_until, before=None)
            counts += _plain(await store.over_time(side, step, begin), since)
    unit: Dimension = "minute" if step % _HOUR else "hour"
    by: tuple[Dimension, ...] = (unit, "outcome", "sip_code", *(("disposition",) if query.disposition else ()))
    together = min(step, _DAY) // _MINUTE  # steps of days and weeks begin with a day
    totals = await store.totals(TotalsQuery(first, last, "calls", by, query.pbx, minutes=together))
    return counts + _plain((total for total in totals if _fits(total, query)), since)


def _fits(total: Total, query: CallQuery) -> bool:
    return (
        total.outcome == query.outcome
        and query.code in (None, total.sip_code)
        and query.sip_class in (None, (total.sip_code or 0) // 100)
        and query.disposition in (None, total.disposition)
    )


def _plain(totals: Iterable[Total], since: datetime) -> Counts:
    return [(total.minute or total.hour or since, total.sip_code or 0, total.total) for total in totals]

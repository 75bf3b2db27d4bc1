"""Asks a store for what the numbers of `calls.kpi` are computed from, and for how complete it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asterisk_sip.calls.kpi import MIN_COUNT, By, Counts, Group, kpis
from asterisk_sip.calls.model import to_json

from .base import EPOCH, Counted, Dimension, Gap, Store, Total, TotalsQuery
from .numbers_read import READ, read_counts

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_MOST_STEPS = 10_000
_ANY_TRUNK = "?*"  # but none
TIMED: frozenset[By] = frozenset(("pbx", "trunk"))
"""By what delays are told apart."""
_COUNTED_BY: Mapping[By, Dimension] = {
    "pbx": "pbx",
    "trunk": "trunk",
    "direction": "direction",
    "code": "sip_code",
    "class": "sip_code",
}


@dataclass(frozen=True, slots=True)
class NumbersQuery:
    """Which numbers: of which window, ``since`` included and ``until`` not, grouped by what, in steps of what length.

    ``trunk`` is a pattern as in `TotalsQuery`. Below ``least`` in its denominator a ratio has no value.
    """

    since: datetime
    until: datetime
    by: tuple[By, ...] = ()
    step: timedelta | None = None
    pbx: str | None = None
    trunk: str | None = None
    least: int = MIN_COUNT


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers, and the gaps that touch their window."""

    groups: list[Group]
    gaps: list[Gap]


async def numbers(store: Store, query: NumbersQuery) -> Numbers:
    """Return the numbers of a window.

    Raises StoreError, and ValueError for a step that is no whole minutes, or as `read_counts` does.
    """
    unit = _unit(query)
    trunk = query.trunk if query.trunk and query.trunk.strip("*") else _ANY_TRUNK

    if READ.isdisjoint(query.by):
        counts = await _totals(store, query, unit, trunk)
    else:
        counts = await read_counts(store, query.since, query.until, query.pbx, trunk)
    # Many trunks over many steps are a second of work: whatever else the program does goes on meanwhile.
    groups = await asyncio.to_thread(kpis, counts, query.by, query.step, query.least, query.since)
    return Numbers(groups, await store.gaps(query.since, query.until, query.pbx))


async def _totals(store: Store, query: NumbersQuery, unit: tuple[Dimension, ...], trunk: str) -> Counts:
    async def totals(counted: Counted, *names: Dimension) -> list[Total]:
        by = tuple(dict.fromkeys((*unit, *(_COUNTED_BY[name] for name in query.by), *names)))
        asked = TotalsQuery(query.since, query.until, counted, by, query.pbx, trunk, minutes=_together(query))
        return await store.totals(asked)

    asked = [totals("attempts", "disposition", "sip_code"), totals("calls", "outcome")]
    if TIMED.issuperset(query.by):
        asked.append(totals("attempts", "pdd"))
    return Counts(*await asyncio.gather(*asked))


def group_json(group: Group, query: NumbersQuery) -> dict[str, Any]:
    """Return a group as plain data; ratios by name, and the dimensions asked for by theirs."""
    failures = group.failures
    return {
        "at": to_json(group.at),
        **dict(zip(query.by, group.key, strict=True)),
        "attempts": group.attempts,
        "calls": group.calls,
        "ratios": {ratio.name: to_json(ratio) for ratio in group.ratios},
        "pdd": to_json(group.pdd),
        "acd": to_json(group.acd),
        "failures": {
            "total": failures.total,
            "by_class": _named(failures.by_class),
            "by_code": _named(failures.by_code),
            "by_disposition": dict(failures.by_disposition),
            "by_fault": dict(failures.by_fault),
        },
    }


def _unit(query: NumbersQuery) -> tuple[Dimension, ...]:
    step = query.step
    if step is None:
        return ()
    if step < _MINUTE or step % _MINUTE:
        raise ValueError("a step is one minute or more, in whole minutes")
    if (query.until - query.since) / step > _MOST_STEPS:
        raise ValueError(f"the window has more than {_MOST_STEPS} steps; make the steps longer")
    on_the_hour = query.since.minute == query.since.second == query.since.microsecond == 0
    return ("hour",) if step % _HOUR == timedelta() and on_the_hour else ("minute",)


def _together(query: NumbersQuery) -> int:
    """Return how many minutes of a step the store can count together: it counts from 1970 on."""
    step = query.step
    return 1 if step is None or (query.since - EPOCH) % step else step // _MINUTE


def _named(counts: Mapping[int, int]) -> dict[str, int]:
    return {"unknown" if number == 0 else str(number): count for number, count in counts.items()}

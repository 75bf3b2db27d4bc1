"""What the page Overview shows: a window of time in numbers, each beside that of a week before."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from asterisk_sip.calls.kpi import Counts, Group, Ratio, kpis, one_ratio, wilson
from asterisk_sip.calls.kpi import Total as Counted
from asterisk_sip.calls.shifts import Shift, shifts
from asterisk_sip.stores.base import Dimension, Store, Total, TotalsQuery

from . import charts
from .api import SHELF
from .heard import heard
from .memo import MEMO, Memo
from .shelf import Shelf
from .show import link

WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7)}

_MINUTE, _HOUR, _DAY, _WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=7)
_KEPT_S, _LONG_KEPT_S, _VERY_LONG_KEPT_S = 3.0, 60.0, 3_600.0
_RECORDED_BEFORE = timedelta(days=3)  # an office may be closed for a weekend
_TOP_CODES = 8
_TOP_SHIFTS = 6
_TOP_HEAT = 12
_MOST_TRUNKS = 40
_SPARK_POINTS = 28
_FEWER_FOR_A_POINT = 10


@dataclass(frozen=True, slots=True)
class Tile:
    """One number: its value, that of a week before, and where the calls behind it are listed.

    ``kind``: count, share (0 to 1) or ms. ``trend``: better, worse, or nothing when chance explains the difference.
    """

    name: str
    kind: str
    value: float | None
    was: float | None
    about: str
    href: str | None = None
    trend: str = ""
    of: float | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """The calls by outcome and code, and the numbers, of a week before."""

    calls: list[Total]
    numbers: Group


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows, as of some seconds ago at most. Raises ProblemError, StoreError."""
    length = values.get("window", _DAY)
    shelf = request.app[SHELF]
    kept_s = _LONG_KEPT_S if length > _DAY else _KEPT_S
    memo = request.app[MEMO]
    filling: dict[str, Any] = await memo.get(("overview", length), kept_s, lambda: _filling(shelf, memo, length))
    return filling


async def _filling(shelf: Shelf, memo: Memo, length: timedelta) -> dict[str, Any]:
    store = await shelf.store()
    now = datetime.now(UTC)
    until = now.replace(second=0, microsecond=0) + _MINUTE
    step = max(charts.step_for(length), _HOUR if length > _DAY else _MINUTE)
    since = charts.floored(until - length, step)  # the first bar is a whole one
    span = {"since": since, "until": until}
    over, attempts, past, shifted, pbxs = await asyncio.gather(
        _calls(store, since, until, step),
        _attempts(store, since, until, length),
        _past(store, memo, length, since, until),
        _shifted(store, until),
        heard(store, shelf.pbxs, now),
    )
    outcomes = _sum(over, "outcome")
    summed = _summed(attempts)
    trunks = kpis(summed, ("trunk",))
    return {
        **span,
        "as_of": now,
        "windows": WINDOWS,
        "length": length,
        "anything": bool(outcomes or past),
        "past": past is not None,
        "tiles": _tiles(outcomes, kpis(summed)[0], past, span),
        "chart": _chart(over, since, until, step),
        "codes": _codes(over, past),
        "trunks": sorted(trunks, key=lambda group: -group.attempts)[:_MOST_TRUNKS],
        "trunks_in_all": len(trunks),
        "sparks": _sparks(attempts, since, length),
        "heat": _heat(trunks),
        "shifts": shifted,
        "hour_ago": until - _HOUR,
        "pbxs": pbxs,
    }


async def _calls(store: Store, since: datetime, until: datetime, step: timedelta) -> list[Total]:
    unit: Dimension = "hour" if step >= _HOUR else "minute"
    by: tuple[Dimension, ...] = (unit, "outcome", "sip_code")
    return await store.totals(TotalsQuery(since, until, "calls", by, minutes=step // _MINUTE))


async def _attempts(store: Store, since: datetime, until: datetime, length: timedelta) -> Counts:
    unit: Dimension = "hour" if length > _HOUR else "minute"
    by: tuple[Dimension, ...] = (unit, "trunk", "disposition", "sip_code")
    points = _spark_step(length) // _MINUTE
    counted, delays = await asyncio.gather(
        store.totals(TotalsQuery(since, until, "attempts", by, minutes=points)),
        store.totals(TotalsQuery(since, until, "attempts", ("trunk", "pdd"))),
    )
    return Counts(counted, (), delays)  # what is only told of calls is not shown by trunk


def _summed(counts: Counts) -> Counts:
    """Return the same counts without the time of attempts: only a line over time asks for that."""
    sums: Counter[tuple[str | None, str | None, int | None]] = Counter()
    for each in counts.attempts:
        sums[each.trunk, each.disposition, each.sip_code] += each.total
    attempts = [
        Total(total, 0, trunk=trunk, disposition=name, sip_code=code) for (trunk, name, code), total in sums.items()
    ]
    return Counts(attempts, (), counts.delays)


async def _past(store: Store, memo: Memo, length: timedelta, since: datetime, until: datetime) -> Past | None:
    """Return what there was a week before: of a window of days its whole hours, kept for an hour."""
    since, until, kept_s = since - _WEEK, until - _WEEK, _LONG_KEPT_S
    if length > _DAY:
        since, until, kept_s = charts.floored(since, _HOUR), charts.floored(until, _HOUR), _VERY_LONG_KEPT_S
    past: Past | None = await memo.get(("a week before", length), kept_s, lambda: _before(store, since, until))
    return past


async def _before(store: Store, since: datetime, until: datetime) -> Past | None:
    """Return what there was in a window, None when nothing was recorded before it began.

    A window that began before the records did would compare a whole time with a part of one.
    """
    if not await store.totals(TotalsQuery(since - _RECORDED_BEFORE, since, "calls", ())):
        return None
    calls, attempts, delays = await asyncio.gather(
        store.totals(TotalsQuery(since, until, "calls", ("outcome", "sip_code"))),
        store.totals(TotalsQuery(since, until, "attempts", ("trunk", "disposition", "sip_code"))),
        store.totals(TotalsQuery(since, until, "attempts", ("trunk", "pdd"))),
    )
    return Past(calls, kpis(Counts(attempts, (), delays))[0])


async def _shifted(store: Store, until: datetime) -> list[Shift[tuple[str, int]]]:
    """Return the failures, by trunk and code, that shifted in the last hour from what was usual in the day before."""

    async def failed(since: datetime, until: datetime) -> dict[tuple[str, int], int]:
        asked = TotalsQuery(since, until, "attempts", ("trunk", "disposition", "sip_code"))
        groups = kpis(Counts(await store.totals(asked), ()), ("trunk",))
        return {(group.key[0], code): count for group in groups for code, count in group.failures.by_code.items()}

    now, before = await failed(until - _HOUR, until), await failed(until - _HOUR - _DAY, until - _HOUR)
    return shifts(now, before, _DAY / _HOUR)[:_TOP_SHIFTS]


def _tiles(outcomes: Mapping[str, int], numbers: Group, past: Past | None, span: dict[str, Any]) -> list[Tile]:
    was = _sum(past.calls if past else (), "outcome")
    total, was_total = sum(outcomes.values()), sum(was.values())
    tiles = [Tile("calls", "count", total, was_total, "answered + failed + rescued + abandoned")]
    for outcome, worse_when in (("failed", "more"), ("rescued", ""), ("abandoned", "more")):
        count = outcomes.get(outcome, 0)
        tiles.append(
            Tile(
                outcome,
                "count",
                count,
                was.get(outcome, 0),
                f"{outcome} / calls = {count} / {total}",
                link("/failures", span, outcome=outcome),
                _trend((count, total), (was.get(outcome, 0), was_total), worse_when),
                count / total if total else None,
            )
        )
    of_trunks = link("/failures", span, outcome="any", trunk="*")
    for name in ("asr", "ner"):
        ratio, old = numbers.ratio(name), past.numbers.ratio(name) if past else None
        trend = ""
        if old is not None and ratio.value is not None and old.value is not None:
            trend = _trend((ratio.numerator, ratio.denominator), (old.numerator, old.denominator), "less")
        tiles.append(Tile(name, "share", ratio.value, old.value if old else None, _about(ratio), of_trunks, trend))
    delays, old_delays = numbers.pdd, past.numbers.pdd if past else None
    if delays is not None:
        about = f"PDD: p50, p95 of {delays.count} attempts"
        tiles.append(Tile("pdd", "ms", delays.p95_ms, old_delays.p95_ms if old_delays else None, about, of_trunks))
    return tiles


def _about(ratio: Ratio) -> str:
    text = f"{ratio.reference}: {ratio.formula} = {ratio.numerator} / {ratio.denominator}"
    if ratio.low is None or ratio.high is None:
        return text
    return f"{text}; 95 %: {100 * ratio.low:.1f} - {100 * ratio.high:.1f} %"


def _trend(now: tuple[int, int], was: tuple[int, int], worse_when: str) -> str:
    """Return better or worse when the intervals of two shares do not touch."""
    if not worse_when or not now[1] or not was[1]:
        return ""
    (low, high), (old_low, old_high) = wilson(*now), wilson(*was)
    if low <= old_high and old_low <= high:
        return ""
    return "worse" if (low > old_high) == (worse_when == "more") else "better"


def _chart(over: list[Total], since: datetime, until: datetime, step: timedelta) -> charts.Bars:
    failed = (total for total in over if total.outcome == "failed")
    counts = ((total.minute or total.hour or since, total.sip_code or 0, total.total) for total in failed)
    return charts.bars(((max(at, since), code, count) for at, code, count in counts), since, until, step)


def _codes(over: list[Total], past: Past | None) -> dict[str, Any]:
    """Return the codes that most failed calls ended with, and how many calls ended with the others."""
    before = past.calls if past else []
    now, was = (_sum((each for each in totals if each.outcome == "failed"), "sip_code") for totals in (over, before))
    top = now.most_common(_TOP_CODES)
    return {"top": top, "was": was if past else None, "most": top[0][1] if top else 0, "total": now.total()}


def _sparks(attempts: Counts, since: datetime, length: timedelta) -> dict[str, list[float | None]]:
    """Return NER over time, of each trunk, for a line."""
    step = _spark_step(length)
    begin = charts.floored(since, step)
    number = -((begin - since - length) // step)
    lines: dict[str, list[float | None]] = {}

    def point(total: Counted) -> tuple[str, int]:
        return total.trunk or "", ((total.minute or total.hour or begin) - begin) // step

    for (trunk, place), ner in one_ratio("ner", attempts.attempts, point, _FEWER_FOR_A_POINT).items():
        line = lines.setdefault(trunk, [None] * number)
        if 0 <= place < number:
            line[place] = ner.value
    return lines


def _spark_step(length: timedelta) -> timedelta:
    return next(step for step in (5 * _MINUTE, _HOUR, 6 * _HOUR) if length / step <= _SPARK_POINTS)


def _heat(trunks: list[Group]) -> dict[str, Any]:
    """Return which codes were answered most, and how often by which trunk."""
    codes: Counter[int] = Counter()
    for group in trunks:
        codes.update(group.failures.by_code)
    shown = sorted(code for code, _ in codes.most_common(_TOP_HEAT))
    rows = [group for group in sorted(trunks, key=lambda each: -each.failures.total) if group.failures.total]
    rows = rows[:_MOST_TRUNKS]
    cells = [group.failures.by_code.get(code, 0) for group in rows for code in shown]
    return {"codes": shown, "rows": rows, "most": max(cells, default=0)}


def _sum(totals: Iterable[Total], name: str) -> Counter[Any]:
    sums: Counter[Any] = Counter()
    for total in totals:
        sums[getattr(total, name) or 0 if name == "sip_code" else getattr(total, name)] += total.total
    return sums

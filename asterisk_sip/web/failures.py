"""What the page Failures shows: calls, by any filter, page by page, and the same as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.catalog import all_dispositions
from asterisk_sip.render_plain import CSV_COLUMNS, cell, csv_row
from asterisk_sip.stores.base import EPOCH, CallQuery, Dimension, Store, TotalsQuery, cursor

from . import charts, parameters
from .api import SHELF

TAKES = (*parameters.FILTERS, "limit", "before")
WINDOWS = ("1h", "24h", "7d")

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_MOST_MINUTES = 2 * _DAY
_AGO = re.compile(r"[0-9]*[smhdw]?")
_COUNTED_AHEAD = {"since", "until", "outcome", "code", "sip_class", "disposition", "pbx", "limit", "before"}
_KEPT_WHOLE = {"failed", "rescued", "abandoned"}


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows. Raises ProblemError, StoreError."""
    store = await request.app[SHELF].store()
    query, since, until = asked(values, request.query)
    found = await store.calls(query)
    step = charts.step_for(until - since)
    counts = await _counted(store, query, since, until, step)
    chosen = {name: request.query[name] for name in parameters.FILTERS if request.query.get(name)}
    chosen |= {"outcome": chosen.get("outcome", "failed"), **({"number": query.number} if query.number else {})}
    exactly = {**chosen, "since": since, "until": until}
    return {
        "calls": found,
        "following": cursor(found[-1]) if len(found) == query.limit else None,
        "first": query.before is None,
        "since": since,
        "until": until,
        "chosen": chosen,
        "exactly": {**exactly, "limit": request.query.get("limit"), "before": query.before},
        "chart": charts.bars(counts, since, until, step),
        "windows": WINDOWS,
        "outcomes": ("failed", "rescued", "abandoned", "answered", "any"),
        "dispositions": [each.name for each in all_dispositions()],
        "sides": ("carrier", "callee", "caller", "us", "unknown"),
        "trunks": await _trunks(store, until),
    }


async def as_csv(request: web.Request) -> web.Response:
    """Answer with exactly the calls that the page shows, as CSV. Raises ProblemError, StoreError."""
    store = await request.app[SHELF].store()
    query, _, _ = asked(parameters.read(parameters.given(request.query), TAKES), request.query)
    return web.Response(
        text=_csv(await store.calls(query)),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": 'attachment; filename="calls.csv"'},
    )


def asked(values: dict[str, Any], texts: Mapping[str, str]) -> tuple[CallQuery, datetime, datetime]:
    """Return which calls are meant, since when and until when: by default the failed ones of the last day.

    A time told as so long ago is rounded, outwards, to where a bar of the chart begins. What is before 1970 or after
    tomorrow is no time of a call. Raises ProblemError.
    """
    now = datetime.now(UTC)
    until = min(values.get("until") or now, now + _DAY)
    if _AGO.fullmatch(texts.get("until", "0s")):
        until = charts.floored(until, _MINUTE) + _MINUTE
    since, until = parameters.window({**values, "until": until})
    if _AGO.fullmatch(texts.get("since", "0s")):
        since = charts.floored(since, charts.step_for(until - since))
    since = max(since, EPOCH)
    query = parameters.call_query({"outcome": "failed", **values})
    return replace(query, since=since, until=max(since, until), number=_bare(query.number)), since, max(since, until)


def _bare(number: str | None) -> str | None:
    """Return a number without what people write between its digits; a name is left as it is."""
    return re.sub(r"[\s()/.-]", "", number) if number and re.fullmatch(r"[+0-9\s()/.-]+", number) else number


async def _counted(
    store: Store, query: CallQuery, since: datetime, until: datetime, step: timedelta
) -> Iterable[tuple[datetime, int, int]]:
    """Return (time, SIP code, count) of all calls that are meant: counted ahead where that tells them apart."""
    unit = _unit(query, since, until, step)
    if unit is None:
        totals = await store.over_time(query, step)
        return [(total.minute or since, total.sip_code or 0, total.total) for total in totals]
    by: tuple[Dimension, ...] = (unit, "outcome", "sip_code", *(("disposition",) if query.disposition else ()))
    minutes = step // _MINUTE if charts.floored(since, step) == since else 1
    totals = await store.totals(TotalsQuery(since, until, "calls", by, query.pbx, minutes=minutes))
    return [
        (total.minute or total.hour or since, total.sip_code or 0, total.total)
        for total in totals
        if total.outcome == query.outcome
        and query.code in (None, total.sip_code)
        and query.sip_class in (None, (total.sip_code or 0) // 100)
        and query.disposition in (None, total.disposition)
    ]


def _unit(query: CallQuery, since: datetime, until: datetime, step: timedelta) -> Dimension | None:
    """Return by which unit the calls that are meant were counted ahead, None when they were not."""
    wanted = {name for name in CallQuery.__dataclass_fields__ if getattr(query, name) is not None}
    if not wanted <= _COUNTED_AHEAD or query.outcome not in _KEPT_WHOLE:
        return None
    if charts.floored(since, _MINUTE) != since or charts.floored(until, _MINUTE) != until:
        return None
    if step % _HOUR == timedelta() and charts.floored(since, _HOUR) == since:
        return "hour"
    return "minute" if until - since <= _MOST_MINUTES else None


async def _trunks(store: Store, until: datetime) -> list[str]:
    totals = await store.totals(TotalsQuery(until - _DAY, until, "calls", ("trunk",)))
    return [total.trunk for total in totals if total.trunk]


def _csv(records: list[CallRecord]) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(CSV_COLUMNS)
    table.writerows([cell(value) for value in csv_row(record)] for record in records)
    return text.getvalue().encode("utf-8", "replace").decode()

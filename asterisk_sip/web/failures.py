"""What the page Failures shows: calls, by any filter, page by page, and the same as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.catalog import all_dispositions
from asterisk_sip.render_plain import CSV_COLUMNS, cell, csv_row
from asterisk_sip.stores.base import EPOCH, CallQuery, Store, TotalsQuery, time_of
from asterisk_sip.stores.search import reach, search

from . import charts, parameters
from .api import SHELF
from .failures_count import counted

TAKES = (*parameters.FILTERS, "limit", "before")
WINDOWS = ("1h", "24h", "7d")

_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_AGO = re.compile(r"[0-9]*[smhdw]?")


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows. Raises ProblemError, StoreError."""
    store = await request.app[SHELF].store()
    query, since, until = asked(values, request.query)
    step = charts.step_for(until - since)
    found = await search(store, query)
    counts, counted_from = await counted(store, query, found, step)
    chosen = {name: request.query[name] for name in parameters.FILTERS if request.query.get(name)}
    chosen |= {"outcome": chosen.get("outcome", "failed"), **({"number": query.number} if query.number else {})}
    exactly = {**chosen, "since": since, "until": until}
    return {
        "calls": found.calls,
        "following": found.following,
        "searched_to": time_of(found.following) if found.cut and found.following else None,
        "counted_from": counted_from,
        "at_most": reach(query),
        "first": query.before is None,
        "since": since,
        "until": until,
        "chosen": chosen,
        "exactly": {**exactly, "limit": request.query.get("limit"), "before": query.before},
        "chart": charts.bars(counts, since, until, step, counted_from),
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
    found = await search(store, query)
    return web.Response(
        text=_csv(found.calls),
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


async def _trunks(store: Store, until: datetime) -> list[str]:
    totals = await store.totals(TotalsQuery(until - _DAY, until, "calls", ("trunk",)))
    return [total.trunk for total in totals if total.trunk]


def _csv(records: Sequence[CallRecord]) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(CSV_COLUMNS)
    table.writerows([cell(value) for value in csv_row(record)] for record in records)
    return text.getvalue().encode("utf-8", "replace").decode()

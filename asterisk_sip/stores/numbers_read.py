"""Counts for numbers by what is not counted in advance: the endpoint, the country and the first digits dialled.

They are made of the calls as they are kept. A store that only counts its answered calls cannot tell.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from asterisk_sip.calls.destinations import PREFIX_DIGITS, country_of, prefix_of
from asterisk_sip.calls.kpi import By, Counts
from asterisk_sip.calls.model import Attempt, CallRecord, Outcome, deciding, from_json

from .base import Store, Total, TotalsQuery, ended_at, microseconds
from .erasure import Stored
from .rows import facts

READ: frozenset[By] = frozenset(("endpoint", "country", "prefix"))
"""By what the calls themselves are read. Delays are told apart by these too."""

MOST_CALLS = 200_000
"""So many are read for one answer, at some 60 us each."""

_A_PAGE = 2_000
_MINUTE = timedelta(minutes=1)


async def read_counts(store: Store, since: datetime, until: datetime, pbx: str | None, trunk: str) -> Counts:
    """Return what the kept calls that ended in the minutes of a window count, and their attempts with them.

    ``trunk`` is a pattern as in `TotalsQuery`. Raises StoreError, and ValueError when answered calls of the window were
    counted but are not kept, or when it holds more than `MOST_CALLS`.
    """
    begin, end = _whole_minute(since), _whole_minute(until)
    counted = await store.totals(TotalsQuery(begin, end, "calls", ("outcome",), pbx, trunk))
    calls: list[Total] = []
    attempts: list[Total] = []
    after: Stored | None = None
    looked_at = 0
    while page := await store.ended(begin, end, after, _A_PAGE):
        after, looked_at = page[-1], looked_at + len(page)
        if looked_at > MOST_CALLS:
            raise ValueError(
                f"by endpoint, country or prefix each call is read, and this time has more than {MOST_CALLS:,}: ask for"
                " less of it"
            )
        for kind, total in await asyncio.to_thread(_counts_of, page, pbx, trunk):
            (calls if kind == "calls" else attempts).append(total)
    answered = Outcome.ANSWERED.value
    missing = _sum(counted, answered) - _sum(calls, answered)
    if missing > 0:
        raise ValueError(
            f"by endpoint, country or prefix each call is read, and {missing:,} answered calls of this time are not"
            ' kept: [records] keep = "all" keeps them from then on'
        )
    return Counts(attempts, calls, (total for total in attempts if total.pdd is not None))


def _counts_of(page: Iterable[Stored], pbx: str | None, trunk: str) -> list[tuple[str, Total]]:
    pattern = trunk.replace("[", "[[]")  # only * and ? stand for others, as where counts are asked for
    records = (from_json(CallRecord, json.loads(each.text)) for each in page)
    return [
        (kind, total)
        for record in records
        if pbx is None or record.pbx == pbx
        for kind, total in _totals(record)
        if fnmatchcase(total.trunk or "", pattern)
    ]


def _totals(record: CallRecord) -> Iterator[tuple[str, Total]]:
    """Yield (calls or attempts, a count of one), all under the minute in which the call ended."""
    at, decided = ended_at(record), deciding(record)
    minute = at.replace(second=0, microsecond=0)
    seen = (decided, *record.attempts)
    for (key, talk_ms, pdd), attempt in zip(facts(record, microseconds(at), decided), seen, strict=True):
        kind, _, trunk, code, disposition, outcome, pbx, direction = key
        endpoint, country, prefix = _where(record, attempt)
        yield (
            kind,
            Total(
                1,
                talk_ms,
                minute,
                None,
                pbx,
                direction,
                trunk,
                outcome,
                disposition,
                code,
                pdd,
                endpoint,
                country,
                prefix,
            ),
        )


def _where(record: CallRecord, attempt: Attempt | None) -> tuple[str, str, str]:
    dialled = (attempt and attempt.dialled) or record.dialled or ""
    endpoint = (attempt and attempt.endpoint) or ""
    return endpoint, country_of(dialled) or "", prefix_of(dialled, PREFIX_DIGITS) or ""


def _sum(totals: Iterable[Total], outcome: str) -> int:
    return sum(total.total for total in totals if total.outcome == outcome)


def _whole_minute(at: datetime) -> datetime:
    """Return the first minute that begins then or later, as counts are kept by."""
    floor = at.replace(second=0, microsecond=0)
    return floor if floor == at else floor + _MINUTE

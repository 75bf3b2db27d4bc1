"""What is counted in advance, and which of these tables answers a question: the narrowest that can.

Every call and attempt is counted in all tables, in the transaction that keeps its record. ``totals`` has everything by
the minute; the others leave out what the common questions do not ask, or count by the hour. No I/O here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Table

from .base import Dimension
from .schema import hour_pdd, hour_totals, minute_pdd, minute_totals, totals

Key = tuple[Any, ...]
Counts = Mapping[Key, list[int]]

TABLES = (totals, minute_totals, hour_totals, minute_pdd, hour_pdd)

_BY_MINUTE = (minute_pdd, minute_totals, totals)  # narrowest first
_BY_HOUR = (hour_pdd, hour_totals)
_MINUTES = 60
_HOUR_US = 3_600_000_000


def rows(detail: Counts, delays: Counts) -> dict[str, list[Key]]:
    """Return the rows to add to each table, in the order of its columns.

    ``detail`` is keyed as ``totals`` is and holds [total, talk_ms]; ``delays`` as ``minute_pdd``, and holds [total].
    """
    return {
        totals.name: _flat(detail),
        minute_totals.name: _flat(_sums(detail, lambda key: (*key[:2], *key[3:7]))),
        hour_totals.name: _flat(_sums(detail, lambda key: (key[0], key[1] // _MINUTES, *key[2:]))),
        minute_pdd.name: _flat(delays),
        hour_pdd.name: _flat(_sums(delays, lambda key: (key[0] // _MINUTES, *key[1:]))),
    }


def kept_by() -> list[tuple[str, str, str | None]]:
    """Return (table, unit of time, what is counted) for every range of keys in the order of time; None: everything."""
    return [
        (table.name, "minute" if "minute" in table.columns else "hour", counted)
        for table in TABLES
        for counted in (("calls", "attempts") if "counted" in table.columns else (None,))
    ]


def first_kept(unit: str, at_us: int) -> int:
    """Return the first minute or hour to keep, where what was before a time is forgotten. Hours are kept whole."""
    hour = at_us // _HOUR_US
    return hour if unit == "hour" else hour * _MINUTES


def by_minute(needed: Iterable[Dimension]) -> Table:
    """Return the narrowest table by the minute that knows what is needed. Raises ValueError when none does."""
    return _narrowest(_BY_MINUTE, needed)


def by_hour(needed: Iterable[Dimension]) -> Table:
    """Return the narrowest table by the hour that knows what is needed. Raises ValueError when none does."""
    return _narrowest(_BY_HOUR, needed)


def _narrowest(tables: Iterable[Table], needed: Iterable[Dimension]) -> Table:
    wanted = set(needed)
    for table in tables:
        # Only the attempts with a known delay are counted by it: these tables answer who asks for it, and nobody else.
        if wanted <= set(table.columns.keys()) and ("pdd" in wanted) == ("pdd" in table.columns):
            return table
    raise ValueError(f"these are not counted together: {', '.join(sorted(wanted))}")


def _sums(counts: Counts, narrowed: Callable[[Key], Key]) -> Counts:
    sums: dict[Key, list[int]] = {}
    for key, numbers in counts.items():
        kept = sums.setdefault(narrowed(key), [0] * len(numbers))
        for place, number in enumerate(numbers):
            kept[place] += number
    return sums


def _flat(counts: Counts) -> list[Key]:
    return [(*key, *numbers) for key, numbers in counts.items()]

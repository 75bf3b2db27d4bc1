"""The questions asked of the tables, in SQLAlchemy Core: the same for every engine."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Select,
    Table,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from . import rollups
from .base import CallQuery, Dimension, TotalsQuery, cursor_parts, microseconds, storable
from .countries import PREFIXES
from .rows import NO_LINE
from .schema import attempts, calls, gaps, listened, open_calls

_MINUTE_US = 60_000_000
_MICROSECOND = timedelta(microseconds=1)
_ESCAPE = "\\"
_CODES = 100_000
"""More than there are SIP codes."""

_NEWEST_FIRST = (calls.c.at_us.desc(), calls.c.id.desc())


class AnyAttempt(ColumnElement[bool]):
    """The condition that any attempt of the call at hand fits."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, fits: ColumnElement[bool]) -> None:
        self.fits = fits


@compiles(AnyAttempt)
def _exists(condition: AnyAttempt, compiler: SQLCompiler, **kw: Any) -> str:
    of_the_call = and_(attempts.c.call_id == calls.c.id, condition.fits)
    return compiler.process(select(literal(1)).where(of_the_call).exists(), **kw)


def calls_matching(query: CallQuery) -> Select[tuple[str]]:
    """Return the select of the newest records first. Raises ValueError for a ``before`` that is no cursor."""
    where = [*_filters(query), *_window(query, cursors=True)]
    return select(calls.c.record).where(*where).order_by(*_NEWEST_FIRST).limit(query.limit)


def calls_at_depth(query: CallQuery, depth: int) -> Select[Any]:
    """Return the select of (at_us, id) of the last of so many calls of the window of a query, and of the one behind."""
    where = _window(query, cursors=True)
    return select(calls.c.at_us, calls.c.id).where(*where).order_by(*_NEWEST_FIRST).limit(2).offset(depth - 1)


def calls_over_time(query: CallQuery, begin: datetime, step: timedelta) -> Select[Any]:
    """Return the select of (cell, total) of calls, see `cell_of`; steps begin at ``begin``."""
    passed = (calls.c.at_us - literal(microseconds(begin), BigInteger)) // literal(step // _MICROSECOND, BigInteger)
    # One number to group by, not two: SQLite sorts all that it groups, and takes a quarter less for that.
    cell = passed * literal(_CODES, BigInteger) + func.coalesce(calls.c.sip_code, 0)
    found = select(cell.label("cell")).where(*_filters(query), *_window(query, cursors=True)).subquery()
    return select(found.c.cell, func.count().label("total")).group_by(found.c.cell).order_by(found.c.cell)


def cell_of(cell: int) -> tuple[int, int]:
    """Return (step, SIP code) of a cell; an unknown code is 0."""
    return divmod(cell, _CODES)


def call_of(record_id: str) -> Select[tuple[str]]:
    """Return the select of one record by its id."""
    return select(calls.c.record).where(calls.c.id == storable(record_id))


def calls_after(position: int, limit: int, query: CallQuery, upto: int | None = None) -> Select[tuple[int, str]]:
    """Return the select of (position, record) in the order of writing."""
    where = [calls.c.position > position, *_filters(query), *_window(query, cursors=False)]
    if upto is not None:
        where.append(calls.c.position <= upto)
    return select(calls.c.position, calls.c.record).where(*where).order_by(calls.c.position).limit(limit)


def position_behind(position: int, calls_: int) -> Select[tuple[int]]:
    """Return the select of the position of the last of so many calls written after a position."""
    behind = select(calls.c.position).where(calls.c.position > position)
    return behind.order_by(calls.c.position).limit(1).offset(calls_ - 1)


def texts_after(position: int, limit: int) -> Select[Any]:
    """Return the select of (position, id, at_us, record) in the order of writing."""
    columns = (calls.c.position, calls.c.id, calls.c.at_us, calls.c.record)
    return select(*columns).where(calls.c.position > position).order_by(calls.c.position).limit(limit)


def texts_ended(since: datetime, until: datetime, after: tuple[int, str] | None, limit: int) -> Select[Any]:
    """Return the select of (position, id, at_us, record) in the order of the calls' ends, behind (at_us, id)."""
    columns = (calls.c.position, calls.c.id, calls.c.at_us, calls.c.record)
    where = [calls.c.at_us >= microseconds(since), calls.c.at_us < microseconds(until)]
    if after is not None:
        where.append(tuple_(calls.c.at_us, calls.c.id) > tuple_(literal(after[0]), literal(after[1])))
    return select(*columns).where(*where).order_by(calls.c.at_us, calls.c.id).limit(limit)


def open_calls_of(pbx: str) -> Select[Any]:
    """Return the select of the calls of a PBX in flight, oldest sight first."""
    return select(open_calls).where(open_calls.c.pbx == pbx).order_by(open_calls.c.seen_us, open_calls.c.linkedid)


def held() -> Select[Any]:
    """Return the select of the end of the oldest call, and how many calls are in flight."""
    flying = select(func.count()).select_from(open_calls).scalar_subquery()
    return select(func.min(calls.c.at_us).label("oldest_us"), flying.label("open_calls"))


def listened_to(pbx: str) -> Select[Any]:
    """Return the select of until when a PBX was listened to."""
    return select(listened.c.until_us).where(listened.c.pbx == pbx)


def gaps_touching(since: datetime, until: datetime, pbx: str | None) -> Select[Any]:
    """Return the select of the gaps that touch a window, in the order they began."""
    where = [
        gaps.c.began_us < microseconds(until),
        or_(gaps.c.ended_us.is_(None), gaps.c.ended_us > microseconds(since)),
    ]
    if pbx is not None:
        where.append(gaps.c.pbx == pbx)
    return select(gaps).where(*where).order_by(gaps.c.began_us, gaps.c.id)


def totals_of(query: TotalsQuery) -> Select[Any]:
    """Return the select of the columns ``by``, then the sums of ``total`` and ``talk_ms``. Raises ValueError."""
    parts = _parts(query)
    counts = (parts[0] if len(parts) == 1 else union_all(*parts)).subquery()
    columns = [counts.c[name] for name in query.by]
    sums = [cast(func.sum(counts.c[name]), BigInteger).label(name) for name in ("total", "talk_ms")]
    grouped = select(*columns, *sums).group_by(*columns).order_by(*columns)
    return grouped.having(func.sum(counts.c.total) > 0)  # without columns, nothing at all is one row of nothing


def _parts(query: TotalsQuery) -> list[Select[Any]]:
    """Return what a window is made of: its whole hours, read by the hour, and the minutes before and after them.

    All arithmetic of time is done here, for engines differ in theirs.
    """
    if "pdd" in query.by and query.counted == "calls":
        raise ValueError("calls are not counted by pdd, only attempts are")
    first, end = (-(-microseconds(at) // _MINUTE_US) for at in (query.since, query.until))
    needed: set[Dimension] = set(query.by)
    if query.pbx is not None:
        needed.add("pbx")
    if query.trunk is not None:
        needed.add("trunk")
    if "minute" in needed:
        return [_counted(query, rollups.by_minute(needed), first, end)]
    by_minute = rollups.by_minute(needed - {"hour"})
    first_hour, end_hour = -(-first // 60), end // 60
    parts = [
        _counted(query, by_minute, begin, stop)
        for begin, stop in ((first, min(60 * first_hour, end)), (60 * max(first_hour, end_hour), end))
        if begin < stop
    ]
    if first_hour < end_hour or not parts:
        parts.append(_counted(query, rollups.by_hour(needed), first_hour, end_hour))
    return parts


def _counted(query: TotalsQuery, table: Table, first: int, end: int) -> Select[Any]:
    """Return the select of a part of a window, in the table's own unit; minutes asked for by hour are of one hour."""
    unit = table.c["hour" if "hour" in table.c else "minute"]
    where = [unit >= _wide(first), unit < _wide(end)]
    if "counted" in table.c:
        where.append(table.c.counted == query.counted)
    if query.pbx is not None:
        where.append(table.c.pbx == storable(query.pbx))
    if query.trunk is not None:
        where.append(_like(table.c.trunk, query.trunk))
    columns = [_dimension(table, name, first, query.minutes) for name in query.by]
    talk_ms = table.c.talk_ms if "talk_ms" in table.c else _wide(0).label("talk_ms")
    return select(*columns, table.c.total, talk_ms).where(*where)


def _dimension(table: Table, name: str, first: int, minutes: int) -> ColumnElement[Any]:
    if name not in table.c:
        return _wide(first // 60).label(name)
    column = table.c[name]
    together = {"minute": minutes, "hour": minutes // 60}.get(name, 1)
    return column if together <= 1 else (column // together * together).label(name)


def _filters(query: CallQuery) -> list[ColumnElement[bool]]:
    equal = {
        "sip_code": None if query.code is None else _wide(query.code),
        "sip_class": _wide(query.sip_class) if query.sip_class else None,
        "outcome": query.outcome,
        "disposition": query.disposition,
        "pbx": None if query.pbx is None else storable(query.pbx),
        "fault_side": query.fault,
    }
    where: list[ColumnElement[bool]] = [calls.c[name] == value for name, value in equal.items() if value is not None]
    if query.sip_class == 0:
        where.append(calls.c.sip_class.is_(None))
    if query.number is not None:
        part = f"%{_escaped(query.number)}%"
        where.append(or_(*(column.like(part, escape=_ESCAPE) for column in (calls.c.caller_number, calls.c.dialled))))
    if query.country is not None:
        begins = (f"{prefix}{_escaped(query.country)}%" for prefix in PREFIXES)
        where.append(or_(*(calls.c.dialled.like(begin, escape=_ESCAPE) for begin in begins)))
    if query.trunk is not None and query.attempt_code is None and _plain(query.trunk):
        where.append(_routed(query.trunk))
    elif query.trunk is not None:
        where.append(_attempted(query.trunk, attempts.c.trunk, attempts.c.endpoint, code=query.attempt_code))
    elif query.attempt_code is not None:
        where.append(AnyAttempt(attempts.c.sip_code == _wide(query.attempt_code)))
    if query.endpoint is not None:
        attempted = _attempted(query.endpoint, attempts.c.endpoint)
        where.append(or_(_like(calls.c.caller_endpoint, query.endpoint), attempted))
    return where


def _window(query: CallQuery, *, cursors: bool) -> list[ColumnElement[bool]]:
    """Return the window of a query, with ``cursors`` as far as these let it reach.

    There is one bound to each side: an engine that is given two may run along the wider one.
    """
    key = tuple_(calls.c.at_us, calls.c.id)
    low = None if query.since is None else microseconds(query.since)
    end = None if query.until is None else microseconds(query.until)
    where: list[ColumnElement[bool]] = []
    if cursors and query.before is not None:
        at_us, record_id = cursor_parts(query.before)
        where.append(key < tuple_(literal(at_us), literal(record_id)))
        end = at_us + 1 if end is None else min(end, at_us + 1)
    if cursors and query.down_to is not None:
        at_us, record_id = cursor_parts(query.down_to)
        where.append(key >= tuple_(literal(at_us), literal(record_id)))
        low = at_us if low is None else max(low, at_us)
    bounds = [calls.c.at_us >= _wide(low)] if low is not None else []
    bounds += [calls.c.at_us < _wide(end)] if end is not None else []
    return bounds + where


def _attempted(pattern: str, *columns: ColumnElement[Any], code: int | None = None) -> ColumnElement[bool]:
    """Return the condition that a column of any attempt fits, of one with a SIP code when one is given.

    The route alone tells nearly all calls that do not.
    """
    fits = or_(*(_like(column, pattern) for column in columns))
    exactly = AnyAttempt(fits if code is None else and_(fits, attempts.c.sip_code == _wide(code)))
    return and_(_routed(pattern), exactly)


def _routed(pattern: str) -> ColumnElement[bool]:
    """Return the condition that the route has a name that fits; it may be true of others, unless `_plain`."""
    if not pattern.strip("*"):
        return calls.c.route != "\n"
    wild = _wild(pattern.replace("\n", NO_LINE))
    begin, end = ("" if pattern.startswith("*") else "\n"), ("" if pattern.endswith("*") else "\n")
    return calls.c.route.like(f"%{begin}{wild}{end}%", escape=_ESCAPE)


def _plain(pattern: str) -> bool:
    """Return whether a route says for sure that it has a name that fits: what ``*`` stands for may be several names."""
    return "?" not in pattern and "*" not in pattern.strip("*")


def _wide(number: int) -> ColumnElement[int]:
    """Return a number that need not fit the column it is compared with: then nothing is found."""
    return literal(number, BigInteger)


def _like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    if "*" not in pattern and "?" not in pattern:
        return column == storable(pattern)
    return column.like(_wild(pattern), escape=_ESCAPE)


def _wild(pattern: str) -> str:
    return _escaped(pattern).replace("*", "%").replace("?", "_")


def _escaped(text: str) -> str:
    text = storable(text)
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text

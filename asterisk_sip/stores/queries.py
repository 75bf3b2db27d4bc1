"""The questions asked of the tables, in SQLAlchemy Core: the same for every engine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, func, literal, or_, select, tuple_

from .base import CallQuery, TotalsQuery, microseconds, storable
from .schema import attempts, calls, gaps, listened, open_calls, totals

_MINUTE_US = 60_000_000
_ESCAPE = "\\"


def calls_matching(query: CallQuery) -> Select[tuple[str]]:
    """Return the select of the newest records first. Raises ValueError for a ``before`` that is no cursor."""
    where = _filters(query)
    if query.before is not None:
        where.append(_before(query.before))
    newest_first = (calls.c.at_us.desc(), calls.c.id.desc())
    return select(calls.c.record).where(*where).order_by(*newest_first).limit(query.limit)


def calls_after(position: int, limit: int, query: CallQuery) -> Select[tuple[int, str]]:
    """Return the select of (position, record) in the order of writing."""
    where = [calls.c.position > position, *_filters(query)]
    return select(calls.c.position, calls.c.record).where(*where).order_by(calls.c.position).limit(limit)


def open_calls_of(pbx: str) -> Select[Any]:
    """Return the select of the calls of a PBX in flight, oldest sight first."""
    return select(open_calls).where(open_calls.c.pbx == pbx).order_by(open_calls.c.seen_us, open_calls.c.linkedid)


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
    """Return the select of the columns ``by``, then the sums of ``total`` and ``talk_ms``."""
    where = [
        totals.c.counted == query.counted,
        totals.c.minute >= _wide(-(-microseconds(query.since) // _MINUTE_US)),  # the minutes that begin in the window
        totals.c.minute < _wide(-(-microseconds(query.until) // _MINUTE_US)),
    ]
    if query.pbx is not None:
        where.append(totals.c.pbx == query.pbx)
    if query.trunk is not None:
        where.append(_like(totals.c.trunk, query.trunk))
    columns = [totals.c[name] for name in query.by]
    sums = (func.sum(totals.c.total).label("total"), func.sum(totals.c.talk_ms).label("talk_ms"))
    counts = select(*columns, *sums).where(*where).group_by(*columns).order_by(*columns)
    return counts.having(func.sum(totals.c.total) > 0)  # without columns, nothing at all is one row of nothing


def _filters(query: CallQuery) -> list[ColumnElement[bool]]:
    equal = {
        "sip_code": None if query.code is None else _wide(query.code),
        "sip_class": None if query.sip_class is None else _wide(query.sip_class),
        "outcome": query.outcome,
        "disposition": query.disposition,
        "pbx": None if query.pbx is None else storable(query.pbx),
    }
    where: list[ColumnElement[bool]] = [calls.c[name] == value for name, value in equal.items() if value is not None]
    if query.since is not None:
        where.append(calls.c.at_us >= microseconds(query.since))
    if query.until is not None:
        where.append(calls.c.at_us < microseconds(query.until))
    if query.number is not None:
        part = f"%{_escaped(query.number)}%"
        where.append(or_(*(column.like(part, escape=_ESCAPE) for column in (calls.c.caller_number, calls.c.dialled))))
    if query.trunk is not None:
        where.append(_attempted(query.trunk, attempts.c.trunk, attempts.c.endpoint))
    if query.endpoint is not None:
        attempted = _attempted(query.endpoint, attempts.c.endpoint)
        where.append(or_(_like(calls.c.caller_endpoint, query.endpoint), attempted))
    return where


def _attempted(pattern: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a column of any attempt fits. The route alone tells nearly all calls that do not."""
    names = or_(*(_like(column, pattern) for column in columns))
    exactly = select(literal(1)).where(and_(attempts.c.call_id == calls.c.id, names)).exists()
    return and_(calls.c.route.like(f"%\n{_wild(pattern)}\n%", escape=_ESCAPE), exactly)


def _before(cursor: str) -> ColumnElement[bool]:
    at_us, dot, record_id = cursor.partition(".")
    if not (dot and record_id and at_us.removeprefix("-").isdecimal() and at_us.isascii()):
        raise ValueError(f"{cursor!r} is not the cursor of a record")
    return tuple_(calls.c.at_us, calls.c.id) < tuple_(literal(int(at_us)), literal(record_id))


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

"""Turns records into rows, in the order of the columns in ``schema``. Every call passes here: tuples, no objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from asterisk_sip.calls.delays import bucket_of
from asterisk_sip.calls.model import Attempt, CallRecord, Outcome, deciding, to_json
from asterisk_sip.calls.record_text import record_text

from . import rollups
from .base import Gap, Keep, OpenCall, ended_at, microseconds, storable

Row = tuple[Any, ...]

NO_LINE = "\v"
"""Stands in a route for a line feed in a name: they stand between names."""

_MINUTE_US = 60_000_000
_KEY_LENGTH = 255
_LARGEST = 2**31 - 1


@dataclass(slots=True)
class Rows:
    """The rows of a batch of new records: counted in advance (``counts``), or to be counted when asked (``facts``)."""

    calls: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    answered_ids: list[Row] = field(default_factory=list)
    counts: dict[str, list[Row]] = field(default_factory=dict)  # by table, see ``rollups``
    facts: list[Row] = field(default_factory=list)  # as ``clickhouse_schema.counted``: one a call, one an attempt

    def keep(self, record: CallRecord, at_us: int, decided: Attempt | None, keep: Keep) -> None:
        """Keep a record whole, or only its id: answered calls are only counted, unless all are kept."""
        if keep == "all" or record.outcome is not Outcome.ANSWERED:
            self.calls.append(_call_row(record, at_us, decided))
            self.attempts.extend(_attempt_row(record, attempt) for attempt in record.attempts)
        else:
            self.answered_ids.append((record.id, at_us))


def rows_of(records: list[CallRecord], keep: Keep) -> Rows:
    """Return the rows of records never written before, counted in advance."""
    rows = Rows()
    counted = _Counted()
    for record in records:
        at_us = microseconds(ended_at(record))
        decided = deciding(record)
        for fact in facts(record, at_us, decided):
            counted.add(*fact)
        rows.keep(record, at_us, decided, keep)
    rows.counts = rollups.rows(counted.detail, counted.delays)
    return rows


def rows_to_count(records: list[CallRecord], keep: Keep) -> Rows:
    """Return the rows of records never written before, with all that is counted when it is asked for."""
    rows = Rows()
    for record in records:
        at_us = microseconds(ended_at(record))
        decided = deciding(record)
        for seq, (key, talk_ms, pdd) in enumerate(facts(record, at_us, decided)):
            rows.facts.append((record.id, seq, at_us, *key[1:], talk_ms, pdd))
        rows.keep(record, at_us, decided, keep)
    return rows


def open_call_row(call: OpenCall) -> Row:
    """Return the row of a call in flight."""
    return _key(call.pbx), _key(call.linkedid), microseconds(call.seen_at), storable(call.state)


def closed_row(key: tuple[str, str]) -> Row:
    """Return the key of a call no longer in flight: (pbx, linkedid)."""
    return _key(key[0]), _key(key[1])


def gap_row(gap: Gap) -> Row:
    """Return the row of a gap."""
    ended_us = None if gap.ended_at is None else microseconds(gap.ended_at)
    began_us = microseconds(gap.began_at)
    return gap.id, storable(gap.pbx), storable(gap.source), began_us, ended_us, storable(gap.reason), gap.blind


def facts(record: CallRecord, at_us: int, decided: Attempt | None) -> Iterator[tuple[Row, int, int | None]]:
    """Yield what is counted of a call, then of each attempt: the key in ``totals``, talk in ms, bucket of its delay."""
    pbx, direction = _key(record.pbx), _key(record.direction) or ""
    minute = at_us // _MINUTE_US
    trunk = "" if decided is None else _key(decided.trunk) or ""
    talk_ms = 0 if record.answered_at is None else max(0, at_us - microseconds(record.answered_at)) // 1000
    status = (record.sip.code or 0, record.disposition, record.outcome.value)
    yield ("calls", minute, trunk, *status, pbx, direction), talk_ms, None
    for attempt in record.attempts:
        ended = minute if attempt.ended_at is None else microseconds(attempt.ended_at) // _MINUTE_US
        key = (_key(attempt.trunk) or "", attempt.sip.code or 0, attempt.disposition, "", pbx, direction)
        yield ("attempts", ended, *key), 0, None if attempt.pdd_ms is None else bucket_of(attempt.pdd_ms)


@dataclass(slots=True)
class _Counted:
    """The counts of a batch, as ``rollups.rows`` takes them."""

    detail: dict[Row, list[int]] = field(default_factory=dict)
    delays: dict[Row, list[int]] = field(default_factory=dict)

    def add(self, key: Row, talk_ms: int, pdd: int | None) -> None:
        """Count a call or an attempt."""
        numbers = self.detail.setdefault(key, [0, 0])
        numbers[0] += 1
        numbers[1] += talk_ms
        if pdd is not None:
            _, minute, trunk, *_, pbx, _ = key
            self.delays.setdefault((minute, trunk, pdd, pbx), [0])[0] += 1


def _call_row(record: CallRecord, at_us: int, decided: Attempt | None) -> Row:
    sip = record.sip
    return (
        record.id,
        at_us,
        storable(record.pbx),
        storable(record.linkedid),
        None if record.started_at is None else microseconds(record.started_at),
        None if record.ended_at is None else microseconds(record.ended_at),
        storable(record.direction),
        record.outcome.value,
        record.disposition,
        sip.code,
        sip.class_,
        record.evidence.grade.value,
        None if decided is None else storable(decided.trunk),
        None if decided is None else storable(decided.endpoint),
        _route(record),
        storable(record.caller.endpoint),
        storable(record.caller.number),
        storable(record.dialled),
        record.released_by,
        record.fault.side,
        record.partial,
        json_text(record),
    )


def _attempt_row(record: CallRecord, attempt: Attempt) -> Row:
    return (
        record.id,
        attempt.seq,
        attempt.stage,
        storable(record.pbx),
        storable(attempt.endpoint),
        storable(attempt.trunk),
        storable(attempt.dialled),
        None if attempt.began_at is None else microseconds(attempt.began_at),
        None if attempt.ended_at is None else microseconds(attempt.ended_at),
        attempt.sip.code,
        attempt.sip.class_,
        attempt.evidence.grade.value,
        attempt.disposition,
        storable(attempt.dial_status),
        _number(attempt.q850.cause),
        _number(attempt.pdd_ms),
        attempt.fault.side,
    )


def _route(record: CallRecord) -> str:
    names = dict.fromkeys(name for attempt in record.attempts for name in (attempt.trunk, attempt.endpoint) if name)
    return "\n".join(["", *(storable(name).replace("\n", NO_LINE) for name in names), ""])


def json_text(record: CallRecord) -> str:
    """Return a record as one line of JSON that fits every database."""
    text = record_text(record)
    # Half a surrogate pair (bytes that were no UTF-8) fits no database: such a record is written in escapes, as exact.
    return text if text.isascii() or _is_unicode(text) else json.dumps(to_json(record), separators=(",", ":"))


def _key(value: Any) -> Any:
    """Return a text that is part of a key: cut, for engines bound the length of keys."""
    text = storable(value)
    return text if text is None or len(text) <= _KEY_LENGTH else text[:_KEY_LENGTH]


def _number(value: int | None) -> int | None:
    """Return a number that the far end sent, None when it is larger than every engine can hold."""
    return value if value is None or abs(value) <= _LARGEST else None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Turns records into rows, in the order of the columns in ``schema``. Every call passes here: tuples, no objects."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from asterisk_sip.calls.model import Attempt, CallRecord, Outcome, to_json
from asterisk_sip.calls.record_text import record_text

from .base import Gap, Keep, OpenCall, ended_at, microseconds

Row = tuple[Any, ...]

_MINUTE_US = 60_000_000


@dataclass(slots=True)
class Rows:
    """The rows of a batch of new records."""

    calls: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    answered_ids: list[Row] = field(default_factory=list)
    totals: list[Row] = field(default_factory=list)


def rows_of(records: list[CallRecord], keep: Keep) -> Rows:
    """Return the rows of records never written before. Answered calls are only counted, unless all are kept."""
    rows = Rows()
    counts: dict[Row, list[int]] = {}
    for record in records:
        at_us = microseconds(ended_at(record))
        deciding = _deciding(record)
        _count(counts, record, at_us, deciding)
        if keep == "all" or record.outcome is not Outcome.ANSWERED:
            rows.calls.append(_call_row(record, at_us, deciding))
            rows.attempts.extend(_attempt_row(record, attempt) for attempt in record.attempts)
        else:
            rows.answered_ids.append((record.id, at_us))
    rows.totals = [(*key, *numbers) for key, numbers in counts.items()]
    return rows


def open_call_row(call: OpenCall) -> Row:
    """Return the row of a call in flight."""
    return _text(call.pbx), _text(call.linkedid), microseconds(call.seen_at), _text(call.state)


def closed_row(key: tuple[str, str]) -> Row:
    """Return the key of a call no longer in flight: (pbx, linkedid)."""
    return _text(key[0]), _text(key[1])


def gap_row(gap: Gap) -> Row:
    """Return the row of a gap."""
    ended_us = None if gap.ended_at is None else microseconds(gap.ended_at)
    began_us = microseconds(gap.began_at)
    return gap.id, _text(gap.pbx), _text(gap.source), began_us, ended_us, _text(gap.reason), gap.blind


def _deciding(record: CallRecord) -> Attempt | None:
    """Return the attempt the call took its status from: the last that shows the same one, else the last."""
    for attempt in reversed(record.attempts):
        if attempt.disposition == record.disposition and attempt.sip == record.sip:
            return attempt
    return record.attempts[-1] if record.attempts else None


def _count(counts: dict[Row, list[int]], record: CallRecord, at_us: int, deciding: Attempt | None) -> None:
    pbx, direction = _text(record.pbx), _text(record.direction) or ""
    trunk = "" if deciding is None else _text(deciding.trunk) or ""
    code = record.sip.code or 0
    numbers = counts.setdefault(
        (at_us // _MINUTE_US, "calls", pbx, direction, trunk, record.outcome.value, record.disposition, code), [0, 0]
    )
    numbers[0] += 1
    if record.answered_at is not None:
        numbers[1] += max(0, at_us - microseconds(record.answered_at)) // 1000
    for attempt in record.attempts:
        minute = (at_us if attempt.ended_at is None else microseconds(attempt.ended_at)) // _MINUTE_US
        key = (minute, "attempts", pbx, direction, _text(attempt.trunk) or "", "", attempt.disposition)
        counts.setdefault((*key, attempt.sip.code or 0), [0, 0])[0] += 1


def _call_row(record: CallRecord, at_us: int, deciding: Attempt | None) -> Row:
    sip = record.sip
    return (
        record.id,
        at_us,
        _text(record.pbx),
        _text(record.linkedid),
        None if record.started_at is None else microseconds(record.started_at),
        None if record.ended_at is None else microseconds(record.ended_at),
        _text(record.direction),
        record.outcome.value,
        record.disposition,
        sip.code,
        sip.class_,
        record.evidence.grade.value,
        None if deciding is None else _text(deciding.trunk),
        None if deciding is None else _text(deciding.endpoint),
        _route(record),
        _text(record.caller.endpoint),
        _text(record.caller.number),
        _text(record.dialled),
        record.released_by,
        record.fault.side,
        record.partial,
        _json(record),
    )


def _attempt_row(record: CallRecord, attempt: Attempt) -> Row:
    return (
        record.id,
        attempt.seq,
        attempt.stage,
        _text(record.pbx),
        _text(attempt.endpoint),
        _text(attempt.trunk),
        _text(attempt.dialled),
        None if attempt.began_at is None else microseconds(attempt.began_at),
        None if attempt.ended_at is None else microseconds(attempt.ended_at),
        attempt.sip.code,
        attempt.sip.class_,
        attempt.evidence.grade.value,
        attempt.disposition,
        _text(attempt.dial_status),
        attempt.q850.cause,
        attempt.pdd_ms,
        attempt.fault.side,
    )


def _route(record: CallRecord) -> str:
    names = dict.fromkeys(name for attempt in record.attempts for name in (attempt.trunk, attempt.endpoint) if name)
    return "\n".join(["", *map(_text, names), ""])


def _json(record: CallRecord) -> str:
    text = record_text(record)
    # Half a surrogate pair (bytes that were no UTF-8) fits no database: such a record is written in escapes, as exact.
    return text if text.isascii() or _is_unicode(text) else json.dumps(to_json(record), separators=(",", ":"))


def _text(value: Any) -> Any:
    """Return a text as every engine can hold it. What is lost here is exact in the record's own JSON."""
    if value is None or value.isprintable():
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

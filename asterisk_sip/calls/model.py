"""The record: what is written for every call and every attempt inside it (schema ``asterisk-sip/call/1``).

The field names are the keys of the JSON, in the same order. Absent values are ``None``, never left out.
Times are aware UTC datetimes, durations are whole milliseconds (``_ms``).
"""

from __future__ import annotations

import hashlib
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, partial
from operator import attrgetter
from typing import Any, TypeVar

from asterisk_sip.calls.unique_id import made_at_s
from asterisk_sip.catalog.redress import Redress

SCHEMA = "asterisk-sip/call/1"

_LAST_SECOND = 0xFFFF_FFFF  # in the year 2106


class Outcome(StrEnum):
    """How a call ended, seen from the caller."""

    ANSWERED = "answered"
    FAILED = "failed"
    RESCUED = "rescued"  # a first stage failed, a later one answered
    ABANDONED = "abandoned"  # the caller gave up


class Grade(StrEnum):
    """How a SIP status is known, best first."""

    WIRE = "wire"  # the status line as received
    REPORTED = "reported"  # TechCause, under the rules that say received
    LOCAL = "local"  # Asterisk's own stack made it up; the far end said nothing
    SENT = "sent"  # what Asterisk answered the caller
    CANDIDATES = "candidates"  # only the Q.850 cause or the DialStatus is known: a set of codes
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who placed the call."""

    number: str | None = None
    name: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class SipStatus:
    """A SIP status with its class and meaning. ``code`` is None when only ``candidates`` are known."""

    code: int | None = None
    phrase: str | None = None
    class_: int | None = None
    class_name: str | None = None
    class_meaning: str | None = None
    meaning: str | None = None
    reference: str | None = None
    candidates: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a source said about the SIP status of a leg."""

    grade: Grade
    source: str
    code: int | None = None
    phrase: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the SIP status is known: the winner's grade and source, and what the other sources said.

    ``conflict``: another source, one that also claims to tell what the far end sent, names another code.
    """

    grade: Grade = Grade.NONE
    source: str | None = None
    losers: tuple[Finding, ...] = ()
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Q850:
    """The ISDN cause Asterisk filed (ITU-T Q.850) and its text."""

    cause: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Whose side the failure was on, and why we say so."""

    side: str = "unknown"
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LadderLine:
    """One SIP message of a call, as the wire showed it: ``INVITE sip:608@acme``, ``608 Rejected``.

    ``direction`` is seen from Asterisk: ``sent`` or ``received``. ``reason`` holds its Reason header (RFC 3326).
    """

    at: datetime
    direction: str
    line: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to reach one destination. ``stage`` is the serial step; forks share one."""

    seq: int
    stage: int
    channel: str
    uniqueid: str
    endpoint: str | None
    trunk: str | None
    dialled: str | None
    sip_call_id: str | None
    began_at: datetime | None
    ended_at: datetime | None
    pdd_ms: int | None
    ring_ms: int | None
    dial_status: str | None
    forward: str | None
    disposition: str
    sip: SipStatus
    evidence: Evidence
    q850: Q850
    fault: Fault
    remote_reason: tuple[str, ...] | None = None  # Reason headers of the final response or the BYE, word for word
    early_reason: tuple[str, ...] | None = None  # those of provisional responses
    remote_warning: tuple[str, ...] | None = None  # Warning headers (RFC 3261 section 20.43)
    retry_after_s: int | None = None
    redress: Redress | None = None  # whom to ask why the call was blocked
    ladder: tuple[LadderLine, ...] | None = None  # the messages of a failed attempt, when the wire was seen
    rule: str | None = None  # the override of the configuration that changed disposition, fault or meaning


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call with its chain of attempts: what happened, how it is known, whose side it was on, what to do."""

    id: str
    pbx: str
    asterisk_version: str | None
    linkedid: str
    started_at: datetime | None
    ended_at: datetime | None
    answered_at: datetime | None
    duration_ms: int | None
    direction: str | None
    caller: Caller
    dialled: str | None
    context: str | None
    exten: str | None
    account: str | None
    outcome: Outcome
    disposition: str
    sip: SipStatus
    evidence: Evidence
    q850: Q850
    released_by: str
    fault: Fault
    hint: str | None
    attempts: tuple[Attempt, ...]
    partial: bool
    gap_ids: tuple[str, ...] = ()
    rule: str | None = None
    backfilled: bool = False  # read from Asterisk's own CEL after a gap, not heard
    count: int = 1  # how many alike stand in one record (a flood of rejected requests)
    sip_call_id: str | None = None  # of the caller's side
    ladder: tuple[LadderLine, ...] | None = None  # of the caller's side, when the wire was seen and the call failed


def deciding(record: CallRecord) -> Attempt | None:
    """Return the attempt a call took its status from: the last that shows the same one, else the last."""
    for attempt in reversed(record.attempts):
        if attempt.disposition == record.disposition and attempt.sip == record.sip:
            return attempt
    return record.attempts[-1] if record.attempts else None


def call_id(pbx: str, linkedid: str, generation: int = 0) -> str:
    """Return the id of a call: 32 hex digits, the same for the same call whenever it is computed.

    It begins with the second in the linkedid, so that ids grow with time: what is stored under them lands side by side.
    A linkedid without a time (HEP alone knows none, an Originate may choose one) gives digits of the hash instead.
    ``generation`` counts calls that reuse a linkedid after all its channels had ended.
    """
    text = "\0".join((pbx, linkedid, str(generation)) if generation else (pbx, linkedid))
    digits = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    second = made_at_s(linkedid)
    return digits if second is None or second > _LAST_SECOND else f"{second:08x}{digits[8:]}"


def gap_id(pbx: str, key: str, at: float) -> str:
    """Return the id of a gap: 16 hex digits, the same for what began at the same time in the same place."""
    return hashlib.blake2b(f"{pbx}\0{key}\0{at:.6f}".encode(), digest_size=8).hexdigest()


def utc(seconds: float | None) -> datetime | None:
    """Return seconds since 1970 as an aware UTC datetime, None as None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def isoformat(at: datetime) -> str:
    """Return a UTC time as ISO 8601 with microseconds and Z, so that text order is time order."""
    text = (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


Record = TypeVar("Record")

_LEAVES = frozenset({str, int, float, bool, type(None), Outcome, Grade})
_SHAPES: dict[type, tuple[tuple[str, ...], attrgetter[tuple[Any, ...]]]] = {}  # keys, and one getter of all fields


def to_json(record: Any) -> Any:
    """Return a record (or a part of one) as dicts, lists, strings and numbers, ready for ``json.dumps``."""
    kind = type(record)
    if kind is tuple:
        return [to_json(item) for item in record]
    if kind is datetime:
        return isoformat(record)
    shape = _SHAPES.get(kind)
    if shape is None:
        if not is_dataclass(kind):
            return record
        names = [field.name for field in fields(kind)]
        shape = _SHAPES[kind] = (tuple(name.rstrip("_") for name in names), attrgetter(*names))
    keys, values = shape
    # Every call passes here: leaves are told apart without a call of a function.
    return {
        key: value if type(value) in _LEAVES else to_json(value)
        for key, value in zip(keys, values(record), strict=True)
    }


def from_json(kind: type[Record], data: Any) -> Record:
    """Rebuild a record of ``kind`` from what ``to_json`` gave. Keys it does not know are passed over.

    A key that is missing takes its default: an older record lacks the younger keys. Raises KeyError when there is no
    default, and ValueError when a value does not fit.
    """
    return kind(**{name: read(data[key]) for name, key, read, optional in _layout(kind) if key in data or not optional})  # type: ignore[arg-type]  # a class is hashable


_Reader = Callable[[Any], Any]


@cache
def _layout(kind: Any) -> tuple[tuple[str, str, _Reader, bool], ...]:
    hints = typing.get_type_hints(kind)
    return tuple(
        (field.name, field.name.rstrip("_"), _reader(hints[field.name]), field.default is not MISSING)
        for field in fields(kind)
    )


@cache
def _reader(hint: Any) -> _Reader:
    """Return what reads a value. Pages read hundreds of records: what the hint means is found out once."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        read = _reader(next(arg for arg in args if arg is not type(None)))
        return lambda data: None if data is None else read(data)
    if origin is tuple:
        read = _reader(args[0])
        return lambda data: tuple([read(item) for item in data])
    if is_dataclass(hint):
        return partial(from_json, hint)  # type: ignore[arg-type]  # mypy takes is_dataclass to admit an instance
    return datetime.fromisoformat if hint is datetime else hint

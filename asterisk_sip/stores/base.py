"""What every store does, and the data it takes and gives. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from asterisk_sip.calls.model import CallRecord, isoformat
from asterisk_sip.errors import StoreError

from .erasure import Stored
from .retention import Bounds, Swept

Counted = Literal["calls", "attempts"]
Dimension = Literal["minute", "hour", "pbx", "direction", "trunk", "outcome", "disposition", "sip_code", "pdd"]
Keep = Literal["failures", "all"]

Text = TypeVar("Text", str, None, str | None)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class MissingStoreError(StoreError):
    """There is no store yet where one was to be read: nothing has been written so far."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time we were not listening to one source of one PBX. ``ended_at`` is None while it lasts.

    ``blind``: no other source told of the calls meanwhile, so some may be missing, and some are partial.
    """

    id: str
    pbx: str
    source: str
    began_at: datetime
    ended_at: datetime | None
    reason: str
    blind: bool = True


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call in flight, kept so that a crash loses none. ``state`` is the correlator's own text, opaque here."""

    pbx: str
    linkedid: str
    seen_at: datetime
    state: str


@dataclass(slots=True)
class Batch:
    """What is written in one transaction, all of it or nothing.

    ``open_calls`` and ``gaps`` replace what is stored under the same key. ``closed`` are the (pbx, linkedid) of calls
    no longer in flight; a call that is in ``open_calls`` too stays in flight: its linkedid was used again. ``listened``
    says of each PBX until when it was listened to, so that a crash leaves a gap that begins at the right time.
    ``new`` is filled in by a store that writes for the daemon: the records that it did not know yet.
    """

    records: list[CallRecord] = field(default_factory=list)
    open_calls: list[OpenCall] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    listened: dict[str, datetime] = field(default_factory=dict)
    new: list[CallRecord] | None = None


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which calls to read. Every field given narrows the answer; None asks for nothing.

    Times are those of the end of the call, ``since`` included, ``until`` not. ``code`` and ``sip_class`` are the status
    of the call itself, the one that decided it; class 0 is that of calls without one. ``trunk`` is a pattern (``*`` any
    text, ``?`` one character, case matters) for the trunk or the endpoint of any attempt, ``endpoint`` one for the
    caller's endpoint or that of any attempt. ``attempt_code`` is the status of any attempt; with ``trunk``, of one that
    fits both. ``fault`` is a side. ``number`` is any part of the caller's number or of the dialled one, ``country`` the
    digits of a country that the dialled number begins with, see `countries`. ``before`` is the ``cursor`` of the last
    record of the page before; ``down_to`` that of the last record to look at, whether it fits or not.
    """

    since: datetime | None = None
    until: datetime | None = None
    code: int | None = None
    sip_class: int | None = None
    trunk: str | None = None
    endpoint: str | None = None
    outcome: str | None = None
    disposition: str | None = None
    number: str | None = None
    pbx: str | None = None
    attempt_code: int | None = None
    fault: str | None = None
    country: str | None = None
    limit: int = 50
    before: str | None = None
    down_to: str | None = None


@dataclass(frozen=True, slots=True)
class TotalsQuery:
    """Which calls or attempts to count, over the minutes that begin in a window: ``since`` included, ``until`` not.

    ``by`` names what to count apart, ``minute`` and ``hour`` not both. ``trunk`` is a pattern as in `CallQuery`: of a
    call, the trunk that decided it. By ``pdd``, the attempts whose post-dial delay is known are counted, and they can
    be told apart by ``minute`` or ``hour``, ``trunk`` and ``pbx`` as well, but by nothing else. Of so many ``minutes``
    (whole hours, by ``hour``), from 1970 on, each is counted under the first: fewer bars are fewer lines to read.
    """

    since: datetime
    until: datetime
    counted: Counted = "calls"
    by: tuple[Dimension, ...] = ("outcome",)
    pbx: str | None = None
    trunk: str | None = None
    minutes: int = 1


class Total(NamedTuple):
    """How many calls or attempts share what was asked ``by``; the dimensions not asked for are None.

    ``minute`` and ``hour`` are the start of that in which the call or attempt ended. An absent trunk or direction is
    the empty text, an unknown SIP code is 0, ``pdd`` is a bucket of `calls.delays`. ``talk_ms`` is the time from answer
    to end, summed; attempts have none. The last three are never asked ``by``, see `numbers_read`.
    """

    total: int
    talk_ms: int
    minute: datetime | None = None
    hour: datetime | None = None
    pbx: str | None = None
    direction: str | None = None
    trunk: str | None = None
    outcome: str | None = None
    disposition: str | None = None
    sip_code: int | None = None
    pdd: int | None = None
    endpoint: str | None = None
    country: str | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a store holds: its size on the disk, the end of its oldest call, calls in flight, and its spool.

    ``spooled`` is how many things wait for a sink at least, ``behind`` how many do for each. Only the local file has a
    spool.
    """

    size_bytes: int
    oldest_at: datetime | None
    open_calls: int
    spooled: int = 0
    behind: Mapping[str, int] = field(default_factory=dict)


class Store(Protocol):
    """Keeps records. Every method raises StoreError, with the place and the reason, when the store cannot do it."""

    place: str
    """What an operator calls it: a file, or a server and its database."""

    async def open(self) -> None:
        """Make the store ready, bringing its schema up to date. Raises StoreError for a schema newer than ours."""

    async def close(self) -> None:
        """Finish what is being written and let go of the store. Closing twice is fine."""

    async def write(self, batch: Batch) -> int:
        """Write a batch and return how many of its records were new.

        It is durable when this returns. A record whose id was written before is passed over, wherever it was counted.
        """

    async def open_calls(self, pbx: str) -> list[OpenCall]:
        """Return the calls of a PBX that were in flight at the last write, oldest sight first."""

    async def gaps(self, since: datetime, until: datetime, pbx: str | None = None) -> list[Gap]:
        """Return the gaps that touch a window of time, in the order they began."""

    async def listened_until(self, pbx: str) -> datetime | None:
        """Return until when a PBX was listened to for sure, None when it never was."""

    async def calls(self, query: CallQuery) -> list[CallRecord]:
        """Return the newest calls first. Raises ValueError for a ``before`` that is no cursor."""

    async def call_texts(self, query: CallQuery) -> list[str]:
        """Return the JSON of calls as it lies there, the newest first: for who reads many and little of each."""

    async def call(self, record_id: str) -> CallRecord | None:
        """Return one call by its id, None when it is not kept."""

    async def after(
        self, position: int, limit: int, query: CallQuery | None = None, upto: int | None = None
    ) -> list[tuple[int, CallRecord]]:
        """Return calls written after a position, in the order of writing, each with its own position.

        ``limit``, ``before`` and ``down_to`` of the query are passed over. ``upto`` is the last position to look at.
        """

    async def position_behind(self, position: int, calls: int) -> int | None:
        """Return the position of the last of so many calls written after a position, None when there are fewer."""

    async def last_position(self) -> int:
        """Return the position of the call written last, 0 when none ever was. Positions only grow."""

    async def holdings(self) -> Holdings:
        """Return what it holds."""

    async def totals(self, query: TotalsQuery) -> list[Total]:
        """Count all calls, or all attempts: the denominators. Answered calls count too, kept whole or not.

        Raises ValueError for what is not counted together, see `TotalsQuery`.
        """

    async def over_time(self, query: CallQuery, step: timedelta, begin: datetime | None = None) -> list[Total]:
        """Count the calls a query finds in a window, by ``minute`` and code: steps begin at ``begin``, else ``since``.

        ``limit`` is passed over. It looks at each call: what `totals` can tell it tells sooner. Raises ValueError
        without a ``since`` and an ``until``.
        """

    async def depth(self, query: CallQuery, calls: int) -> str | None:
        """Return the cursor of the last of so many calls of a window, the newest first; None when none is behind it.

        Only ``since``, ``until`` and ``before`` of the query count: how far a search comes that looks at so many calls.
        None, too, where to find it is as much work as the search, and that may look at all.
        """

    async def texts(self, position: int, limit: int) -> list[Stored]:
        """Return calls written after a position as they lie there, in the order of writing."""

    async def ended(self, since: datetime, until: datetime, after: Stored | None, limit: int) -> list[Stored]:
        """Return calls that ended in a window as they lie there, in the order of their ends, behind one of them."""

    async def erase(self, calls: Sequence[Stored]) -> int:
        """Delete calls for good, and return how many were there. Their counts and ids stay: they do not come back."""

    async def sweep(self, bounds: Bounds) -> Swept:
        """Forget what is past its bounds, the oldest first, in small steps that let writers through."""


def gap_json(gap: Gap) -> dict[str, str | bool | None]:
    """Return a gap as plain data; times are ISO 8601 in UTC, the end of one that lasts is None."""
    return {
        "id": gap.id,
        "pbx": gap.pbx,
        "source": gap.source,
        "began_at": isoformat(gap.began_at),
        "ended_at": None if gap.ended_at is None else isoformat(gap.ended_at),
        "reason": gap.reason,
        "blind": gap.blind,
    }


def gap_from_json(data: dict[str, Any]) -> Gap:
    """Rebuild a gap from what ``gap_json`` gave. Raises KeyError, TypeError or ValueError when it is none."""
    ended_at = data["ended_at"]
    return Gap(
        data["id"],
        data["pbx"],
        data["source"],
        datetime.fromisoformat(data["began_at"]),
        None if ended_at is None else datetime.fromisoformat(ended_at),
        data["reason"],
        data["blind"],
    )


def ended_at(record: CallRecord) -> datetime:
    """Return the time a call is listed under: its end, else the best other time it has, else 1970."""
    if record.ended_at is not None:
        return record.ended_at
    times = [at for attempt in record.attempts for at in (attempt.began_at, attempt.ended_at) if at is not None]
    if record.started_at is not None:
        times.append(record.started_at)
    return max(times, default=EPOCH)


def cursor(record: CallRecord) -> str:
    """Return the text that, as ``CallQuery.before``, continues a listing after this record."""
    return f"{microseconds(ended_at(record))}.{record.id}"


def time_of(cursor: str) -> datetime:
    """Return the time of the call that a cursor is of. Raises ValueError for what is no cursor."""
    return from_microseconds(cursor_parts(cursor)[0])


def cursor_parts(cursor: str) -> tuple[int, str]:
    """Return (microseconds, id) of a cursor. Raises ValueError for what is none."""
    at_us, dot, record_id = cursor.partition(".")
    if not (dot and record_id and at_us.removeprefix("-").isdecimal() and at_us.isascii()):
        raise ValueError(f"{cursor!r} is not the cursor of a record")
    return int(at_us), record_id


def microseconds(at: datetime) -> int:
    """Return an aware time as whole microseconds since 1970, exactly.

    This is how every store keeps time: range queries compare integers, and no engine has its own idea of time zones,
    precision or the parsing of text. People read the ISO text in the record itself.
    """
    return (at - EPOCH) // _MICROSECOND


def storable(text: Text) -> Text:
    """Return a text as every engine can hold it. What is lost here is exact in the record's own JSON."""
    if text is None or text.isprintable():
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def from_microseconds(at_us: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=at_us)

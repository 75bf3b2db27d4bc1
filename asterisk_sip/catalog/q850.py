"""Q.850 causes, and the mappings between them and SIP codes that the RFCs define.

Names: ITU-T Q.850. Asterisk's names and texts: include/asterisk/causes.h and main/channel.c. SIP to Q.850:
RFC 3398 section 8.2.6.1, RFC 4497 section 8.4.4. Q.850 to SIP: RFC 3398 section 7.2.4.1, RFC 4497 section 8.4.1.
What Asterisk itself does is another matter: see ``asterisk``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from .sip import sip_code
from .tables import rows

# The upper bound of each class of causes, and the cause as which unassigned ones in it are read (Q.850 section 2.2.5).
_CLASSES = (
    (31, "normal event", 31),
    (47, "resource unavailable", 47),
    (63, "service or option not available", 63),
    (79, "service or option not implemented", 79),
    (95, "invalid message", 95),
    (111, "protocol error", 111),
    (127, "interworking", 127),
)


@dataclass(frozen=True, slots=True)
class Q850Cause:
    """A cause, and how a leg is judged of which only the cause is known."""

    cause: int
    name: str
    q850_class: str
    asterisk_name: str
    asterisk_text: str  # what Cause-txt shows
    notes: str
    disposition: str
    disposition_why: str
    fault: str
    fault_why: str
    asterisk_aliases: tuple[str, ...] = ()
    assigned: bool = True
    read_as: int = 0  # the cause itself, or for an unassigned one the last of its class


@dataclass(frozen=True, slots=True)
class SipToQ850:
    """What a gateway makes of a SIP response: RFC 3398, and RFC 4497 beside it in words."""

    code: int | str
    cause: int | None  # None: no single cause, the note says why
    location: str  # the cause location, "network" or "user"
    note: str
    rfc4497: str
    rfc4497_difference: str
    listed: bool  # False: the default for codes that the table does not list


@dataclass(frozen=True, slots=True)
class Q850ToSip:
    """What a gateway answers for a cause: RFC 3398, and RFC 4497 beside it in words."""

    cause: int
    code: int | None  # None: no response, the note says why
    phrase: str
    note: str
    rfc4497: str
    rfc4497_difference: str
    listed: bool


def q850_cause(cause: int) -> Q850Cause:
    """Return what is known about a cause, 0..127; unassigned ones are judged as the last of their class.

    Raises ValueError outside 0..127.
    """
    if not 0 <= cause <= 127:
        raise ValueError(f"{cause} is not a Q.850 cause (0..127)")
    return _causes().get(cause) or _unassigned(cause)


def all_causes() -> tuple[Q850Cause, ...]:
    """Return the causes 0..127, unassigned ones included."""
    return tuple(q850_cause(cause) for cause in range(128))


def sip_to_q850(code: int | str) -> SipToQ850:
    """Return the cause for a final SIP code from 300 (or for the requests ``"BYE"`` and ``"CANCEL"``)."""
    if isinstance(code, int):
        sip_code(code)
        keys = [str(code), "3xx" if code < 400 else "*"]
        if code < 300:
            raise ValueError(f"{code} does not end a call: RFC 3398 maps it to a message, not to a cause")
    else:
        keys = [code.upper()]
    table = {row["code"]: row for row in rows("rfc_sip_to_q850")}
    found = next((key for key in keys if key in table), None)
    if found is None:
        raise ValueError(f"{code!r} is neither a SIP code nor BYE nor CANCEL")
    row = table[found]
    return SipToQ850(
        code=code,
        cause=_number(row["cause"]),
        location=row["location"],
        note=row["note"],
        rfc4497=row["rfc4497"],
        rfc4497_difference=row["rfc4497_difference"],
        listed=found == keys[0],
    )


def q850_to_sip(cause: int) -> Q850ToSip:
    """Return the SIP code for a cause (0..127)."""
    q850_cause(cause)
    table = {row["cause"]: row for row in rows("rfc_q850_to_sip")}
    row = table.get(str(cause)) or table["*"]
    code = _number(row["code"])
    return Q850ToSip(
        cause=cause,
        code=code,
        phrase=sip_code(code).phrase if code else "",
        note=row["note"],
        rfc4497=row["rfc4497"],
        rfc4497_difference=row["rfc4497_difference"],
        listed=str(cause) in table,
    )


def _number(text: str) -> int | None:
    return int(text) if text else None


@cache
def _causes() -> dict[int, Q850Cause]:
    return {int(row["cause"]): _from_row(row) for row in rows("q850_causes")}


def _from_row(row: dict[str, str]) -> Q850Cause:
    return Q850Cause(
        cause=int(row["cause"]),
        name=row["name"],
        q850_class=row["q850_class"],
        asterisk_name=row["asterisk_name"],
        asterisk_text=row["asterisk_text"] or "Unknown",
        notes=row["notes"],
        disposition=row["disposition"],
        disposition_why=row["disposition_why"],
        fault=row["fault"],
        fault_why=row["fault_why"],
        asterisk_aliases=tuple(row["asterisk_aliases"].split()),
        read_as=int(row["cause"]),
    )


def _unassigned(cause: int) -> Q850Cause:
    name, read_as = next((name, read_as) for last, name, read_as in _CLASSES if cause <= last)
    return replace(
        _causes()[read_as],
        cause=cause,
        name="",
        q850_class=name,
        asterisk_name="",
        asterisk_aliases=(),
        asterisk_text="Unknown",
        notes=f"Not assigned in Q.850: read as {read_as}, the last of its class.",
        assigned=False,
    )

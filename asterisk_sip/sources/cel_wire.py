"""Asterisk's channel event log (CEL), as its back ends store it: rows in, what is known of each call out. Pure.

Names of the events: Asterisk's main/cel.c; their numbers, for tables that keep numbers: include/asterisk/cel.h.
Columns: the samples of cel_sqlite3_custom.conf, cel_pgsql.conf, cel_odbc.conf and cel_custom.conf.
Seen on 16.28 and 22.10.1: HANGUP has JSON in ``extra`` (hangupcause, hangupsource, dialstatus); CHAN_END follows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

KINDS = (
    *("CHAN_START", "CHAN_END", "HANGUP", "ANSWER", "APP_START", "APP_END", "BRIDGE_ENTER", "BRIDGE_EXIT"),
    *("PARK_START", "PARK_END", "BLINDTRANSFER", "ATTENDEDTRANSFER", "USER_DEFINED", "LINKEDID_END", "PICKUP"),
    *("FORWARD", "LOCAL_OPTIMIZE", "LOCAL_OPTIMIZE_BEGIN", "STREAM_BEGIN", "STREAM_END", "DTMF"),
)
"""The events in the order of their numbers, from 1."""

NEEDED = ("CHAN_START", "ANSWER", "HANGUP", "CHAN_END", "LINKEDID_END")
"""The events without which a call cannot be told; with APP_START of Dial and Queue it is told better."""

CSV_COLUMNS = (
    *("eventtype", "eventtime", "cid_name", "cid_num", "cid_ani", "cid_rdnis", "cid_dnid", "exten", "context"),
    *("channame", "appname", "appdata", "amaflags", "accountcode", "uniqueid", "linkedid", "peer", "userfield"),
    *("userdeftype", "extra"),
)
"""What stands in a line that cel_custom writes by its sample mapping, in order."""

REQUIRED = ("eventtype", "eventtime", "channame", "uniqueid", "linkedid")
"""The columns without which calls cannot be put together."""

ALIASES = {"cidname": "cid_name", "cidnum": "cid_num", "eventextra": "extra", "acctcode": "accountcode"}
"""Names of columns that the samples of other back ends use."""

DIALLED_BY = ("AppDial", "AppDial2", "AppQueue")
"""What a channel shows as its application while another dials it: app_dial.c, dial.c (Originate), app_queue.c."""


class Row(NamedTuple):
    """One event. ``at`` is seconds since 1970."""

    at: float
    kind: str
    channel: str
    uniqueid: str
    linkedid: str
    number: str | None = None
    name: str | None = None
    exten: str | None = None
    context: str | None = None
    account: str | None = None
    app: str = ""
    app_data: str = ""
    peer: str = ""
    cause: int | None = None  # of HANGUP, as are the next two
    source: str = ""
    dial_status: str = ""
    forward: str = ""  # of FORWARD: where to


def column(name: str) -> str:
    """Return our name of a column of any back end."""
    lower = name.lower()
    return ALIASES.get(lower, lower)


def read_row(values: Mapping[str, object]) -> Row | None:
    """Read one row, by ``column`` names; None when it is none, or its time cannot be read.

    A time is seconds since 1970 (the default), a datetime, or ISO 8601; one that names no zone is this machine's.
    """
    at, kind = _moment(values.get("eventtime")), _kind(values.get("eventtype"))
    uniqueid = _text(values.get("uniqueid"))
    if at is None or not kind or not uniqueid:
        return None
    extra = _extra(values.get("extra")) if kind in ("HANGUP", "FORWARD") else {}
    cause = extra.get("hangupcause")
    return Row(
        at,
        kind,
        _text(values.get("channame")),
        uniqueid,
        _text(values.get("linkedid")) or uniqueid,
        number=_text(values.get("cid_num")) or None,
        name=_text(values.get("cid_name")) or None,
        exten=_text(values.get("exten")) or None,
        context=_text(values.get("context")) or None,
        account=_text(values.get("accountcode")) or None,
        app=_text(values.get("appname")),
        app_data=_text(values.get("appdata")),
        peer=_text(values.get("peer")),
        cause=cause if type(cause) is int and 0 <= cause <= 127 else None,
        source=_text(extra.get("hangupsource")),
        dial_status=_text(extra.get("dialstatus")),
        forward=_text(extra.get("forward")),
    )


def _moment(value: object) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    try:
        if isinstance(value, datetime):
            return value.timestamp()
        text = _text(value)
        if text.replace(".", "", 1).isdigit():
            return float(text)
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _kind(value: object) -> str:
    text = _text(value)
    if text.isdecimal():
        number = int(text) if len(text) < 4 else 0
        return KINDS[number - 1] if 0 < number <= len(KINDS) else ""
    return text


def _extra(value: object) -> Mapping[str, object]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


@dataclass(slots=True)
class CelLeg:
    """One channel as the log tells of it. Times are None, and flags off, where the rows do not show it."""

    uniqueid: str
    rows: list[Row] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    peers: set[str] = field(default_factory=set)  # whom it was bridged with
    began_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    cause: int | None = None
    hung_up_by: str = ""  # the channel whose far end ended it, or Asterisk's word for who did
    dial_status: str = ""  # of the last Dial that it ran
    dialled_by: str = ""  # the application that dialled it: one of DIALLED_BY

    @property
    def ended_by_far_end(self) -> bool:
        """Whether the log names this very channel as the one that ended it."""
        return self.hung_up_by in self.names


@dataclass(slots=True)
class CelCall:
    """All channels that shared a linkedid."""

    linkedids: set[str] = field(default_factory=set)
    legs: dict[str, CelLeg] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)  # the linkedids that LINKEDID_END told of

    @property
    def rows(self) -> list[Row]:
        """Every row of the call in the order of time; rows of one time as they were written."""
        return sorted((row for leg in self.legs.values() for row in leg.rows), key=lambda row: row.at)

    @property
    def began_at(self) -> float | None:
        """When its first channel began, None when no row shows it."""
        return min((leg.began_at for leg in self.legs.values() if leg.began_at is not None), default=None)

    @property
    def answered_at(self) -> float | None:
        """When a channel of it was answered first."""
        return min((leg.answered_at for leg in self.legs.values() if leg.answered_at is not None), default=None)

    @property
    def ended_at(self) -> float | None:
        """When its last channel ended; None while one is up."""
        ends = [leg.ended_at for leg in self.legs.values()]
        return None if None in ends else max((end for end in ends if end is not None), default=None)


def calls(rows: Iterable[Row]) -> list[CelCall]:
    """Put rows together into calls: legs that shared a linkedid at any time are one. The oldest call comes first."""
    by_linkedid: dict[str, CelCall] = {}
    by_uniqueid: dict[str, CelCall] = {}
    for row in rows:
        call = by_linkedid.get(row.linkedid) or by_uniqueid.get(row.uniqueid) or CelCall()
        other = by_uniqueid.get(row.uniqueid)
        if other is not None and other is not call:
            _join(call, other, by_linkedid, by_uniqueid)
        call.linkedids.add(row.linkedid)
        by_linkedid[row.linkedid] = by_uniqueid[row.uniqueid] = call
        _note(call, row)
    distinct = {id(call): call for call in by_linkedid.values()}
    return list(distinct.values())


def _join(call: CelCall, other: CelCall, by_linkedid: dict[str, CelCall], by_uniqueid: dict[str, CelCall]) -> None:
    call.linkedids |= other.linkedids
    call.legs |= other.legs
    call.retired |= other.retired
    by_linkedid |= dict.fromkeys(other.linkedids, call)
    by_uniqueid |= dict.fromkeys(other.legs, call)


def _note(call: CelCall, row: Row) -> None:
    if row.kind == "LINKEDID_END":
        call.retired.add(row.linkedid)
    leg = call.legs.get(row.uniqueid)
    if leg is None:
        leg = call.legs[row.uniqueid] = CelLeg(row.uniqueid)
    leg.rows.append(row)
    if row.channel:
        leg.names.add(row.channel)
    if row.app in DIALLED_BY:
        leg.dialled_by = row.app
    leg.peers.update(peer for peer in row.peer.split(",") if peer)
    if row.kind == "CHAN_START":
        leg.began_at = row.at
    elif row.kind == "ANSWER" and leg.answered_at is None:
        leg.answered_at = row.at
    elif row.kind == "HANGUP":
        leg.ended_at, leg.cause, leg.hung_up_by, leg.dial_status = row.at, row.cause, row.source, row.dial_status
    elif row.kind == "CHAN_END" and leg.ended_at is None:
        leg.ended_at = row.at

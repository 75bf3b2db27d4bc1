"""What the hangup handler of configs/asterisk/extensions.conf sends, by UserEvent or by AGI, to a report. Pure.

One line of ``key=value`` words. What a remote party can write (numbers, names, phrases), and every name, is in Base64:
so there is nothing in it that UserEvent, AGI or AMI could take for a comma, a quote or the end of a line. Each such
text begins with ``=``: Asterisk logs a warning when it is to encode an empty one.
"""

from __future__ import annotations

import binascii
import json

from asterisk_sip.calls import events as ev

AGI = "AGI"
"""The source of what came over AGI."""

USER_EVENT = "AsteriskSip"
"""The name of the UserEvent."""

FIELD = "Report"
"""The header of the UserEvent that holds the line."""

MAX_LINE = 16_384
"""Asterisk gives an application no more than 8,192 bytes (include/asterisk/pbx.h ``EXT_DATA_SIZE``)."""

MAX_HEARD = 64
LAST_CAUSE = 127


def report_of(line: str, source: str, at: float) -> ev.HandlerReport | None:
    """Read a line that came by ``source``; None when it is no report.

    ``at`` (seconds since 1970) is when it came: it stands in for a time that the line does not tell.
    """
    if len(line) > MAX_LINE:
        return None
    fields, heard = _fields(line)
    uniqueid, name = fields.get("uniqueid", ""), _text(fields.get("channel"))
    if fields.get("v") != "1" or not uniqueid or not name:
        return None
    is_leg = fields.get("kind") == "leg"
    state = fields.get("state")
    target = _text(fields.get("dialled"))
    channel = ev.Channel(
        name,
        uniqueid,
        fields.get("linkedid", ""),
        up=state == "Up",
        ringing=state == "Ringing",
        caller_number=_text(fields.get("number")),
        caller_name=_text(fields.get("name")),
        account=_text(fields.get("account")),
        context=None if is_leg else _text(fields.get("context")),
        exten=None if is_leg else target,
        call_id=_text(fields.get("callid")),
    )
    cause = _number(fields.get("cause"))
    return ev.HandlerReport(
        _seconds(fields.get("at")) or at,
        source,
        channel,
        is_dialled_leg=is_leg,
        began_at=_seconds(fields.get("began")),
        answered_at=_seconds(fields.get("answered")) if state == "Up" else None,
        dial_status=fields.get("dialstatus") or None,
        cause=cause if cause is not None and cause <= LAST_CAUSE else None,
        requested=_text(fields.get("source")) == name,
        dialled=target if is_leg else None,
        answered_ms=_number(fields.get("answeredms")),
        queue_status=fields.get("queuestatus") or None,
        caller=fields.get("caller", ""),
        root=fields.get("root", ""),
        heard=tuple(heard),
    )


def record(line: str, at: float) -> bytes:
    """Return a line that came over AGI as it is recorded, with when it came."""
    return json.dumps({"door": "agi", "at": at, "report": line}, separators=(",", ":")).encode() + b"\n"


def recorded(data: bytes, at: float) -> ev.HandlerReport | None:
    """Read what ``record`` gave; None when it is no report. ``at`` stands in for a time that it does not tell."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return None
    line = told.get("report") if isinstance(told, dict) else None
    came = told.get("at") if line is not None else None
    if not isinstance(line, str):
        return None
    return report_of(line, AGI, came if isinstance(came, float) else at)


def _fields(line: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the words by their keys (the first of each counts), and the status lines, which may be many."""
    fields: dict[str, str] = {}
    heard: list[tuple[str, str]] = []
    for word in line.split(" "):
        key, equals, value = word.partition("=")
        if key == "heard":
            name, _, text = value.partition(":")
            of, told = _text(name), _text(text)
            if of and told and len(heard) < MAX_HEARD:
                heard.append((of, told.replace("%3A", ":").replace("%25", "%")))
        elif equals:
            fields.setdefault(key, value)
    return fields, heard


def _text(encoded: str | None) -> str | None:
    """Return what Base64 hides behind a ``=``, None for nothing. Bytes that are not UTF-8 are shown as ``\\xNN``."""
    if not encoded:
        return None
    try:
        data = binascii.a2b_base64(encoded.encode("ascii"), strict_mode=True)
    except ValueError:  # binascii.Error and UnicodeEncodeError are both of its kind
        return None
    return data[1:].decode("utf-8", "backslashreplace") or None if data.startswith(b"=") else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 12 else None


def _seconds(text: str | None) -> float | None:
    """Return ``1795520249.106994`` as seconds since 1970; None for nothing, and for 0: CDR() says so of never."""
    whole, _, fraction = (text or "").partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 11):
        return None
    if fraction and not (fraction.isascii() and fraction.isdigit() and len(fraction) <= 9):
        return None
    return float(f"{whole}.{fraction}") or None

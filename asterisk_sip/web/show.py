"""How pages write times and addresses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from asterisk_sip.calls.model import isoformat

_FORMS = {
    "time": "%H:%M:%S UTC",
    "minute": "%H:%M UTC",
    "hour": "%H:%M",
    "day": "%m-%d %H:%M",
    "date": "%Y-%m-%d",
    "both": "%Y-%m-%d %H:%M:%S UTC",
}

_KEPT = "\n\t\u00a0\u202f\u200c\u200d"  # spaces of ours, and joiners: a part of how names are written


def harmless(value: Any) -> Any:
    """Return what a template writes; of a text, what turns the direction of writing or is no character, as U+FFFD."""
    if type(value) is not str or value.isprintable():
        return value
    return "".join(each if each.isprintable() or each in _KEPT else "\ufffd" for each in value)


def iso(at: datetime) -> str:
    """Return a UTC time for machines, to the millisecond."""
    return isoformat(at)[:-4] + "Z"


def utc(at: datetime, form: str = "both") -> str:
    """Return a UTC time for readers without script, in a form: time, minute, date, both; hour or day on an axis."""
    return at.strftime(_FORMS[form])


def lasted(length: timedelta) -> str:
    """Return how long something took, in its two largest units: 4 s, 2 min 5 s, 3 h 20 min, 2 d 1 h."""
    seconds = max(0, round(length.total_seconds()))
    for name, size, below, small in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // small
            return f"{seconds // size} {name}" + (f" {rest} {below}" if rest else "")
    return f"{seconds} s"


def link(path: str, filters: Mapping[str, Any] = {}, /, **more: Any) -> str:
    """Return the address of a page with filters in their order; a later one replaces, and None takes it away."""
    asked = {name.rstrip("_"): value for name, value in {**filters, **more}.items()}
    texts = [f"{name}={_quoted(_text(value))}" for name, value in asked.items() if value not in (None, "")]
    return f"{path}?{'&'.join(texts)}" if texts else path


@lru_cache(4096)
def _quoted(text: str) -> str:
    """Return a text as a part of an address. A page has hundreds of links, to few filters."""
    return quote(text, safe="", errors="replace")


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return _time(value)
    return str(value)


@lru_cache(1024)
def _time(at: datetime) -> str:
    whole = not (at.second or at.microsecond)
    return at.strftime("%Y-%m-%dT%H:%MZ") if whole else isoformat(at)

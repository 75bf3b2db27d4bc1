"""When an AMI event happened, by its own headers. Pure."""

from __future__ import annotations

from typing import Protocol

from asterisk_sip.calls.unique_id import made_at_s

_END_OF_TIME_S = 253_402_300_800.0  # the year 10000: nothing from there on can be shown as a date


class Fields(Protocol):
    """Where headers are looked up: ``Headers``, or a plain dict."""

    def get(self, key: str, default: str = "", /) -> str:
        """Return a header's value, ``default`` when there is none."""


class Clock(Protocol):
    """Tells when an event happened."""

    def __call__(self, fields: Fields, newest: float, /) -> float:
        """Return the time of the event with these headers; ``newest`` is that of the newest event before it (s)."""


def timestamp(fields: Fields) -> float | None:
    """Return the event's own time (manager.conf ``timestampevents = yes``), None without one that can be a time."""
    text = fields.get("Timestamp")
    if not text:
        return None
    try:
        at = float(text)
    except ValueError:
        return None
    return at if 0.0 <= at < _END_OF_TIME_S else None


class RecordedClock:
    """Gives events without a Timestamp a time that depends on the recording alone.

    A channel's Uniqueid begins with the second it was made; the newest such second seen is the time.
    """

    __slots__ = ("_now",)

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self, fields: Fields, newest: float, /) -> float:
        """Return the time of the event with these headers, seconds since 1970."""
        at = timestamp(fields)
        self._now = max(self._now, newest)
        if at is None:
            for key in ("Uniqueid", "DestUniqueid"):
                second = made_at_s(fields.get(key, ""))
                if second is not None:
                    self._now = max(self._now, float(second))
            return self._now
        self._now = max(self._now, at)
        return at

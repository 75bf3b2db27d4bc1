"""What is forgotten of a store, and when. No I/O here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Until when what was recorded is forgotten, in microseconds since 1970; None keeps it.

    ``ids``: of calls that are only counted, or were forgotten. ``size_bytes``: what the database may take on the disk.
    ``age_days``: how long calls are kept from now on, for a server that can forget by itself.
    """

    now: int
    calls: int | None = None
    ids: int | None = None
    totals: int | None = None
    gaps: int | None = None
    size_bytes: int | None = None
    age_days: int | None = None


@dataclass(slots=True)
class Swept:
    """How much was forgotten.

    ``undelivered`` counts what some sink had not taken yet, ``over_bytes`` what is taken still beyond what is allowed.
    """

    calls: int = 0
    ids: int = 0
    totals: int = 0
    gaps: int = 0
    open_calls: int = 0
    undelivered: int = 0
    over_bytes: int = 0

    def add(self, other: Swept) -> None:
        """Count what another run forgot, too."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def told(self) -> dict[str, int]:
        """Return what there is to tell."""
        return {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name)}


def days_before(now: datetime, days: int | None) -> int | None:
    """Return the time so many days ago, in microseconds since 1970; None for None."""
    return None if days is None else int(now.timestamp() * 1_000_000) - days * DAY_US

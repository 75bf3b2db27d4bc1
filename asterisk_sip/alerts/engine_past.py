"""The past, as the engine takes it: answered calls out of counts, gaps out of what is stored. Pure.

Answered calls are stored as counts only, unless the configuration keeps all. What a count does not tell apart (the
number dialled, say) such a call lacks: a rule that asks for it does not see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from asterisk_sip.calls.model import isoformat

from .engine_heard import Trouble
from .model import Change, Rule


@dataclass(frozen=True, slots=True)
class Episode:
    """One time that a rule would have fired; ``cleared`` is None when it had not cleared at the end."""

    fired: Change
    cleared: Change | None


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a rule would have told of a time, oldest first; of a hook, each record. ``records`` were looked at.

    ``counted_only``: so many answered calls are known by the minute only, and by few fields.
    """

    rule: Rule
    since: datetime
    until: datetime
    episodes: tuple[Episode, ...]
    hooked: tuple[Change, ...]
    records: int
    counted_only: int
    gaps: int


class Counted(Protocol):
    """How many answered calls share these, see `stores.base.Total`."""

    @property
    def total(self) -> int: ...  # noqa: D102  told in stores.base
    @property
    def pbx(self) -> str | None: ...  # noqa: D102  told in stores.base
    @property
    def direction(self) -> str | None: ...  # noqa: D102  told in stores.base
    @property
    def trunk(self) -> str | None: ...  # noqa: D102  told in stores.base
    @property
    def sip_code(self) -> int | None: ...  # noqa: D102  told in stores.base


class Gapped(Protocol):
    """A gap, see `stores.base.Gap`."""

    @property
    def id(self) -> str: ...  # noqa: D102  told in stores.base
    @property
    def pbx(self) -> str: ...  # noqa: D102  told in stores.base
    @property
    def source(self) -> str: ...  # noqa: D102  told in stores.base
    @property
    def began_at(self) -> datetime: ...  # noqa: D102  told in stores.base
    @property
    def ended_at(self) -> datetime | None: ...  # noqa: D102  told in stores.base
    @property
    def reason(self) -> str: ...  # noqa: D102  told in stores.base
    @property
    def blind(self) -> bool: ...  # noqa: D102  told in stores.base


def answered(counted: Counted, ended_at: datetime) -> dict[str, Any]:
    """Return answered calls that are only counted as one record that stands for all of them."""
    code = counted.sip_code or None
    outcome = {
        "disposition": "answered",
        "sip": {"code": code, "class": None if code is None else code // 100, "phrase": None},
        "q850": {"cause": None, "text": None},
        "fault": {"side": "unknown", "reason": None},
        "evidence": {"grade": "none", "source": None},
        "dialled": None,
    }
    attempt = {
        **outcome,
        "seq": 1,
        "trunk": counted.trunk or None,
        "endpoint": None,
        "began_at": None,
        "ended_at": isoformat(ended_at),
        "pdd_ms": None,
    }
    return {
        **outcome,
        "id": "",
        "pbx": counted.pbx,
        "direction": counted.direction or None,
        "started_at": None,
        "ended_at": isoformat(ended_at),
        "outcome": "answered",
        "caller": {"number": None, "name": None, "endpoint": None},
        "count": counted.total,
        "attempts": [attempt],
    }


def trouble_of(gap: Gapped) -> Trouble:
    """Return a gap as the engine takes it."""
    return Trouble(
        gap.id,
        gap.began_at.timestamp(),
        None if gap.ended_at is None else gap.ended_at.timestamp(),
        {"pbx": gap.pbx, "source": gap.source, "blind": gap.blind, "reason": gap.reason},
    )

"""What the page Status shows: what is heard, what is kept, what is delivered, and what of it needs a person."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from asterisk_sip.errors import StoreError
from asterisk_sip.health import Health, PbxHealth, Reason, SinkHealth, not_ready, noteworthy
from asterisk_sip.stores.base import Gap, Holdings, Store
from asterisk_sip.stores.completeness import completeness

from .api import SHELF
from .heard import Heard, heard
from .operations import PROGRAM
from .problems import ProblemError
from .shelf import Shelf

_WEEK = timedelta(days=7)
_MOST_GAPS = 50


@dataclass(frozen=True, slots=True)
class Link:
    """One PBX. ``told`` is what the program knows that listens to it, None when none runs beside the pages."""

    pbx: Heard
    told: PbxHealth | None
    last_week: float | None

    @property
    def deaf(self) -> bool:
        """Whether calls may be missed at this moment."""
        return not self.told.heard if self.told else self.pbx.deaf


@dataclass(frozen=True, slots=True)
class SinkRow:
    """One sink: how many things wait for it, None when that is not known; and what the program knows of it."""

    name: str
    waiting: int | None
    told: SinkHealth | None

    @property
    def held(self) -> timedelta:
        """For how long it has taken nothing of what it was given."""
        return timedelta(seconds=self.told.held_s if self.told else 0.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store tells: its place, what it holds, its PBXs and gaps."""

    place: str
    holdings: Holdings
    links: list[Link]
    gaps: list[Gap]


async def fill(request: web.Request, _values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows. A store that cannot be read is a finding, not an error."""
    shelf, now = request.app[SHELF], datetime.now(UTC)
    health = await request.app[PROGRAM].health()
    kept, trouble = None, None
    try:
        kept = await _kept(shelf, health, now)
    except (StoreError, ProblemError) as error:
        trouble = str(error)
    reasons, notes = not_ready(health), noteworthy(health)
    if trouble is not None and health.store_trouble is None:
        reasons.append(Reason("store", trouble))
    return {
        "health": health,
        "reasons": reasons,
        "notes": notes,
        "kept": kept,
        "sinks": _sinks(health, kept),
        "lasting_until": now,
        "most_gaps": _MOST_GAPS,
        "python": platform.python_version(),
    }


async def _kept(shelf: Shelf, health: Health, now: datetime) -> Kept:
    store = await shelf.store()
    gaps = await store.gaps(now - _WEEK, now)
    links = await _links(store, shelf, health, gaps, now)
    newest = sorted(gaps, key=lambda gap: gap.began_at, reverse=True)
    return Kept(store.place, await store.holdings(), links, newest[:_MOST_GAPS])


async def _links(store: Store, shelf: Shelf, health: Health, gaps: list[Gap], now: datetime) -> list[Link]:
    told = {pbx.name: pbx for pbx in health.pbxs}
    known = {*told, *shelf.pbxs, *(gap.pbx for gap in gaps)}
    return [
        Link(pbx, told.get(pbx.name), completeness([gap for gap in gaps if gap.pbx == pbx.name], now - _WEEK, now))
        for pbx in await heard(store, known, now)
    ]


def _sinks(health: Health, kept: Kept | None) -> list[SinkRow]:
    """Return the sinks of the program; without one those that the store has a cursor of."""
    if health.sinks:
        return [SinkRow(sink.name, sink.waiting, sink) for sink in health.sinks]
    behind = kept.holdings.behind if kept else {}
    return [SinkRow(name, waiting, None) for name, waiting in behind.items()]

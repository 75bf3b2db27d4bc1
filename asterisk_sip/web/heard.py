"""Whether each PBX is heard: as the API and the pages tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from asterisk_sip.stores.base import Gap, Store, TotalsQuery
from asterisk_sip.stores.completeness import completeness

A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Heard:
    """One PBX: until when it was heard for sure, which share of the last day, and the gaps that last."""

    name: str
    listened_until: datetime | None
    completeness: float | None
    open_gaps: tuple[Gap, ...]

    @property
    def deaf(self) -> bool:
        """Whether calls may be missed at this moment."""
        return any(gap.blind for gap in self.open_gaps)


async def heard(store: Store, known: Iterable[str], until: datetime) -> list[Heard]:
    """Return each PBX that is known, or that had a gap or a call in the day before a time. Raises StoreError."""
    since = until - A_DAY
    gaps = await store.gaps(since, until)
    called = await store.totals(TotalsQuery(since, until, "calls", ("pbx",)))
    names = {*known, *(gap.pbx for gap in gaps), *(total.pbx for total in called if total.pbx)}
    told = []
    for name in sorted(names):
        own = [gap for gap in gaps if gap.pbx == name]
        lasting = tuple(gap for gap in own if gap.ended_at is None)
        told.append(Heard(name, await store.listened_until(name), completeness(own, since, until), lasting))
    return told

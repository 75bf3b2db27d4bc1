"""How much of a time was listened to. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from asterisk_sip.stores.base import Gap


def unheard(gaps: Iterable[Gap], since: datetime, until: datetime) -> dict[str, timedelta]:
    """Return for how long of a window each PBX was not heard: its blind gaps, cut to the window, overlaps once.

    A gap that lasts reaches to the end of the window. PBXs without one are left out.
    """
    of_pbx: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for gap in gaps:
        began, ended = max(gap.began_at, since), min(gap.ended_at or until, until)
        if gap.blind and began < ended:
            of_pbx[gap.pbx].append((began, ended))
    return {pbx: _covered(intervals) for pbx, intervals in of_pbx.items()}


def completeness(gaps: Iterable[Gap], since: datetime, until: datetime, pbxs: int = 1) -> float | None:
    """Return which share of a window was listened to, 0 to 1: 1 - gap time / window, the mean over ``pbxs`` PBXs.

    None for an empty window.
    """
    window = (until - since) * pbxs
    if window <= timedelta():
        return None
    return max(0.0, 1.0 - sum(unheard(gaps, since, until).values(), timedelta()) / window)


def _covered(intervals: list[tuple[datetime, datetime]]) -> timedelta:
    total = timedelta()
    reached: datetime | None = None
    for began, ended in sorted(intervals):
        start = began if reached is None else max(began, reached)
        if ended > start:
            total += ended - start
            reached = ended
    return total

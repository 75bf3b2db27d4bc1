"""What changed: which trunk, status and prefix took another part of the failed attempts than before. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from asterisk_sip.alerts.model import Filter
from asterisk_sip.alerts.rules_fields import Json
from asterisk_sip.calls.destinations import PREFIX_DIGITS, prefix_of
from asterisk_sip.calls.model import CallRecord, isoformat
from asterisk_sip.catalog import disposition

MOST = 3
LEAST_SHARE = 0.05
"""What moved by less than this part of all failed attempts is not told."""
_OF_ONE_PREFIX = 0.6


class Spot(NamedTuple):
    """Where an attempt failed, and with what. An unknown ``code`` is 0."""

    trunk: str
    code: int
    disposition: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Move:
    """How often a trunk failed with a status: ``now`` of ``now_of`` failed attempts, ``before`` of ``before_of``.

    ``prefix`` is set when most of the change is of this one. ``code`` is None when it is not known.
    """

    trunk: str
    code: int | None
    disposition: str
    prefix: str | None
    now: int
    now_of: int
    before: int
    before_of: int

    @property
    def by(self) -> float:
        """By which part of all failed attempts it moved, -1 to 1."""
        return _share(self.now, self.now_of) - _share(self.before, self.before_of)


def spots(calls: Iterable[Json], since: datetime, until: datetime) -> Counter[Spot]:
    """Count the failed attempts of recorded calls that ended in a window, ``since`` included and ``until`` not."""
    counts: Counter[Spot] = Counter()
    begin, end = isoformat(since), isoformat(until)  # the order of the texts is that of the times
    for call in calls:
        for attempt in call["attempts"]:
            at = attempt["ended_at"] or call["ended_at"]
            if at is None or not begin <= at < end or not disposition(attempt["disposition"]).failed:
                continue
            prefix = prefix_of(attempt["dialled"] or call["dialled"] or "", PREFIX_DIGITS) or ""
            spot = Spot(attempt["trunk"] or "", attempt["sip"]["code"] or 0, attempt["disposition"], prefix)
            counts[spot] += call.get("count", 1)
    return counts


@dataclass(frozen=True, slots=True)
class MainStatus:
    """The status that at least half of what a rule counted shares; ``alone``: all of it."""

    code: int | None
    disposition: str
    alone: bool


def main_status(now: Counter[Spot], samples: Sequence[CallRecord], wanted: Filter) -> MainStatus | None:
    """Return the status that most failed attempts of a window share, as far as a filter wants them.

    Where none were counted the samples say it, which are not all there was. None when no status has the half of it.
    """
    fitting = Counter({spot: count for spot, count in now.items() if _wants(wanted, spot.code, spot.disposition)})
    statuses: Counter[tuple[int, str]] = Counter()
    for spot, count in fitting.items():
        statuses[spot.code, spot.disposition] += count
    counted = bool(statuses)
    if not counted:
        statuses.update((record.sip.code or 0, record.disposition) for record in samples)
    if not statuses:
        return None
    [((code, name), count)] = statuses.most_common(1)
    if 2 * count < statuses.total():
        return None
    return MainStatus(code or None, name, alone=counted and len(statuses) == 1)


def _wants(wanted: Filter, code: int, name: str) -> bool:
    """Return whether a filter wants a status, as far as it speaks of code and disposition."""
    for field, value in (("code", code), ("disposition", name)):
        if (field in wanted and value not in wanted[field]) or value in wanted.get(f"not.{field}", ()):
            return False
    return True


def moved(now: Counter[Spot], before: Counter[Spot], most: int = MOST) -> tuple[Move, ...]:
    """Return what moved most, first what moved farthest. Nothing, when nothing failed now."""
    if not now:
        return ()
    moves = [_narrowed(move, now, before) for move in _by_status(now, before)]
    far = [move for move in moves if abs(move.by) >= LEAST_SHARE]
    return tuple(sorted(far, key=lambda move: (-abs(move.by), move.trunk, move.code or 0, move.disposition))[:most])


def _by_status(now: Counter[Spot], before: Counter[Spot]) -> list[Move]:
    """Return the move of each trunk and status, whatever the prefix."""
    sums: dict[tuple[str, int, str], list[int]] = {}
    for which, counts in enumerate((now, before)):
        for spot, count in counts.items():
            sums.setdefault(spot[:3], [0, 0])[which] += count
    of = now.total(), before.total()
    return [
        Move(trunk, code or None, name, None, count, of[0], earlier, of[1])
        for (trunk, code, name), (count, earlier) in sums.items()
    ]


def _narrowed(move: Move, now: Counter[Spot], before: Counter[Spot]) -> Move:
    """Return the move of one prefix, when most of the change is of that one and there are others."""
    status = (move.trunk, move.code or 0, move.disposition)
    of_prefix = [
        Move(move.trunk, move.code, move.disposition, spot.prefix, now[spot], move.now_of, before[spot], move.before_of)
        for spot in {*now, *before}
        if spot[:3] == status and spot.prefix
    ]
    farthest = max(of_prefix, key=lambda each: (abs(each.by), each.prefix), default=None)
    if farthest is None or abs(farthest.by) < _OF_ONE_PREFIX * abs(move.by):
        return move
    return farthest


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0

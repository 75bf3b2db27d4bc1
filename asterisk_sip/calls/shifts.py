"""What is out of the ordinary: counts of an hour beside the usual ones. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

LEAST_COUNT = 5
"""Below so many, now and usually, nothing is told: three calls instead of none is no news."""

LEAST_DEVIATION = 3.0
"""So many standard deviations of a Poisson count (its square root) tell a shift from chance."""


@dataclass(frozen=True, slots=True)
class Shift(Generic[Key]):
    """A count that is not the usual one; ``usual`` is what was to be expected in as long a time."""

    key: Key
    count: int
    usual: float

    @property
    def deviation(self) -> float:
        """How far off it is, in standard deviations of what is usual; below 0 when it fell."""
        return (self.count - self.usual) / sqrt(max(1.0, self.usual))


def shifts(now: Mapping[Key, int], before: Mapping[Key, int], times: float) -> list[Shift[Key]]:
    """Return what shifted, the furthest off first.

    ``before`` was counted over a time that is ``times`` as long as that of ``now``.
    """
    found = (Shift(key, now.get(key, 0), before.get(key, 0) / times) for key in {**now, **before})
    told = (
        shift
        for shift in found
        if abs(shift.deviation) >= LEAST_DEVIATION and max(shift.count, shift.usual) >= LEAST_COUNT
    )
    return sorted(told, key=lambda shift: (-abs(shift.deviation), str(shift.key)))

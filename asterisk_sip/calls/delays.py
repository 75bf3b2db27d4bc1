"""Delays counted in fixed buckets, so that the percentiles of any time need no list of all delays. Pure.

Four buckets to each doubling: the end of a bucket is about a fifth above its beginning, and a percentile read from the
counts is off by no more than that. The bounds never change: what was counted once stays comparable.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

BOUNDS_MS = (0, *(round(10 * 2 ** (step / 4)) for step in range(56)))
"""Where each bucket begins: 0, 10, 12, 14, 17, 20, 24 ms and so on; the last begins at 138 s and has no end."""


def bucket_of(delay_ms: int) -> int:
    """Return the number of the bucket a delay falls into; a negative delay, from a clock set back, is in the first."""
    return bisect_right(BOUNDS_MS, max(0, delay_ms)) - 1


def percentile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """Return the delay in ms that a ``share`` (0 to 1) of all delays does not exceed, None when there are none.

    ``counts`` says how many fell into each bucket. Inside a bucket they are taken to be spread evenly; those of the
    last one are taken to be where it begins. Raises ValueError for a share beyond 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"{share} is no share: 0 to 1")
    left = share * sum(counts.values())
    reached = None
    for bucket in sorted(bucket for bucket, count in counts.items() if count > 0):
        count = counts[bucket]
        low = BOUNDS_MS[bucket]
        high = BOUNDS_MS[bucket + 1] if bucket + 1 < len(BOUNDS_MS) else low
        reached = float(high)
        if left <= count:
            return low + (high - low) * left / count
        left -= count
    return reached  # what rounding left over

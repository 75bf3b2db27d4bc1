"""Percentiles read from buckets are near those of the delays themselves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.calls.delays import BOUNDS_MS, bucket_of, percentile_ms

DELAYS_MS = st.lists(st.integers(0, 130_000), min_size=1, max_size=200)


def test_every_delay_falls_into_the_bucket_that_begins_at_or_below_it() -> None:
    for bucket, bound in enumerate(BOUNDS_MS):
        assert bucket_of(bound) == bucket
        assert bucket_of(bound - 1) == max(0, bucket - 1)
    assert bucket_of(10**12) == len(BOUNDS_MS) - 1


def test_the_bounds_never_change() -> None:
    assert BOUNDS_MS[:8] == (0, 10, 12, 14, 17, 20, 24, 28)
    assert (len(BOUNDS_MS), BOUNDS_MS[-1]) == (57, 137_772)


@given(DELAYS_MS, st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_in_the_bucket_of_the_true_one(delays_ms: list[int], share: float) -> None:
    found = percentile_ms(Counter(map(bucket_of, delays_ms)), share)
    rank = max(1, -int(-share * len(delays_ms) // 1))
    true = bucket_of(sorted(delays_ms)[rank - 1])
    assert found is not None
    assert BOUNDS_MS[true] <= found <= BOUNDS_MS[true + 1]


def test_without_delays_there_is_none() -> None:
    assert percentile_ms({}, 0.5) is None
    assert percentile_ms({3: 0}, 0.5) is None


def test_a_share_is_no_percentage() -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        percentile_ms({1: 1}, 95)

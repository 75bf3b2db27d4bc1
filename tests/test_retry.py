"""Back-off: grows, is jittered, is bounded, starts anew after success."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from asterisk_sip.retry import Backoff

seconds = st.floats(0.001, 1e6)


@settings(deadline=None)
@given(min_s=seconds, max_s=seconds, failures=st.integers(0, 200), seed=st.integers())
def test_each_delay_is_between_half_and_the_whole_of_its_step(
    min_s: float, max_s: float, failures: int, seed: int
) -> None:
    backoff = Backoff(min_s, max_s, Random(seed), failures)
    step = min(max_s, min_s * 2**failures)
    assert step / 2 <= backoff.next_s() <= step


def test_the_steps_double_up_to_the_longest() -> None:
    class Whole(Random):
        def uniform(self, _a: float, b: float) -> float:
            return b

    backoff = Backoff(1.0, 60.0, Whole())
    assert [backoff.next_s() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_an_outage_of_weeks_neither_overflows_nor_goes_beyond_the_longest() -> None:
    backoff = Backoff(1.0, 60.0, Random(1), failures=10**9)
    assert all(30.0 <= backoff.next_s() <= 60.0 for _ in range(1000))


def test_success_starts_it_anew() -> None:
    backoff = Backoff(1.0, 60.0, Random(1))
    for _ in range(10):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_many_clients_do_not_come_back_in_one_instant() -> None:
    draw = Random(20261103)
    tenths: Counter[int] = Counter()
    for _ in range(1000):
        client = Backoff(1.0, 60.0, draw, failures=10)
        tenths[int((client.next_s() - 30.0) / 3.0)] += 1
    assert sorted(tenths) == list(range(10))
    assert max(tenths.values()) < 200


def test_two_clients_draw_for_themselves() -> None:
    one, other = Backoff(1.0, 60.0), Backoff(1.0, 60.0)
    assert [one.next_s() for _ in range(5)] != [other.next_s() for _ in range(5)]

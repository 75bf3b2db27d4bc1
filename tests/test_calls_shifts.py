"""What shifted in the last hour: enough calls, and too far off for chance."""

from __future__ import annotations

import pytest

from asterisk_sip.calls.shifts import shifts


@pytest.mark.parametrize(
    ("now", "a_day_before", "told"),
    [
        (40, 24 * 4, True),
        (5, 0, True),  # never seen before
        (4, 0, False),  # too few to say anything
        (12, 24 * 10, False),  # chance
        (0, 24 * 20, True),  # it ceased
        (0, 24 * 4, False),
        (1_000, 24 * 1_000, False),
        (1_100, 24 * 1_000, True),
    ],
)
def test_a_shift_is_told_when_chance_does_not_explain_it(now: int, a_day_before: int, told: bool) -> None:
    found = shifts({"acme": now}, {"acme": a_day_before}, 24)
    assert [(shift.key, shift.count, shift.usual) for shift in found] == (
        [("acme", now, a_day_before / 24)] if told else []
    )


def test_the_furthest_off_comes_first() -> None:
    found = shifts({"a": 10, "b": 60}, {"c": 24 * 30}, 24)
    assert [(shift.key, shift.deviation > 0) for shift in found] == [("b", True), ("a", True), ("c", False)]

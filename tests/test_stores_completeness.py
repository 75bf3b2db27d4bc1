"""How much of a time was listened to, from the gaps."""

from __future__ import annotations

from datetime import timedelta

import pytest

from asterisk_sip.stores.base import Gap
from asterisk_sip.stores.completeness import completeness, unheard

from .call_records import BEGAN

HOUR = timedelta(hours=1)


def gap(began: float, ended: float | None, pbx: str = "a", *, blind: bool = True) -> Gap:
    """A gap from one minute of the hour to another."""
    end = None if ended is None else BEGAN + timedelta(minutes=ended)
    return Gap(f"{pbx}{began}", pbx, "ami", BEGAN + timedelta(minutes=began), end, "reset", blind)


@pytest.mark.parametrize(
    ("gaps", "share"),
    [
        ([], 1.0),
        ([gap(0, 6)], 0.9),
        ([gap(0, 6), gap(3, 12)], 0.8),  # the same minutes count once
        ([gap(0, 12), gap(3, 6)], 0.8),
        ([gap(-30, 6)], 0.9),  # what lies before the window is cut off
        ([gap(54, 90)], 0.9),
        ([gap(54, None)], 0.9),  # it lasts
        ([gap(-60, 120)], 0.0),
        ([gap(-60, 0), gap(60, 90)], 1.0),
        ([gap(0, 30, blind=False)], 1.0),  # another door told of the calls meanwhile
    ],
)
def test_the_share_of_an_hour(gaps: list[Gap], share: float) -> None:
    assert completeness(gaps, BEGAN, BEGAN + HOUR) == pytest.approx(share)


def test_two_pbxs_count_for_themselves() -> None:
    gaps = [gap(0, 30, "a"), gap(0, 30, "b")]
    assert unheard(gaps, BEGAN, BEGAN + HOUR) == {"a": HOUR / 2, "b": HOUR / 2}
    assert completeness(gaps, BEGAN, BEGAN + HOUR, pbxs=4) == pytest.approx(0.75)


def test_an_empty_window_has_no_share() -> None:
    assert completeness([], BEGAN, BEGAN) is None

"""The past of the demo: believable, and always the same."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.demo_history import past, recorded_calls
from asterisk_sip.stores.base import ended_at

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def recorded() -> list[CallRecord]:
    return recorded_calls(Surroundings("demo"))


def test_a_day_is_busy_at_noon_and_quiet_at_night(recorded: list[CallRecord]) -> None:
    hours = Counter(ended_at(record).hour for record in past(recorded, MONDAY, MONDAY + DAY))
    assert sum(hours[hour] for hour in range(9, 12)) > 20 * sum(hours[hour] for hour in range(1, 4))


def test_every_call_ended_in_its_time_with_an_id_of_its_own(recorded: list[CallRecord]) -> None:
    calls = list(past(recorded, MONDAY, MONDAY + DAY))
    assert len({record.id for record in calls}) == len(calls) > 500
    assert all(MONDAY < ended_at(record) < MONDAY + DAY for record in calls)
    assert all(record.started_at and record.started_at <= ended_at(record) for record in calls)


def test_the_same_time_has_the_same_calls(recorded: list[CallRecord]) -> None:
    whole = list(past(recorded, MONDAY, MONDAY + DAY))
    noon = MONDAY + DAY / 2
    halves = [*past(recorded, MONDAY, noon), *past(recorded, noon, MONDAY + DAY)]
    assert {record.id for record in halves} <= {record.id for record in whole}

"""The numbers of a filled store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from asterisk_sip.calls.kpi import By
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.stores.base import Batch, Gap
from asterisk_sip.stores.numbers import Numbers, NumbersQuery, numbers
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import BEGAN, BUSY, abandoned, answered, failed, rescued

HOUR = timedelta(hours=1)
GAP = Gap("g", "pbx", "ami", BEGAN, BEGAN + HOUR / 10, "reset")


async def asked(
    path: Path, query: NumbersQuery, records: list[CallRecord], keep: Literal["all", "failures"] = "failures"
) -> Numbers:
    store = SqliteStore(path / "calls.db", keep)
    await store.open()
    try:
        await store.write(Batch(records, gaps=[GAP]))
        return await numbers(store, query)
    finally:
        await store.close()


RECORDS = [failed(1), failed(2, sip=BUSY, trunk="carrier-b"), rescued(3), abandoned(4), answered(5), answered(3700)]


async def test_calls_and_attempts_become_numbers(tmp_path: Path) -> None:
    found = await asked(tmp_path, NumbersQuery(BEGAN, BEGAN + 2 * HOUR, by=("trunk",), least=1), RECORDS)
    told = {
        group.key: {ratio.name: (ratio.numerator, ratio.denominator) for ratio in group.ratios}
        for group in found.groups
    }
    assert told["carrier-a",] == {
        "asr": (2, 5),
        "ner": (2, 5),
        "ser": (2, 5),
        "seer": (2, 5),
        "isa": (2, 5),
        "rescue": (0, 1),
    }
    assert told["carrier-b",]["ner"] == (2, 2)
    assert told["carrier-b",]["rescue"] == (1, 2)
    assert [group.acd.mean_s for group in found.groups] == [1.0, 1.0]
    assert [gap.id for gap in found.gaps] == ["g"]


@pytest.mark.parametrize("step", [HOUR, timedelta(minutes=30)])
async def test_steps_of_hours_and_of_minutes(tmp_path: Path, step: timedelta) -> None:
    found = await asked(tmp_path, NumbersQuery(BEGAN, BEGAN + 2 * HOUR, step=step), RECORDS)
    assert [(group.at, group.attempts) for group in found.groups] == [(BEGAN, 6), (BEGAN + HOUR, 1)]


async def test_attempts_and_calls_are_told_apart_by_code_and_class(tmp_path: Path) -> None:
    window = (BEGAN, BEGAN + 2 * HOUR)
    by_code = (await asked(tmp_path, NumbersQuery(*window, by=("trunk", "code"), least=1), RECORDS)).groups
    whole = {group.key: group for group in (await asked(tmp_path, NumbersQuery(*window, by=("trunk",)), [])).groups}
    for trunk in ("carrier-a", "carrier-b"):
        parts = [group for group in by_code if group.key[0] == trunk]
        assert sum(group.attempts for group in parts) == whole[trunk,].attempts
        assert sum(group.calls for group in parts) == whole[trunk,].calls
    busy = next(group for group in by_code if group.key == ("carrier-b", "486"))
    assert busy.failures.by_code == {486: busy.failures.total}
    assert busy.pdd is None
    by_class = (await asked(tmp_path, NumbersQuery(*window, by=("class",)), [])).groups
    assert {group.key[0]: group.attempts for group in by_class} == {
        name: sum(group.attempts for group in by_code if group.key[1][:1] == name)
        for name in {group.key[1][:1] for group in by_code}
    }


async def test_delays_are_not_told_apart_by_direction(tmp_path: Path) -> None:
    query = NumbersQuery(BEGAN, BEGAN + 2 * HOUR, by=("pbx", "direction"))
    (group,) = (await asked(tmp_path, query, RECORDS)).groups
    assert group.key == ("pbx", "outbound")
    assert group.pdd is None


@pytest.mark.parametrize("step", [timedelta(seconds=90), timedelta(seconds=1), timedelta(), -HOUR])
async def test_a_step_is_whole_minutes(tmp_path: Path, step: timedelta) -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        await asked(tmp_path, NumbersQuery(BEGAN, BEGAN + HOUR, step=step), [])


async def test_a_window_of_too_many_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than"):
        await asked(tmp_path, NumbersQuery(BEGAN, BEGAN + 1000 * 24 * HOUR, step=timedelta(minutes=1)), [])


def dialling(record: CallRecord, number: str) -> CallRecord:
    """The same call, to another number."""
    attempts = tuple(replace(attempt, dialled=None) for attempt in record.attempts)
    return replace(record, dialled=number, attempts=attempts)


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("country", {"DE": 4, "FR": 2, "": 1}),
        ("prefix", {"+4930": 2, "+4940": 2, "+3312": 2, "2042": 1}),
        ("endpoint", {"carrier-a-out": 5, "carrier-b-out": 2}),
    ],
)
async def test_where_all_calls_are_kept_numbers_are_told_apart_by_where_they_went(
    tmp_path: Path, by: By, keys: dict[str, int]
) -> None:
    dialled = ("+4930123456", "004930123457", "+4940123456", "01133123456", "20421", "+33123456")
    records = [dialling(record, number) for record, number in zip(RECORDS, dialled, strict=True)]
    window = (BEGAN, BEGAN + 2 * HOUR)
    found = (await asked(tmp_path, NumbersQuery(*window, by=(by,), least=1), records, "all")).groups
    assert {group.key[0]: group.attempts for group in found} == keys
    [whole] = (await asked(tmp_path, NumbersQuery(*window, least=1), [], "all")).groups
    for ratio in whole.ratios:
        parts = [group.ratio(ratio.name) for group in found]
        assert sum(part.numerator for part in parts) == ratio.numerator
        assert sum(part.denominator for part in parts) == ratio.denominator
    assert whole.pdd is not None
    assert sum(group.pdd.count for group in found if group.pdd is not None) == whole.pdd.count
    assert sum(group.calls for group in found) == whole.calls


async def test_answered_calls_that_were_only_counted_are_told_and_not_left_out_of_a_ratio(tmp_path: Path) -> None:
    query = NumbersQuery(BEGAN, BEGAN + 2 * HOUR, by=("country",))
    with pytest.raises(ValueError, match=r'2 answered calls of this time are not kept: \[records\] keep = "all"'):
        await asked(tmp_path, query, RECORDS)
    of_failures = NumbersQuery(BEGAN, BEGAN + 2 * HOUR, by=("country",), trunk="carrier-b")
    assert [group.attempts for group in (await asked(tmp_path, of_failures, [])).groups]

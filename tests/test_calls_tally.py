"""What is counted for Prometheus: the same as what the store counts, with few names whatever remote parties say."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from asterisk_sip.calls.kpi import Counts, kpis
from asterisk_sip.calls.model import CallRecord, Evidence, SipStatus
from asterisk_sip.calls.tally import LAG_BOUNDS_S, Spread, Tally
from asterisk_sip.catalog.ratios import ratio_rules
from asterisk_sip.stores.base import Total

from .call_records import BUSY, abandoned, answered, failed, rescued

RECORDS = [failed(1), failed(2, sip=BUSY, trunk="carrier-b"), rescued(3), abandoned(4), *map(answered, range(5, 9))]


def tally(*records: CallRecord, stored_after_s: float = 0.2, **bounds: int) -> Tally:
    counted = Tally(["pbx"], ["carrier-a", "carrier-b"], **bounds)
    for record in records:
        assert record.ended_at is not None
        counted.add(record, record.ended_at.timestamp() + stored_after_s)
    return counted


def test_answered_calls_are_counted_like_the_others() -> None:
    counted = tally(*RECORDS)
    outcomes = Counter[str]()
    for (_, _, _, outcome), count in counted.calls.items():
        outcomes[outcome] += count
    assert outcomes == {"failed": 2, "rescued": 1, "abandoned": 1, "answered": 4}
    assert counted.attempts.total() == 9
    assert counted.failed_attempts["pbx", "carrier-a", "5xx", "503", "congestion", "carrier"] == 2
    assert counted.failed_calls["pbx", "carrier-b", "4xx", "486", "busy", "carrier"] == 1
    assert counted.talk_ms["pbx", "carrier-a"] == 4_000


def test_the_ratios_are_those_of_the_numbers() -> None:
    counted = tally(*RECORDS)
    attempts = [attempt for record in RECORDS for attempt in record.attempts]
    numbers = Counts(
        [Total(1, 0, trunk=each.trunk, sip_code=each.sip.code, disposition=each.disposition) for each in attempts],
        [Total(1, 0, trunk="x", outcome=record.outcome.value) for record in RECORDS],
    )
    (group,) = kpis(numbers)
    sums = counted.ratios()
    assert sums.keys() == {rule.name for rule in ratio_rules()}
    for name, (numerator, denominator) in sums.items():
        wanted = group.ratio(name)
        assert (numerator.total(), denominator.total()) == (wanted.numerator, wanted.denominator), name


def test_a_trunk_that_nobody_used_yet_stands_at_zero() -> None:
    for numerator, denominator in tally().ratios().values():
        assert numerator == denominator == {("pbx", "carrier-a"): 0, ("pbx", "carrier-b"): 0}


def test_a_code_of_no_table_is_counted_as_other() -> None:
    counted = tally(failed(1, sip=SipStatus(471, "Who knows")), failed(2, sip=SipStatus()))
    assert {key[2:4] for key in counted.failed_calls} == {("4xx", "other"), ("unknown", "unknown")}


def test_no_flood_of_names_makes_a_flood_of_counters() -> None:
    records = [failed(number, trunk=f"trunk-{number}", pbx=f"pbx-{number}") for number in range(300)]
    few_names = tally(*records, most_names=10)
    assert len(few_names.calls) == 10  # eight more trunks, nine more PBXs, and the rest
    assert few_names.calls["other", "other", "outbound", "failed"] == 291
    few_series = tally(*records, most_series=20)
    assert len(few_series.calls) == len(few_series.failed_attempts) == len(few_series.lag_s) == 21
    assert few_series.calls.total() == few_series.failed_attempts.total() == 300


def test_what_is_partial_backfilled_or_contradicted_is_counted() -> None:
    odd = [
        replace(failed(1), partial=True),
        replace(failed(2), backfilled=True),
        replace(failed(3), evidence=Evidence(conflict=True)),
    ]
    counted = tally(*odd)
    assert [counted.partial["pbx",], counted.backfilled["pbx",], counted.disagreements["pbx",]] == [1, 1, 1]
    assert sum(counted.lag_s["pbx",].counts) == 1  # the other two ended when nobody heard it


@pytest.mark.parametrize(("after_s", "bucket"), [(-3600.0, 0), (0.0, 0), (0.2, 2), (1e6, len(LAG_BOUNDS_S))])
def test_a_clock_that_jumps_gives_a_lag_that_is_not_negative(after_s: float, bucket: int) -> None:
    spread = tally(failed(1), stored_after_s=after_s).lag_s["pbx",]
    assert spread.counts[bucket] == 1
    assert spread.total == pytest.approx(max(0.0, after_s))


def test_a_bound_belongs_to_the_bucket_that_it_ends() -> None:
    spread = Spread((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        spread.add(value)
    assert (spread.counts, spread.total) == ([2, 2, 1], 7.5)

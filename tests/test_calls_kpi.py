"""The numbers, against small tables counted by hand and the words of RFC 6076 and E.425."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.calls.kpi import Counts, Group, kpis, wilson
from asterisk_sip.catalog import all_codes, all_dispositions, e425_groups
from asterisk_sip.catalog.ratios import NOT_COUNTED, e425_group, ratio_rules, rfc6076_group
from asterisk_sip.stores.base import Total

from .call_records import BEGAN

# What ended how often on a trunk: SIP code (0: unknown), disposition.
NIGHT = {
    (200, "answered"): 50,
    (0, "answered"): 5,
    (302, "forwarded"): 7,
    (401, "auth_failed"): 2,
    (403, "forbidden"): 3,
    (404, "not_found"): 4,
    (408, "no_response"): 6,
    (480, "no_answer"): 8,
    (486, "busy"): 9,
    (487, "answered_elsewhere"): 11,
    (487, "cancelled"): 10,
    (500, "server_error"): 1,
    (503, "congestion"): 12,
    (504, "no_response"): 2,
    (603, "rejected"): 3,
    (603, "blocked"): 4,
    (0, "pbx_refused"): 13,
}


def attempts(table: dict[tuple[int, str], int], trunk: str = "acme") -> list[Total]:
    return [Total(count, 0, trunk=trunk, sip_code=code, disposition=name) for (code, name), count in table.items()]


def calls(outcomes: dict[str, int], talk_ms: int = 0, trunk: str = "acme") -> list[Total]:
    return [Total(count, talk_ms, trunk=trunk, outcome=name) for name, count in outcomes.items()]


def night() -> Group:
    outcomes = calls({"answered": 40, "rescued": 15, "failed": 30, "abandoned": 10}, talk_ms=1_650_000)
    delays = [Total(99, 0, trunk="acme", pdd=0), Total(1, 0, trunk="acme", pdd=5)]
    (group,) = kpis(Counts(attempts(NIGHT), outcomes, delays))
    return group


def test_each_ratio_counts_what_its_standard_says() -> None:
    counted = {ratio.name: (ratio.numerator, ratio.denominator) for ratio in night().ratios}
    seizures = sum(NIGHT.values()) - 7 - 11 - 13  # without forwarded, answered elsewhere, and what never went out
    invites = sum(NIGHT.values()) - 11 - 13
    assert counted == {
        "asr": (55, seizures),
        "ner": (55 + 9 + 8 + 3, seizures),  # a block (603+) is not the user's
        "ser": (55, invites - 7),
        "seer": (55 + 8 + 9 + 3 + 4, invites - 7 - 2),
        "isa": (6 + 1 + 12 + 2, invites),
        "rescue": (15, 45),
    }


def test_values_are_shares_and_carry_their_formula() -> None:
    ser = night().ratio("ser")
    assert ser.value == pytest.approx(55 / 119)
    assert (ser.formula, ser.reference) == ("200 / (INVITE - 3xx)", "RFC 6076 section 4.6")
    with pytest.raises(KeyError):
        night().ratio("mos")


def test_below_the_least_count_there_is_no_number() -> None:
    (group,) = kpis(Counts(attempts({(200, "answered"): 29}), calls({"answered": 29}, 1000), []))
    asr = group.ratio("asr")
    assert (asr.numerator, asr.denominator, asr.value, asr.low, asr.high) == (29, 29, None, None, None)
    assert group.acd.mean_s is None
    (group,) = kpis(Counts(attempts({(200, "answered"): 29}), calls({"answered": 10}, 30_000)), least=1)
    assert group.ratio("asr").value == 1.0
    assert group.acd.mean_s == 3.0
    assert group.pdd is None


def test_a_silent_night_is_no_outage() -> None:
    (group,) = kpis(Counts([], [], []), least=0)
    assert all(ratio.value is None for ratio in group.ratios)
    assert group.pdd is not None
    assert group.pdd.p95_ms is None
    assert group.failures.total == 0


def test_durations_and_delays() -> None:
    group = night()
    assert (group.acd.count, group.acd.mean_s) == (55, 4 * 1650 / 55)
    assert group.pdd is not None
    assert group.pdd.count == 100
    assert group.pdd.p50_ms is not None
    assert group.pdd.p50_ms < 10


def test_failures_are_told_apart_in_four_ways() -> None:
    failures = night().failures
    assert failures.total == 2 + 3 + 4 + 6 + 8 + 9 + 1 + 12 + 2 + 3 + 4  # cancelled by the caller is no failure
    assert failures.by_code[603] == 7
    assert failures.by_disposition["blocked"] == 4
    assert failures.by_class == {4: 32, 5: 15, 6: 7}
    assert failures.by_fault["us"] == 2
    assert next(iter(failures.by_code)) == 503  # the most frequent first


def test_what_took_no_trunk_is_not_counted() -> None:
    local = Counts(attempts(NIGHT, trunk=""), calls({"failed": 50}, trunk=""), [Total(50, 0, trunk="", pdd=1)])
    (group,) = kpis(local)
    assert (group.attempts, group.calls, group.failures.total) == (0, 0, 0)


def test_groups_and_steps() -> None:
    totals = [
        Total(3, 0, hour=BEGAN + timedelta(hours=hour), trunk=trunk, sip_code=200, disposition="answered")
        for hour in range(4)
        for trunk in ("a", "b")
    ]
    found = kpis(Counts(totals, []), ("trunk",), timedelta(hours=2), 1, BEGAN)
    assert [(group.at, group.key, group.attempts) for group in found] == [
        (BEGAN, ("a",), 6),
        (BEGAN, ("b",), 6),
        (BEGAN + timedelta(hours=2), ("a",), 6),
        (BEGAN + timedelta(hours=2), ("b",), 6),
    ]


def some_table() -> st.SearchStrategy[dict[tuple[int, str], int]]:
    codes = st.sampled_from([0, 199, 299, 399, 499, 599, 699, *(code.code for code in all_codes())])
    names = st.sampled_from([row.name for row in all_dispositions()])
    return st.dictionaries(st.tuples(codes, names), st.integers(1, 500), max_size=20)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), some_table()))
def test_the_parts_sum_up_to_the_whole(tables: dict[str, dict[tuple[int, str], int]]) -> None:
    totals = [total for trunk, table in tables.items() for total in attempts(table, trunk)]
    (whole,), parts = kpis(Counts(totals, []), least=1), kpis(Counts(totals, []), ("trunk",), least=1)
    assert whole.attempts == sum(part.attempts for part in parts)
    for ratio in whole.ratios:
        of_parts = [part.ratio(ratio.name) for part in parts]
        assert ratio.numerator == sum(part.numerator for part in of_parts)
        assert ratio.denominator == sum(part.denominator for part in of_parts)
        if ratio.value is not None and ratio.low is not None and ratio.high is not None:
            assert 0 <= ratio.low <= ratio.value <= ratio.high <= 1
    failures = whole.failures
    for way in (failures.by_class, failures.by_code, failures.by_disposition, failures.by_fault):
        assert sum(way.values()) == failures.total
    assert failures.by_code == sum((Counter(part.failures.by_code) for part in parts), Counter())


@given(st.integers(1, 10**9).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_the_interval_holds_what_solves_wilsons_equation(share: tuple[int, int]) -> None:
    """Its bounds p are where (share - p)^2 = z^2 p (1 - p) / n."""
    numerator, whole = share
    at, z = numerator / whole, 1.959963984540054
    half = z * z / (2 * whole)
    root = z * sqrt(at * (1 - at) / whole + z * z / (4 * whole * whole))
    assert wilson(numerator, whole) == pytest.approx(
        ((at + half - root) / (1 + 2 * half), (at + half + root) / (1 + 2 * half)), abs=1e-12
    )


@pytest.mark.parametrize(
    ("numerator", "whole", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_the_interval_agrees_with_published_examples(numerator: int, whole: int, low: float, high: float) -> None:
    """The examples of R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson(numerator, whole) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("numerator", "whole"), [(1, 0), (0, 0), (2, 1), (-1, 5)])
def test_what_is_no_share_has_no_interval(numerator: int, whole: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(numerator, whole)


def test_the_tables_know_every_disposition_and_agree_with_each_other() -> None:
    for row in all_dispositions():
        assert rfc6076_group(None, row.name)
        assert (e425_group(None, row.name) == NOT_COUNTED) is (not row.counts_as_seizure)
    for rule in ratio_rules():
        assert rule.numerator < rule.denominator
    effective = {group.name for group in e425_groups().values() if group.effective} - {NOT_COUNTED}
    ner = next(rule for rule in ratio_rules() if rule.name == "ner")
    assert ner.numerator == effective
    assert ner.denominator == e425_groups().keys() - {NOT_COUNTED}


def test_an_attempt_judged_otherwise_than_its_code_counts_as_judged() -> None:
    assert e425_group(404, "not_found") == "other"
    assert e425_group(404, "busy") == "busy"  # a rule of the configuration said so
    with pytest.raises(ValueError, match="not a disposition"):
        e425_group(404, "tired")

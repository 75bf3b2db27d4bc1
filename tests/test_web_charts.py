"""Charts as numbers, and the words of a record in its reader's language."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.calls.model import Q850, Fault, SipStatus
from asterisk_sip.catalog import LANGUAGES, code_text, hint
from asterisk_sip.web import charts, worded

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
COUNTS = st.lists(st.tuples(st.integers(0, 239), st.sampled_from([0, 180, 404, 486, 503, 603]), st.integers(1, 10**6)))


@given(COUNTS)
def test_every_call_is_drawn_once_in_its_bar_and_no_bar_is_higher_than_the_chart(
    told: list[tuple[int, int, int]],
) -> None:
    counts = [(NOON + timedelta(minutes=minute), code, count) for minute, code, count in told]
    chart = charts.bars(counts, NOON, NOON + timedelta(hours=4), QUARTER)
    assert sum(piece.count for piece in chart.pieces) == chart.total == sum(count for _, _, count in counts)
    assert sum(sum(each) for _, each in chart.data["series"]) == chart.total
    for piece in chart.pieces:
        inside = [
            count for at, code, count in counts if piece.since <= at < piece.until and code // 100 == piece.class_
        ]
        assert sum(inside) == piece.count
        assert piece.y >= -0.1 * len(charts.CLASSES)
        assert piece.y + piece.height <= charts.HEIGHT + 0.1
        assert piece.x + piece.width <= charts.WIDTH


def test_the_last_bar_ends_when_the_time_does() -> None:
    until = NOON + timedelta(minutes=20)
    chart = charts.bars([(NOON + timedelta(minutes=16), 503, 2)], NOON, until, QUARTER)
    assert [(piece.since, piece.until) for piece in chart.pieces] == [(NOON + QUARTER, until)]


def test_nothing_is_a_chart_too() -> None:
    chart = charts.bars([], NOON, NOON, QUARTER)
    assert (chart.total, chart.most, list(chart.pieces), list(chart.ticks)) == (0, 0, [], [])


@given(st.timedeltas(timedelta(minutes=1), timedelta(days=40_000)))
def test_no_time_has_more_bars_than_can_be_told_apart(length: timedelta) -> None:
    step = charts.step_for(length)
    assert length / step <= 100
    assert step % timedelta(minutes=1) == timedelta()


def test_a_line_is_broken_where_nothing_is_known() -> None:
    assert charts.sparkline([0.0, None, 1.0, 1.0], 0, 1, width=30, height=20) == "M0.0 19.0h.01M20.0 1.0h.01L30.0 1.0"
    assert charts.sparkline([], 0, 1) == ""


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_more_is_never_colder(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert charts.heat(low, high) <= charts.heat(high, high)
    assert 0 <= charts.heat(low, high) <= 5


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_a_record_says_is_told_in_the_language_of_its_reader(lang: str) -> None:
    english, told = code_text(503), code_text(503, None, lang)
    sip = SipStatus(503, "Service Unavailable", 5, meaning=english.meaning)
    assert worded.meaning(sip, lang) == told.meaning
    assert (
        worded.fault_reason(Fault("carrier", english.fault_reason), sip, "congestion", Q850(), lang)
        == told.fault_reason
    )
    assert worded.hint(hint("congestion", 503), sip, "congestion", lang) == hint("congestion", 503, None, lang)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_a_rule_of_the_configuration_says_stays_as_it_is(lang: str) -> None:
    sip = SipStatus(503, "Service Unavailable", 5, meaning="Our line to acme is full.")
    assert worded.meaning(sip, lang) == "Our line to acme is full."
    assert worded.fault_reason(Fault("us", "We ordered too few channels."), sip, "congestion", Q850(34), lang) == (
        "We ordered too few channels."
    )
    assert worded.hint("Order more.", sip, "of another version", lang) == "Order more."

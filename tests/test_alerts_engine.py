"""When each kind of rule fires, when it clears, and what it does not take for an alert."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from asterisk_sip.alerts.engine import Engine
from asterisk_sip.alerts.engine_heard import Trouble
from asterisk_sip.alerts.engine_mute import Silenced, quiet_until
from asterisk_sip.alerts.engine_past import answered
from asterisk_sip.alerts.model import Filter, Kind, QuietHours, Rule
from asterisk_sip.stores.base import Total

from .alert_calls import T0, call, run, share, told
from .call_records import BEGAN

HOUR, WEEK = 3_600, 7 * 86_400
TRUNK: dict[str, Any] = {"group_by": ("trunk",), "window_s": 60}


def judged(rule: Rule, calls: list[dict[str, Any]], until: float = 1_000) -> list[tuple[str, str, int]]:
    """Return (state, group, second) of what a rule tells of calls; what it said in past weeks aside."""
    return [(state, group, at) for state, _, group, at in told(run(Engine([rule]), calls, until)) if at >= 0]


def test_a_count_fires_at_its_threshold_and_clears_below_its_own_bound_only() -> None:
    rule = Rule("many", Kind.COUNT, 5, 2, filter={"code": (503,)}, **TRUNK)
    calls = [call(second) for second in range(0, 50, 10)]
    assert judged(rule, calls) == [("fired", "acme", 41), ("cleared", "acme", 91)]
    assert judged(rule, calls[:4]) == []


def test_a_rate_is_told_by_the_minute() -> None:
    rule = Rule("fast", Kind.RATE, 6, 6, group_by=("trunk",), window_s=300)
    (fired, _) = run(Engine([rule]), [call(second) for second in range(30)], 1_000)
    assert (fired.value, fired.unit, fired.numerator) == (6.0, "per_minute", 30)


def test_a_share_needs_its_least_number_of_calls_and_counts_answered_ones() -> None:
    calls = [call(second, 503 if second % 2 else 200) for second in range(20)]
    assert judged(share(min_samples=21), calls) == []
    (fired, *_) = run(Engine([share(min_samples=20)]), calls, 1_000)
    assert (fired.numerator, fired.denominator, fired.value) == (10, 20, 0.5)


def test_a_share_fires_too_when_answered_calls_leave_the_window() -> None:
    """Nothing new comes: what makes the share too high is that good calls are forgotten."""
    calls = [call(0, 200, number=number) for number in range(10)] + [call(30, number=number) for number in range(9)]
    assert judged(share(threshold=0.9, min_samples=9), calls)[0] == ("fired", "acme", 61)


def test_samples_are_of_the_alert_and_not_of_one_before_it() -> None:
    rule = Rule("many", Kind.COUNT, 2, 2, filter={"code": (503,)}, **TRUNK)
    changes = run(Engine([rule]), [call(0), call(50), call(500), call(501)], 1_000)
    assert [len(change.samples) for change in changes] == [2, 2, 2, 2]
    assert {sample[9:13] for change in changes[2:] for sample in change.samples} == {"500.", "501."}


def test_samples_of_a_row_are_of_that_row() -> None:
    rule = Rule("row", Kind.CONSECUTIVE, 2, 2, filter={"e425": ("other",)}, counted="attempts", **TRUNK)
    calls = [call(0.1), call(0.2, 200), call(0.3), call(0.4)]
    (fired,) = run(Engine([rule]), calls, 100)
    assert [sample[9:14] for sample in fired.samples] == ["0.400", "0.300"]


def test_an_alert_that_was_told_just_before_a_crash_waits_its_time_again_once_it_is_over() -> None:
    """It fired between the last save and the crash; the wait that led to it must not count for the next one."""
    rule = Rule("many", Kind.COUNT, 2, 2, filter={"code": (503,)}, for_s=20, **TRUNK)
    calls = [call(0), call(30), call(70), call(71)]
    first = Engine([rule])
    for each in calls[:2]:
        first.feed(each)
    first.tick(T0 + 40)  # over its threshold, and waits
    states = first.dump()
    (fired,) = first.tick(T0 + 60)
    again = Engine([rule])
    again.load(states)
    again.adopt([fired])
    anew = [(state, at) for state, _, _, at in told(run(again, calls[2:], 1_000))]
    assert anew == [("cleared", 61), ("fired", 91), ("cleared", 131)]


def test_codes_are_told_apart_and_their_shares_are_of_all_calls_of_the_trunk() -> None:
    rule = share(filter={"class": (4, 5)}, group_by=("trunk", "code"), threshold=0.25, clear=0.25)
    calls = [call(second, (503, 486, 200, 200)[second % 4], number=second) for second in range(40)]
    fired = [change for change in run(Engine([rule]), calls, 45) if change.state == "fired"]
    assert {change.group["code"] for change in fired} == {"503", "486"}
    assert all(change.value is not None and change.value < 0.5 for change in fired)


@pytest.mark.parametrize(
    ("counted", "asked"),
    [
        ("calls", {"code": "503", "trunk": "acme", "outcome": "any", "country": "DE"}),
        ("attempts", {"attempt_code": "503", "trunk": "acme", "outcome": "any"}),
    ],
)
def test_an_alert_says_how_its_calls_are_found_and_never_asks_for_too_few(counted: Any, asked: dict[str, str]) -> None:
    wanted: Filter = {"code": (503,), "not.partial": (True,)}
    rule = Rule("many", Kind.COUNT, 3, 3, filter=wanted, group_by=("trunk", "country"), counted=counted, window_s=60)
    (fired,) = run(Engine([rule]), [call(second, number=second) for second in range(3)], 30)
    span = {"since": "2026-11-01T11:59:03.000000Z", "until": "2026-11-01T12:00:03.000000Z"}
    assert fired.query == {**span, **asked}


def test_what_must_hold_for_a_time_is_told_after_it_and_since_it_began() -> None:
    rule = Rule("many", Kind.COUNT, 3, 3, for_s=30, **TRUNK)
    (fired, cleared) = run(Engine([rule]), [call(second) for second in range(0, 60, 5)], 1_000)
    assert (fired.since.timestamp() - T0, fired.at.timestamp() - T0) == (11, 41)
    assert cleared.since == fired.since
    assert judged(rule, [call(second) for second in range(3)], 31) == []


def test_a_group_rests_after_it_cleared() -> None:
    rule = Rule("many", Kind.COUNT, 2, 2, cooldown_s=100, **TRUNK)
    calls = [call(at, number=at) for at in (0, 1, 80, 81, 82, 130, 150, 170, 190)]
    assert judged(rule, calls) == [
        ("fired", "acme", 2),
        ("cleared", "acme", 61),
        ("fired", "acme", 161),
        ("cleared", "acme", 231),
    ]


def test_an_asr_that_is_too_low_fires_and_only_attempts_on_trunks_count() -> None:
    rule = Rule("asr", Kind.RATIO, 0.4, 0.6, "below", ratio="asr", counted="attempts", min_samples=10, **TRUNK)
    calls = [call(second, 200 if second % 5 == 0 else 503, number=second) for second in range(20)]
    changes = run(Engine([rule]), calls, 1_000)
    assert [change.state for change in changes] == ["fired", "cleared"]
    assert changes[0].value is not None
    assert changes[0].value < 0.4
    phone = call(0)
    phone["attempts"][0]["trunk"] = None
    assert judged(rule, [phone] * 30) == []


def test_a_delay_is_judged_by_its_percentile() -> None:
    rule = Rule("slow", Kind.PDD, 4_000, 3_000, counted="attempts", percentile=0.9, min_samples=10, **TRUNK)
    quick = [call(second, 200, number=second, pdd_ms=200) for second in range(20)]
    slow = [call(20 + second, 200, number=second, pdd_ms=6_000) for second in range(5)]
    assert judged(rule, quick) == []
    (fired, _) = run(Engine([rule]), quick + slow, 1_000)
    assert fired.value is not None
    assert 4_000 <= fired.value <= 7_500
    assert fired.unit == "ms"


def test_failures_in_a_row_are_broken_by_a_call_that_got_through_and_not_by_one_that_was_given_up() -> None:
    rule = Rule(
        "row",
        Kind.CONSECUTIVE,
        3,
        3,
        filter={"e425": ("other",)},
        of={"not.e425": ("not_counted", "cancelled")},
        counted="attempts",
        group_by=("trunk",),
    )
    given_up = call(3, number=9)
    given_up["attempts"][0].update(disposition="cancelled", sip={**given_up["attempts"][0]["sip"], "code": 487})
    broken = [call(0), call(1), call(2, 486), call(3), call(4)]
    assert judged(rule, broken) == []
    assert judged(rule, [call(0), call(1), given_up, call(5)]) == [("fired", "acme", 6)]
    assert judged(rule, [call(0), call(1), call(2), call(7, 200)]) == [("fired", "acme", 3), ("cleared", "acme", 8)]


def test_a_code_never_seen_on_a_trunk_is_told_once_it_has_learned() -> None:
    rule = Rule("new", Kind.NEW_CODE, learn_s=100, group_by=("trunk", "code"), window_s=60)
    calls = [call(0, 503), call(50, 404), call(150, 404), call(200, 403), call(210, 403), call(400, 403)]
    assert judged(rule, calls) == [("fired", "acme,403", 201), ("cleared", "acme,403", 271)]


def weekly(count: int, weeks: int, at: int = 0) -> list[dict[str, Any]]:
    """Return so many calls in this hour of each past week, as counts."""
    total = Total(count, 0, pbx="pbx", trunk="acme", sip_code=200, outcome="answered")
    return [answered(total, BEGAN + timedelta(seconds=at - week * WEEK)) for week in range(weeks, 0, -1)]


def test_a_burst_is_so_many_times_what_past_weeks_had_at_this_hour() -> None:
    rule = Rule("burst", Kind.BURST, 3, 2, expected=1, weeks=4, group_by=("trunk",), window_s=60, min_samples=5)
    usual = weekly(240, 4)  # 4 a minute
    now = [call(second, 200, number=second) for second in range(13)]
    (fired, cleared) = [each for each in run(Engine([rule]), usual + now, 1_000) if each.at.timestamp() >= T0]
    assert (fired.value, fired.numerator, fired.denominator, fired.unit) == (3.0, 12, 4, "times")
    assert cleared.state == "cleared"
    assert judged(rule, weekly(240, 1) + now) == []  # one week is no habit
    assert judged(rule, usual + now[:11]) == []


def test_one_wild_week_does_not_hide_a_burst() -> None:
    rule = Rule("burst", Kind.BURST, 3, 2, expected=1, weeks=4, group_by=("trunk",), window_s=60, min_samples=5)
    past = weekly(240, 4)
    past[0]["count"] = 100_000
    assert judged(rule, past + [call(second, 200, number=second) for second in range(13)])[0][0] == "fired"


def test_no_calls_are_told_where_past_weeks_had_some_and_not_at_night() -> None:
    rule = Rule("silent", Kind.SILENCE, 0, 0, expected=5, weeks=4, group_by=("trunk",), window_s=300)
    past = weekly(240, 4)
    told_of = judged(rule, [*past, call(0, 200)], 2_000)
    assert told_of[0][:2] == ("fired", "acme")
    assert told_of[0][2] == 301
    assert judged(rule, [*past, call(0, 200), call(900, 200, number=1)], 1_000)[-1][:2] == ("cleared", "acme")
    assert judged(rule, [*past, *[call(second, 200, number=second) for second in range(0, 3_000, 60)]], 3_000) == []
    assert judged(rule, [*weekly(10, 4), call(0, 200)], 2_000) == []


def test_nothing_is_called_silent_and_nothing_over_while_the_pbx_is_not_heard() -> None:
    silent = Rule("silent", Kind.SILENCE, 0, 0, expected=5, weeks=4, group_by=("trunk",), window_s=300)
    many = Rule("many", Kind.COUNT, 3, 3, filter={"code": (503,)}, **TRUNK)
    engine, taught = Engine([silent, many], ["pbx"]), Engine([silent])
    for each in weekly(240, 4):
        taught.learn(each)
    engine.begin(T0)
    engine.load(taught.learned())
    fields: dict[str, str | bool] = {"pbx": "pbx", "source": "ami", "blind": True, "reason": "lost"}
    engine.trouble(Kind.GAP, Trouble("gap", T0 + 10, None, fields))
    changes = run(engine, [call(second, number=second) for second in range(5)], 1_000)
    assert [change.state for change in changes] == ["fired"]
    engine.trouble(Kind.GAP, Trouble("gap", T0 + 10, T0 + 1_000, fields))
    states = told(engine.tick(T0 + 1_400))
    assert states[0][:2] == ("cleared", "many")
    assert states[0][3] >= 1_000 + 60
    assert states[1][:2] == ("fired", "silent")


def test_a_gap_and_a_sink_are_told_when_they_last() -> None:
    rules = [
        Rule("deaf", Kind.GAP, 30, 30, for_s=30, filter={"blind": (True,)}, group_by=("pbx", "source")),
        Rule("sink", Kind.SINK, 10, 10, for_s=10, group_by=("sink",)),
    ]
    engine = Engine(rules)
    gap: dict[str, str | bool] = {"pbx": "a", "source": "ami", "blind": True, "reason": "lost"}
    engine.trouble(Kind.GAP, Trouble("1", T0 + 0.5, T0 + 20, gap))
    engine.trouble(Kind.GAP, Trouble("2", T0 + 40, T0 + 90, gap))
    engine.trouble(Kind.GAP, Trouble("3", T0 + 40, T0 + 900, {**gap, "blind": False}))
    engine.trouble(Kind.SINK, Trouble("s", T0 + 50, None, {"sink": "hook", "reason": "HTTP 500"}))
    assert told(engine.tick(T0 + 200)) == [
        ("fired", "sink", "hook", 60),
        ("fired", "deaf", "a,ami", 70),
        ("cleared", "deaf", "a,ami", 90),
    ]


QUIET = QuietHours(time(22), time(6), ZoneInfo("Europe/Berlin"))


def test_in_quiet_hours_an_alert_is_recorded_and_told_at_their_end_if_it_still_holds() -> None:
    night = 11 * HOUR  # 23:00 UTC, midnight in Berlin; quiet until 05:00 UTC
    rule = Rule("many", Kind.COUNT, 3, 3, quiet=QUIET, group_by=("trunk",), window_s=60)
    short = [call(night + second, number=second) for second in range(10)]
    changes = run(Engine([rule]), short, night + 500)
    assert [(change.state, change.muted) for change in changes] == [
        ("fired", "quiet hours"),
        ("cleared", "its firing was not told"),
    ]
    morning = 17 * HOUR
    long = [call(night + second, number=second) for second in range(0, 7 * HOUR, 10)]
    changes = run(Engine([rule]), long, night + 8 * HOUR)
    assert [(change.state, change.muted) for change in changes] == [
        ("fired", "quiet hours"),
        ("fired", None),
        ("cleared", None),
    ]
    assert changes[1].at.timestamp() - T0 == morning
    assert changes[0].id == changes[1].id


@pytest.mark.parametrize(
    ("begin", "end", "hour", "until"),
    [
        (time(22), time(6), 23, 30),
        (time(22), time(6), 5, 6),
        (time(22), time(6), 6, None),
        (time(12), time(14), 13, 14),
        (time(12), time(14), 14, None),
    ],
)
def test_quiet_hours_end_on_the_day_they_should(begin: time, end: time, hour: int, until: int | None) -> None:
    midnight = T0 - 12 * HOUR
    found = quiet_until(QuietHours(begin, end, ZoneInfo("UTC")), midnight + hour * HOUR)
    assert found == (None if until is None else midnight + until * HOUR)


def test_a_silence_holds_for_rules_whose_name_fits_and_as_long_as_it_says() -> None:
    rules = [Rule("many", Kind.COUNT, 3, 3, **TRUNK), Rule("other", Kind.COUNT, 3, 3, **TRUNK)]
    engine = Engine(rules)
    engine.silence([Silenced("man*", T0 + 100, "works")])
    changes = run(engine, [call(second, number=second) for second in range(0, 200, 5)], 190)
    assert [(change.rule, change.muted, change.at.timestamp() - T0) for change in changes] == [
        ("many", "silenced: works", 11),
        ("other", None, 11),
        ("many", None, 101),
    ]


def test_who_invents_groups_makes_a_rule_forget_only_idle_ones() -> None:
    rule = Rule("many", Kind.COUNT, 3, 3, max_groups=10, group_by=("trunk",), window_s=3_600)
    engine = Engine([rule])
    firing = [call(second, trunk="acme", number=second) for second in range(3)]
    invented = [call(10 + number / 100, trunk=f"x{number}", number=number) for number in range(500)]
    changes = run(engine, [*firing, *invented], 100)
    assert told(changes) == [("fired", "many", "acme", 3)]
    assert (engine.groups, engine.evicted) == (10, 491)
    assert told(engine.tick(T0 + 8_000)) == [("cleared", "many", "acme", 3_601)]


def test_a_record_that_comes_late_is_counted_with_its_own_time() -> None:
    rule = Rule("many", Kind.COUNT, 3, 3, **TRUNK)
    engine = Engine([rule])
    assert run(engine, [call(100, number=1), call(101, number=2)], 130) == []
    engine.feed(call(110, number=3))
    assert told(engine.tick(T0 + 131)) == [("fired", "many", "acme", 111)]
    engine = Engine([rule])
    assert run(engine, [call(500, number=1), call(501, number=2)], 530) == []
    engine.feed(call(100, number=3))  # hours of calls may be read from Asterisk's own log after a gap
    assert engine.tick(T0 + 535) == []


def test_a_clock_that_runs_ahead_does_not_stop_the_others() -> None:
    rule = Rule("many", Kind.COUNT, 3, 3, **TRUNK)
    engine = Engine([rule])
    engine.feed(call(9_000, trunk="ahead"), now=T0 + 10.0)
    changes = [change for second in range(3) for change in engine.feed(call(11 + second), now=T0 + 12.0 + second)]
    assert told([*changes, *engine.tick(T0 + 20)])[0][2] == "acme"


@pytest.mark.parametrize(
    ("dialled", "country", "prefix"),
    [
        ("+4930123456", "DE", "+4930"),
        ("004930123456", "DE", "+4930"),
        ("+12125550100", "+1", "+1212"),
        ("030123456", None, "0301"),
        ("+999", None, None),
        ("sip:bob", None, None),
    ],
)
def test_numbers_are_grouped_by_country_and_prefix(dialled: str, country: str | None, prefix: str | None) -> None:
    for field, value in (("country", country), ("prefix", prefix)):
        rule = Rule("each", Kind.COUNT, 1, 1, group_by=(field,), window_s=60)
        found = [change.group.get(field) for change in run(Engine([rule]), [call(0, dialled=dialled)], 30)]
        assert found == ([] if value is None else [value]), field


def test_filters_know_patterns_lists_paths_and_what_not() -> None:
    calls = [call(0, 503, "acme-1", number=1), call(1, 403, "acme-2", number=2), call(2, 486, "beta", number=3)]
    cases: tuple[tuple[Filter, list[int]], ...] = (
        ({"trunk": ("acme-*",)}, [1, 2]),
        ({"not.trunk": ("acme-*",)}, [3]),
        ({"sip.code": (503, 486)}, [1, 3]),
        ({"class": (4,), "not.disposition": ("busy",)}, [2]),
        ({"caller.endpoint": ("alice",), "pbx": ("pbx",)}, [1, 2, 3]),
        ({"partial": (True,)}, []),
    )
    for wanted, numbers in cases:
        engine = Engine([Rule("each", Kind.HOOK, filter=wanted)])
        found = [int(change.samples[0][:8], 16) for change in run(engine, calls, 10)]
        assert found == numbers, wanted

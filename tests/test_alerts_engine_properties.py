"""What holds of the engine of alerts whatever is called: live, after a crash and looking back it tells the same."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from asterisk_sip.alerts.engine import LAG_S, Engine, fingerprint
from asterisk_sip.alerts.engine_heard import Trouble
from asterisk_sip.alerts.model import Change, Kind, Rule, change_of, change_text

from .alert_calls import T0, call, run, share

BY_TRUNK: dict[str, Any] = {"group_by": ("trunk",), "window_s": 20}
RULES = (
    share(window_s=20, min_samples=3, clear=0.3),
    share(name="by code", window_s=20, min_samples=2, filter={"class": (4, 5)}, group_by=("trunk", "code"), for_s=3),
    Rule("many", Kind.COUNT, threshold=4, clear=2, filter={"not.code": (200,)}, cooldown_s=15, **BY_TRUNK),
    Rule("rate", Kind.RATE, threshold=12, clear=12, group_by=("pbx",), window_s=60),
    Rule("asr", Kind.RATIO, 0.5, 0.6, "below", ratio="asr", counted="attempts", min_samples=3, **BY_TRUNK),
    Rule("slow", Kind.PDD, threshold=900, clear=500, counted="attempts", min_samples=2, **BY_TRUNK),
    Rule("row", Kind.CONSECUTIVE, 3, 3, filter={"e425": ("other",)}, counted="attempts", **BY_TRUNK),
    Rule("new", Kind.NEW_CODE, learn_s=10, group_by=("trunk", "code"), window_s=20),
    Rule("few", Kind.COUNT, threshold=2, clear=1, filter={"code": (503,)}, max_groups=2, **BY_TRUNK),
    Rule("deaf", Kind.GAP, for_s=5, threshold=5, clear=5, group_by=("pbx", "source")),
    Rule("each", Kind.HOOK, filter={"code": (403,)}, group_by=("trunk",)),
)

NEVER_CROWDED = tuple(rule for rule in RULES if rule.max_groups > 3)
"""Which groups are forgotten when there are too many may differ after a crash: one that was told of is kept."""

CALL = st.builds(
    call,
    at=st.integers(0, 120_000).map(lambda ms: ms / 1000),
    code=st.sampled_from([200, 200, 503, 503, 486, 403, 404]),
    trunk=st.sampled_from(["acme", "beta", "gamma"]),
    number=st.integers(0, 10**6),
    pdd_ms=st.sampled_from([50, 400, 2000]),
)
CALLS = st.lists(CALL, max_size=60, unique_by=lambda each: each["id"])
GAP = st.builds(
    lambda began, length: Trouble(
        f"gap-{began}", T0 + began, T0 + began + length, {"pbx": "pbx", "source": "ami", "blind": True, "reason": "x"}
    ),
    st.integers(10, 100),
    st.integers(1, 30),
)
GAPS = st.lists(GAP, max_size=2, unique_by=lambda gap: gap.id)
END = 200.0


def ended(each: dict[str, Any]) -> str:
    return str(each["ended_at"])


def looking_back(calls: list[dict[str, Any]], gaps: list[Trouble], rules: tuple[Rule, ...] = RULES) -> list[Change]:
    engine = Engine(rules, ["pbx"])
    for gap in gaps:
        engine.trouble(Kind.GAP, gap)
    return by_id(run(engine, sorted(calls, key=ended), END))


def by_id(changes: list[Change]) -> list[Change]:
    """Return changes in one order: hooks tell at once, what counts tells when its second is over."""
    return sorted(changes, key=lambda each: (each.at, each.id))


@settings(max_examples=150, deadline=None)
@given(CALLS, GAPS, st.randoms(use_true_random=False))
def test_live_in_any_order_within_the_lag_tells_what_looking_back_tells(
    calls: list[dict[str, Any]], gaps: list[Trouble], chance: Any
) -> None:
    engine = Engine(RULES, ["pbx"])
    changes = []
    arriving = [
        (datetime.fromisoformat(each["ended_at"]).timestamp() + chance.uniform(0, LAG_S * 0.9), 1, each["id"], each)
        for each in calls
    ]
    ticks = [(T0 + chance.uniform(0, END), 2, str(number), None) for number in range(40)]
    heard: list[Any] = [(gap.began, 0, f"{gap.id} began", (gap, None)) for gap in gaps]
    heard += [(gap.ended or 0.0, 0, f"{gap.id} ended", (gap, gap.ended)) for gap in gaps]
    for at, _, _, what in sorted([*arriving, *ticks, *heard], key=lambda each: each[:3]):
        if isinstance(what, tuple):
            gap, over = what
            engine.trouble(Kind.GAP, Trouble(gap.id, gap.began, over, gap.fields))
        elif what is not None:
            changes += engine.feed(what, now=at)
            changes += engine.tick(at)
        else:
            changes += engine.tick(at)
    changes += engine.tick(T0 + END)
    assert by_id(changes) == looking_back(calls, gaps)


@settings(max_examples=100, deadline=None)
@given(CALLS, st.integers(0, 60), st.integers(0, 60))
def test_after_a_crash_the_same_is_told_and_nothing_is_told_anew(
    calls: list[dict[str, Any]], saved_after: int, crash_after: int
) -> None:
    """What was told between the last save and the crash is told again under the same ids, and dropped by them."""
    calls = sorted(calls, key=ended)
    saved_after, crash_after = sorted((min(saved_after, len(calls)), min(crash_after, len(calls))))
    first = Engine(NEVER_CROWDED, ["pbx"])
    changes = [change for each in calls[:saved_after] for change in first.feed(each, 1)]
    states = json.loads(json.dumps(first.dump()))
    waiting = len(first.waiting)
    lost = [change for each in calls[saved_after:crash_after] for change in first.feed(each)]
    again = Engine(NEVER_CROWDED, ["pbx"])
    again.load({name: tuple(state) for name, state in states.items()})
    over = {change.alert_id for change in [*changes, *lost] if change.state == "cleared"}
    again.adopt(each for each in [*changes, *lost] if each.state == "fired" and each.alert_id not in over)
    rest = [*calls[:saved_after][saved_after - waiting :], *calls[saved_after:]]
    hooked = {change.id for change in [*changes, *lost] if change.kind is Kind.HOOK}
    told = {change.id: change for change in [*changes, *lost]}
    anew = [change for change in run(again, rest, END) if change.id not in told]
    assert not {change.id for change in anew} & hooked
    assert by_id([*told.values(), *anew]) == looking_back(calls, [], NEVER_CROWDED)


@given(CALLS)
@settings(max_examples=50, deadline=None)
def test_what_fires_clears_once_and_never_without_having_fired(calls: list[dict[str, Any]]) -> None:
    engine = Engine(RULES, ["pbx"])
    changes = run(engine, sorted(calls, key=ended), 10_000)
    for name in {each.alert_id for each in changes if each.kind is not Kind.HOOK}:
        states = [each.state for each in changes if each.alert_id == name]
        rule = next(each.rule for each in changes if each.alert_id == name)
        assert states == ["fired", "cleared"] or (rule == "row" and states == ["fired"])
    assert all(change_of(change_text(change)) == change for change in changes)
    assert engine.groups <= 3 * len(RULES)


def test_a_threshold_may_be_changed_without_forgetting_what_was_counted() -> None:
    assert fingerprint(share()) == fingerprint(share(threshold=0.9, clear=0.8, severity="info", targets=("x",)))
    assert fingerprint(share()) != fingerprint(share(window_s=61))
    assert fingerprint(share()) != fingerprint(share(filter={"code": (500,)}))

"""The starter set of rules: each loads, fires for what it is meant for, and stays silent for what looks like it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from asterisk_sip.alerts.engine import Engine
from asterisk_sip.alerts.engine_heard import Trouble
from asterisk_sip.alerts.model import Kind, Rule, State
from asterisk_sip.config import load
from asterisk_sip.config_alerts import rules

from .alert_calls import T0, call

FOLDER = Path(__file__).parent.parent / "configs" / "alerts"
FILES = sorted(FOLDER.glob("*.toml"))
Calls = list[dict[str, Any]]

WEEK_S = 7 * 86_400


def made(
    at: float,
    code: int | None,
    disposition: str,
    number: int = 0,
    *,
    trunk: str = "acme",
    cause: int = 34,
    grade: str = "wire",
    dialled: str = "+4930123456",
    pdd_ms: int = 900,
    caller: str = "alice",
) -> dict[str, Any]:
    """A call that ended so many seconds after noon, with one attempt that tells the same."""
    found = call(at, code or 503, trunk, number=number, dialled=dialled, pdd_ms=pdd_ms)
    found["id"] = f"{number:08x}-{at:.3f}-{code}-{disposition}-{caller}"
    found["caller"] = {**found["caller"], "endpoint": caller}
    for part in (found, *found["attempts"]):
        part["disposition"] = disposition
        part["sip"] = {**part["sip"], "code": code, "class": code and code // 100}
        part["q850"] = {**part["q850"], "cause": cause}
        part["evidence"] = {**part["evidence"], "grade": grade}
    return found


def many(
    count: int, code: int | None, disposition: str, every_s: float = 2.0, begin_s: float = 0, **other: Any
) -> Calls:
    """So many calls alike, one after the other, from so many seconds after noon."""
    return [made(begin_s + number * every_s, code, disposition, number, **other) for number in range(count)]


def mixed(*kinds: Calls) -> Calls:
    """Calls of several kinds, in the order they ended."""
    return sorted((each for kind in kinds for each in kind), key=lambda each: str(each["ended_at"]))


def answered(count: int, every_s: float = 2.0, begin_s: float = 0.5, **other: Any) -> Calls:
    """So many answered calls."""
    return many(count, 200, "answered", every_s, begin_s, cause=16, **other)


FIRES: dict[str, Callable[[], Calls]] = {
    "trunk-down": lambda: many(10, 408, "no_response", grade="local"),
    "trunk-dead-when-idle": lambda: many(4, 503, "unreachable", every_s=200, grade="local"),
    "carrier-congestion-503": lambda: mixed(many(80, 503, "congestion"), answered(100)),
    "carrier-congestion-q850": lambda: mixed(many(80, 500, "server_error", cause=34), answered(100)),
    "auth-broken": lambda: mixed(many(10, 403, "forbidden", every_s=6, cause=21), answered(30)),
    "auth-broken-in-a-row": lambda: many(5, 401, "auth_failed", every_s=600, cause=21),
    "codec-488": lambda: mixed(many(6, 488, "not_acceptable", every_s=30, cause=58), answered(100)),
    "codec-488-in-a-row": lambda: many(5, 488, "not_acceptable", every_s=600, cause=58),
    "number-translation-of-a-prefix": lambda: mixed(
        many(12, 404, "not_found", cause=1, dialled="+43512345"), answered(200)
    ),
    "number-translation": lambda: mixed(many(20, 484, "not_found", cause=28), answered(60)),
    "toll-fraud-destinations": lambda: answered(12, every_s=30, dialled="+88212345678"),
    "blocked": lambda: many(5, 608, "blocked", every_s=600),
    "blocked-by-analytics": lambda: mixed(answered(3), many(1, 608, "blocked", begin_s=100_000)),
    "pdd": lambda: mixed(
        many(300, 486, "busy", pdd_ms=900), many(60, 486, "busy", every_s=10, begin_s=1, pdd_ms=12_000)
    ),
}
"""For each rule, calls that must fire it."""

SILENT: dict[str, Callable[[], Calls]] = {
    "trunk-down": lambda: mixed(many(40, 408, "no_response"), many(8, 486, "busy", every_s=10, begin_s=1)),
    "trunk-dead-when-idle": lambda: mixed(many(6, 503, "unreachable", every_s=100), answered(1, begin_s=290)),
    "carrier-congestion-503": lambda: mixed(
        many(80, 503, "unreachable", grade="local"), many(10, 503, "congestion"), answered(100)
    ),
    "carrier-congestion-q850": lambda: mixed(many(80, 503, "congestion"), answered(100)),
    "auth-broken": lambda: mixed(many(3, 403, "forbidden"), answered(100)),
    "auth-broken-in-a-row": lambda: mixed(many(40, 403, "forbidden", every_s=30), answered(20, every_s=100)),
    "codec-488": lambda: mixed(many(4, 488, "not_acceptable", every_s=30), answered(200)),
    "codec-488-in-a-row": lambda: mixed(many(40, 488, "not_acceptable"), answered(20, every_s=8)),
    "number-translation-of-a-prefix": lambda: mixed(many(20, 404, "not_found"), answered(200)),
    "number-translation": lambda: mixed(many(3, 404, "not_found"), answered(100)),
    "toll-fraud-destinations": lambda: answered(100, dialled="+4930123456"),
    "blocked": lambda: mixed(many(4, 607, "blocked", every_s=60), many(50, 603, "rejected", begin_s=1)),
    "blocked-by-analytics": lambda: many(20, 607, "blocked", begin_s=100_000),
    "pdd": lambda: mixed(many(300, 486, "busy", pdd_ms=900), many(5, 486, "busy", begin_s=1, pdd_ms=12_000)),
}
"""For each rule, calls that look like it and must not fire it."""

OTHERWISE = {"toll-fraud-burst", "pbx-not-heard", "sink-takes-nothing"}
"""Rules that need a past, or no calls at all: they have tests of their own."""


def loaded(tmp_path: Path, pattern: str = "*.toml") -> dict[str, Rule]:
    path = tmp_path / "asterisk-sip.toml"
    path.write_text(f'[alerting]\ninclude = ["{FOLDER / pattern}"]\n\n[[pbx]]\nname = "pbx"\n')
    config = load(path, {}, secrets=False)
    assert config.warnings == ()
    return {rule.name: rule for rule in rules(config.alerts)}


def fired(rule: Rule, calls: Iterable[dict[str, Any]], until: float = 3_700) -> int:
    """How often a rule fires over calls, from noon until so many seconds after the last."""
    engine = Engine([rule], ["pbx"])
    changes = [change for each in calls for change in engine.feed(each)]
    changes += engine.tick(engine.time + until)
    return sum(change.state is State.FIRED for change in changes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_of_the_starter_set_loads_by_itself_and_argues_its_rules(path: Path, tmp_path: Path) -> None:
    assert loaded(tmp_path, path.name)
    text = path.read_text()
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 120
    for block in text.split("[[alerts]]")[:-1]:
        assert block.rstrip().rpartition("\n")[2].startswith("# "), "no argument above a rule"


def test_the_whole_set_loads_together_and_every_rule_is_tried_here(tmp_path: Path) -> None:
    assert {*loaded(tmp_path)} == FIRES.keys() | OTHERWISE
    assert FIRES.keys() == SILENT.keys()


@pytest.mark.parametrize("name", FIRES)
def test_a_rule_fires_for_what_it_is_meant_for(name: str, tmp_path: Path) -> None:
    assert fired(loaded(tmp_path)[name], FIRES[name]()) == 1


@pytest.mark.parametrize("name", SILENT)
def test_a_rule_stays_silent_for_what_only_looks_like_it(name: str, tmp_path: Path) -> None:
    assert fired(loaded(tmp_path)[name], SILENT[name]()) == 0


def test_a_telephone_that_suddenly_calls_far_more_than_at_this_hour_of_past_weeks_fires_and_another_does_not(
    tmp_path: Path,
) -> None:
    rule = loaded(tmp_path)["toll-fraud-burst"]
    usual = [
        made(week * WEEK_S + minute * 300, 200, "answered", 100 * week + minute, caller=caller)
        for week in range(4)
        for minute in range(12)
        for caller in ("alice", "bob")
    ]
    now = 4 * WEEK_S
    fraud = [made(now + second * 6, 200, "answered", 90_000 + second, caller="alice") for second in range(100)]
    calm = [made(now + minute * 300, 200, "answered", 95_000 + minute, caller="bob") for minute in range(3)]
    engine = Engine([rule], ["pbx"])
    changes = [change for each in mixed(usual, fraud, calm) for change in engine.feed(each)]
    assert [(change.state, change.group) for change in changes] == [(State.FIRED, {"caller.endpoint": "alice"})]


def test_a_pbx_that_is_not_heard_for_a_minute_fires_and_a_restart_does_not(tmp_path: Path) -> None:
    rule = loaded(tmp_path)["pbx-not-heard"]
    for lasts_s, wanted in ((30.0, 0), (90.0, 1)):
        engine = Engine([rule], ["pbx"])
        fields: dict[str, str | bool] = {"pbx": "pbx", "source": "ami", "blind": True, "reason": "reset"}
        engine.trouble(Kind.GAP, Trouble("g", T0, T0 + lasts_s, fields))
        changes = [change for second in range(200) for change in engine.tick(T0 + second)]
        assert sum(change.state is State.FIRED for change in changes) == wanted


def test_a_sink_that_takes_nothing_for_a_quarter_of_an_hour_fires(tmp_path: Path) -> None:
    engine = Engine([loaded(tmp_path)["sink-takes-nothing"]], ["pbx"])
    engine.trouble(Kind.SINK, Trouble("s", T0, None, {"sink": "fleet", "reason": "refused"}))
    assert not engine.tick(T0 + 890)
    [change] = engine.tick(T0 + 910)
    assert (change.state, change.group) == (State.FIRED, {"sink": "fleet"})

from __future__ import annotations

from typing import Any

import pytest

from asterisk_sip.calls.model import Fault, SipStatus
from asterisk_sip.calls.overrides import Case, Override, Told, overridden
from asterisk_sip.config import Config
from asterisk_sip.daemon import override_rules
from asterisk_sip.errors import ConfigError

BUSY = Told(
    "busy", SipStatus(486, "Busy Here", meaning="The called party is busy."), Fault("callee", "On a call."), "Wait"
)
THROTTLED = Override(
    "acme throttles",
    trunk="acme*",
    code=486,
    under_ms=300,
    rang=False,
    meaning="No more calls from us.",
    disposition="congestion",
    fault="carrier",
)


def case(**changes: Any) -> Case:
    usual: dict[str, Any] = {
        "trunk": "acme",
        "endpoint": "acme-out",
        "code": 486,
        "phrase": "Busy Here",
        "failed_after_ms": 120,
        "rang": False,
    }
    return Case(**(usual | changes))


def test_a_quick_486_without_ringing_is_told_as_the_operator_knows_it() -> None:
    told = overridden(BUSY, case(), [THROTTLED])
    assert (told.disposition, told.sip.meaning, told.fault.side) == ("congestion", "No more calls from us.", "carrier")
    assert told.rule == "acme throttles"
    assert (told.sip.code, told.sip.phrase, told.hint) == (486, "Busy Here", "Wait"), "the facts stay what they were"
    assert told.fault.reason is None, "the old reason argued for another side"


@pytest.mark.parametrize(
    "change",
    [
        {"trunk": "globex", "endpoint": "globex"},
        {"trunk": None, "endpoint": None},
        {"code": 503},
        {"code": None},
        {"failed_after_ms": 300},
        {"failed_after_ms": None},
        {"rang": True},
    ],
)
def test_a_rule_holds_only_when_all_its_conditions_do(change: dict[str, Any]) -> None:
    assert overridden(BUSY, case(**change), [THROTTLED]) == BUSY


def test_a_rule_may_name_the_endpoint_of_a_trunk() -> None:
    assert overridden(BUSY, case(trunk="Acme Ltd", endpoint="acme-2"), [THROTTLED]).rule == "acme throttles"


def test_the_phrase_is_compared_without_regard_to_capitals() -> None:
    rule = Override("quota", phrase="*limit reached*", hint="Top up")
    assert overridden(BUSY, case(phrase="Daily LIMIT Reached (3)"), [rule]).hint == "Top up"
    assert overridden(BUSY, case(phrase=None), [rule]).rule is None


def test_the_first_rule_that_holds_is_taken() -> None:
    rules = [Override("never", code=500, hint="a"), Override("first", hint="b"), Override("second", hint="c")]
    assert overridden(BUSY, case(), rules).rule == "first"


def test_a_new_reason_alone_leaves_the_side() -> None:
    told = overridden(BUSY, case(), [Override("why", reason="Their PBX is full.")])
    assert told.fault == Fault("callee", "Their PBX is full.")


def configured(**rule: Any) -> Config:
    data = {"pbx": [{"name": "p", "ami": {"secret": "s"}}], "override": [{"name": "r", **rule}]}
    return Config.model_validate(data)


def test_a_rule_of_the_configuration_is_one_of_the_core() -> None:
    (rule,) = override_rules(configured(trunk="acme", code=486, under_ms=300, rang=False, disposition="congestion"))
    assert rule == Override("r", trunk="acme", code=486, under_ms=300, rang=False, disposition="congestion")


def test_a_disposition_that_does_not_exist_is_a_fault_with_its_key() -> None:
    with pytest.raises(ConfigError) as caught:
        override_rules(configured(disposition="bussy"))
    ((key, reason),) = caught.value.faults
    assert key == "override[0].disposition"
    assert "'bussy'" in reason
    assert "busy" in reason


def test_a_rule_that_changes_nothing_is_a_fault() -> None:
    with pytest.raises(ValueError, match="changes nothing"):
        configured(code=486)

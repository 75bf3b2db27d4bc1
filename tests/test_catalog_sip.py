"""The table of SIP codes: true to the registry, and every judgement sound."""

from __future__ import annotations

import pytest

from asterisk_sip.catalog import (
    Disposition,
    SipCode,
    all_codes,
    all_dispositions,
    class_rule,
    code_text,
    disposition,
    e425_groups,
    sip_class,
    sip_code,
)
from tests.catalog_facts import facts

SIDES = {"caller", "callee", "carrier", "us", "unknown"}


@pytest.mark.parametrize("row", facts("sip_response_codes"), ids=lambda row: row["code"])
def test_every_code_is_as_registered_or_seen(row: dict[str, str]) -> None:
    phrase = row["official_phrase"] if row["code"] == "603+" else None
    entry = sip_code(int(row["code"].rstrip("+")), phrase)
    assert entry.known
    assert (entry.key, entry.phrase, entry.reference, entry.status, entry.notes) == (
        row["code"],
        row["official_phrase"],
        row["reference"],
        row["status"],
        row["notes"],
    )
    assert entry.registered is (row["status"] != "unregistered-but-seen")
    assert sip_class(entry.code).name == row["class"]


def test_the_table_holds_the_75_registered_codes_the_12_seen_and_no_more() -> None:
    assert [entry.key for entry in all_codes()] == [row["code"] for row in facts("sip_response_codes")]
    assert sum(entry.registered for entry in all_codes()) == 75
    assert sum(not entry.registered for entry in all_codes()) == 12


@pytest.mark.parametrize("row", facts("sip_classes"), ids=lambda row: row["name"])
def test_every_class_is_that_of_rfc_3261(row: dict[str, str]) -> None:
    about = sip_class(int(row["class_digit"]))
    assert (about.name, about.heading, about.meaning) == (
        row["name"],
        row["rfc3261_section_21_heading"],
        row["meaning"],
    )
    assert sip_class(int(row["class_digit"] + "42")) == about


@pytest.mark.parametrize("number_of_none", [-1, 0, 7, 9, 10, 99, 700, 6000])
def test_numbers_that_are_no_code_and_no_class_are_refused(number_of_none: int) -> None:
    with pytest.raises(ValueError, match=str(number_of_none)):
        sip_class(number_of_none)
    with pytest.raises(ValueError, match=str(number_of_none)):
        sip_code(number_of_none)


@pytest.mark.parametrize("phrase", ["Network Blocked", "network blocked", "  NETWORK   BLOCKED ", "NetworkBlocked"])
def test_603_with_the_phrase_of_the_profile_is_603_plus(phrase: str) -> None:
    blocked = sip_code(603, phrase)
    assert (blocked.code, blocked.variant, blocked.disposition) == (603, "603+", "blocked")
    assert code_text(603, phrase) != code_text(603)


@pytest.mark.parametrize(("code", "phrase"), [(603, "Decline"), (603, None), (603, ""), (403, "Network Blocked")])
def test_nothing_else_is_603_plus(code: int, phrase: str | None) -> None:
    assert sip_code(code, phrase).variant == ""


@pytest.mark.parametrize(
    ("code", "treated_as", "said"),
    [
        (190, 183, "no_answer"),
        (299, 200, "answered"),
        (399, 300, "forwarded"),
        (450, 400, "bad_request"),
        (599, 500, "server_error"),
        (699, 600, "rejected"),
    ],
)
def test_a_code_in_no_table_is_judged_by_its_class_and_says_so(code: int, treated_as: int, said: str) -> None:
    entry = sip_code(code)
    assert not entry.known
    assert not entry.registered
    assert class_rule(code) == treated_as
    assert entry.disposition == said
    assert entry.retry == sip_code(treated_as).retry
    assert str(treated_as) in entry.notes
    assert str(code) in code_text(code).meaning
    assert str(treated_as) in code_text(code).meaning


def test_an_unknown_6xx_is_not_counted_as_busy() -> None:
    assert sip_code(600).e425 == "busy"
    assert sip_code(699).e425 == "other"


@pytest.mark.parametrize("code", all_codes(), ids=lambda entry: entry.key)
def test_every_judgement_uses_the_words_of_the_record_and_is_argued(code: SipCode) -> None:
    assert disposition(code.disposition).name == code.disposition
    assert code.fault in SIDES
    assert code.retry in {"yes", "no", "never"}
    assert code.e425 in e425_groups()
    assert code.disposition_why.endswith(".")
    assert code.fault_why.endswith(".")


def test_a_6xx_is_never_tried_elsewhere_and_nothing_else_is_but_for_a_caller_who_left() -> None:
    never = {entry.key for entry in all_codes() if entry.retry == "never"}
    assert never == {entry.key for entry in all_codes() if entry.sip_class == 6} | {"487"}


def test_a_call_blocked_by_analytics_is_told_from_one_declined_by_a_person() -> None:
    assert {entry.key for entry in all_codes() if entry.disposition == "blocked"} == {"603+", "607", "608"}
    assert sip_code(603).disposition == "rejected"
    assert sip_code(603).fault == sip_code(607).fault == "callee"
    assert sip_code(608).fault == sip_code(603, "Network Blocked").fault == "carrier"


def test_the_first_and_the_last_word_of_a_silent_trunk_differ_from_ringing() -> None:
    assert sip_code(100).disposition == sip_code(180).disposition == "no_answer"
    assert (sip_code(100).fault, sip_code(180).fault) == ("carrier", "callee")
    assert (sip_code(100).e425, sip_code(180).e425) == ("other", "no_answer")


def test_a_received_408_is_not_filed_as_silence() -> None:
    assert sip_code(408).disposition != "no_response"


def test_effective_groups_are_those_of_e425_and_hold_the_codes_that_rfc_6076_calls_effective() -> None:
    effective = {group.name for group in e425_groups().values() if group.effective}
    assert effective == {"answered", "busy", "no_answer", "rejected_by_user"}
    assert all(sip_code(code).e425 in effective for code in (200, 480, 486, 600, 603))
    assert not any(sip_code(code).e425 in effective for code in (408, 500, 503, 504))


def test_there_are_the_dispositions_of_the_record() -> None:
    names = "answered busy no_answer cancelled answered_elsewhere forwarded rejected blocked not_found forbidden"
    names += (
        " auth_failed not_acceptable bad_request congestion server_error no_response unreachable pbx_refused pbx_ended"
    )
    assert [entry.name for entry in all_dispositions()] == [*names.split(), "interworking", "unknown"]


@pytest.mark.parametrize("known", all_dispositions(), ids=lambda entry: entry.name)
def test_every_disposition_uses_the_words_of_the_record(known: Disposition) -> None:
    assert known.e425 in e425_groups()
    assert known.fault in SIDES
    assert known.retry in {"yes", "no", "never"}
    assert known.counts_as_seizure is (known.e425 != "not_counted" and known.name != "pbx_refused")


def test_what_refused_nothing_has_not_failed() -> None:
    fine = {entry.name for entry in all_dispositions() if not entry.failed}
    assert fine == {"answered", "answered_elsewhere", "forwarded", "cancelled"}


def test_a_name_that_is_no_disposition_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="no_response"):
        disposition("gone")

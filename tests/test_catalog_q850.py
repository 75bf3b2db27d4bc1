"""Q.850 and the mappings: every row of the RFC tables, and of Asterisk's own, by driver and release."""

from __future__ import annotations

import pytest

from asterisk_sip.catalog import (
    Q850Cause,
    all_causes,
    all_codes,
    asterisk_cause_to_sip,
    asterisk_sip_to_cause,
    candidates,
    code_sent_to_caller,
    disposition,
    q850_cause,
    q850_to_sip,
    sip_to_q850,
)
from tests.catalog_facts import facts, number, versions


@pytest.mark.parametrize("row", facts("q850_causes"), ids=lambda row: row["code"])
def test_every_cause_is_named_as_in_q850_and_in_asterisk(row: dict[str, str]) -> None:
    entry = q850_cause(int(row["code"]))
    assert (entry.name, entry.q850_class, entry.asterisk_name, entry.notes) == (
        row["name"],
        row["class"],
        row["ast_cause_name"],
        row["notes"],
    )
    assert entry.asterisk_text == (row["ast_cause2str_text"] or "Unknown")
    assert entry.asterisk_aliases == tuple(row["ast_aliases"].split())
    assert entry.assigned


def test_there_are_128_causes_and_the_unassigned_ones_say_so() -> None:
    listed = {int(row["code"]) for row in facts("q850_causes")}
    assert [entry.cause for entry in all_causes()] == list(range(128))
    assert {entry.cause for entry in all_causes() if entry.assigned} == listed
    assert all("Not assigned" in entry.notes for entry in all_causes() if not entry.assigned)


@pytest.mark.parametrize(
    ("cause", "read_as"), [(10, 31), (32, 47), (60, 63), (77, 79), (92, 95), (105, 111), (120, 127)]
)
def test_an_unassigned_cause_is_judged_as_the_last_of_its_class(cause: int, read_as: int) -> None:
    assert q850_cause(cause).q850_class == q850_cause(read_as).q850_class
    assert q850_cause(cause).disposition == q850_cause(read_as).disposition
    assert q850_cause(cause).name == ""


@pytest.mark.parametrize("cause", all_causes(), ids=lambda entry: str(entry.cause))
def test_every_cause_is_judged_with_the_words_of_the_record(cause: Q850Cause) -> None:
    assert disposition(cause.disposition).name == cause.disposition
    assert cause.fault in {"caller", "callee", "carrier", "us", "unknown"}
    assert cause.disposition_why.endswith(".")
    assert cause.fault_why.endswith(".")


def test_a_cause_that_stands_for_one_code_is_judged_as_that_code() -> None:
    by_code = {entry.code: entry.disposition for entry in all_codes() if not entry.variant}
    single = {cause: codes[0] for cause in range(128) if len(codes := candidates(cause)) == 1}
    differ = {cause for cause, code in single.items() if q850_cause(cause).disposition != by_code[code]}
    assert differ == {3, 18, 41}  # no contact, silence and temporary failure come without any code far more often


@pytest.mark.parametrize("cause", [-1, 128, 480])
def test_a_number_that_is_no_cause_is_refused(cause: int) -> None:
    for look_up in (q850_cause, q850_to_sip):
        with pytest.raises(ValueError, match=str(cause)):
            look_up(cause)


@pytest.mark.parametrize("row", facts("sip_to_q850_rfc3398"), ids=lambda row: row["sip_code"])
def test_every_row_of_rfc_3398_from_sip(row: dict[str, str]) -> None:
    code: int | str = {"*": 607}.get(row["sip_code"]) or number(row["sip_code"]) or row["sip_code"]
    found = sip_to_q850(code)
    assert found.cause == number(row["q850_cause"])
    assert (found.location, found.rfc4497, found.rfc4497_difference) == (
        row["cause_location"],
        row["rfc4497_cause"],
        row["rfc4497_difference"],
    )
    assert found.listed is (row["sip_code"] != "*")
    if found.listed:
        assert found.note == row["note"]
    if found.cause is not None:
        assert q850_cause(found.cause).name == (row["q850_name"])


@pytest.mark.parametrize("row", facts("q850_to_sip_rfc3398"), ids=lambda row: row["q850_cause"])
def test_every_row_of_rfc_3398_from_q850(row: dict[str, str]) -> None:
    found = q850_to_sip(number(row["q850_cause"]) or 96)
    assert found.code == number(row["sip_code"])
    assert (found.phrase, found.note) == (row["sip_phrase"], row["note"])
    assert (found.rfc4497, found.rfc4497_difference) == (row["rfc4497_sip"], row["rfc4497_difference"])
    assert found.listed is (row["q850_cause"] != "*")


@pytest.mark.parametrize("code", [100, 180, 200, 202])
def test_a_code_that_ends_nothing_has_no_cause(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        sip_to_q850(code)


def test_only_bye_and_cancel_are_mapped_among_the_requests() -> None:
    assert sip_to_q850("bye").cause == 16
    with pytest.raises(ValueError, match="REFER"):
        sip_to_q850("REFER")


@pytest.mark.parametrize("row", facts("asterisk_sip_to_cause"), ids=lambda row: row["sip_code"])
def test_asterisk_files_every_code_under_its_cause_in_every_release(row: dict[str, str]) -> None:
    code = int(row["sip_code"])
    for driver, version, cell in versions(row):
        assert asterisk_sip_to_cause(code, driver, version) == int(cell), (driver, version)
    assert q850_cause(asterisk_sip_to_cause(code)).asterisk_name == row["cause_now_name"]


@pytest.mark.parametrize("row", facts("asterisk_sip_to_cause"), ids=lambda row: row["sip_code"])
def test_the_rfc_beside_asterisk_is_as_the_table_has_it(row: dict[str, str]) -> None:
    rfc, cause = row["rfc3398_cause"], number(row["rfc3398_cause"])
    if not rfc:
        assert int(row["sip_code"]) < 300
    elif cause is not None:
        assert sip_to_q850(int(row["sip_code"])).cause == cause
        assert (row["vs_rfc3398"] == "same") is (cause == asterisk_sip_to_cause(int(row["sip_code"])))
    elif rfc.startswith("follow"):
        assert (sip_to_q850(int(row["sip_code"])).cause, sip_to_q850(int(row["sip_code"])).note) == (23, rfc)
    else:
        assert sip_to_q850(int(row["sip_code"])).cause is None


@pytest.mark.parametrize("row", facts("asterisk_cause_to_sip"), ids=lambda row: row["cause"])
def test_asterisk_sends_the_code_of_every_cause_in_every_release(row: dict[str, str]) -> None:
    cause = int(row["cause"])
    for driver, version, cell in versions(row):
        assert asterisk_cause_to_sip(cause, driver, version) == number(cell), (driver, version)
        assert code_sent_to_caller(cause, driver, version) == (number(cell) or 603)
    assert code_sent_to_caller(cause) == int(row["code_sent_on_unanswered_inbound_leg_now"])
    assert q850_cause(cause).asterisk_name == row["ast_cause_name"]
    if row["rfc3398_sip"]:
        assert q850_to_sip(cause).code == number(row["rfc3398_sip"])


def test_causes_that_no_table_names_have_no_code() -> None:
    listed = {int(row["cause"]) for row in facts("asterisk_cause_to_sip")}
    assert all(asterisk_cause_to_sip(cause) is None for cause in set(range(128)) - listed)


@pytest.mark.parametrize(
    "row", facts("observed_bleg_rejections_22.10.1"), ids=lambda row: row["code_received_on_B_leg"]
)
def test_the_mapping_is_what_a_real_22_10_1_did(row: dict[str, str]) -> None:
    cause = asterisk_sip_to_cause(int(row["code_received_on_B_leg"]), "pjsip", "22.10.1")
    assert cause == int(row["B_Hangup_Cause"])
    if row["A_final_response_sent"]:
        assert code_sent_to_caller(cause, "pjsip", "22.10.1") == number(row["A_final_response_sent"])


@pytest.mark.parametrize("row", facts("ambiguity"), ids=lambda row: row["cause"])
def test_candidates_are_all_the_codes_that_fall_on_a_cause(row: dict[str, str]) -> None:
    cause = int(row["cause"])
    columns = ("codes_by_explicit_rule", "codes_by_default_rule", "unregistered_codes_on_it")
    assert candidates(cause) == tuple(sorted({int(code) for column in columns for code in row[column].split()}))
    assert code_sent_to_caller(cause) == int(row["code_that_hangup_cause2sip_gives_back"])


def test_every_final_code_is_a_candidate_of_exactly_one_cause_in_every_release() -> None:
    finals = sorted({entry.code for entry in all_codes() if entry.code >= 300})
    for driver, version in (("pjsip", None), ("pjsip", "16.28.0"), ("sip", "16.28.0"), ("pjsip", "22.8-cert4")):
        found = [code for cause in range(128) for code in candidates(cause, version, driver)]
        assert sorted(found) == finals


def test_302_changed_its_cause_and_nothing_else_did() -> None:
    changed = {
        code for code in range(100, 700) if asterisk_sip_to_cause(code) != asterisk_sip_to_cause(code, version="22.8.0")
    }
    assert changed == {302}
    assert candidates(23, "22.8.0") == ()
    assert 302 in candidates(16, "22.8.0")


@pytest.mark.parametrize("driver", ["iax", "", "PJSIP"])
def test_a_driver_that_speaks_no_sip_is_refused(driver: str) -> None:
    with pytest.raises(ValueError, match="driver"):
        candidates(17, driver=driver)

"""A far end says no: which status the record shows, and how it says that it knows."""

from __future__ import annotations

import pytest

from asterisk_sip.calls.model import CallRecord, Grade, Outcome
from tests.ami_script import AmiScript
from tests.call_listener import only, record, records
from tests.catalog_facts import facts

ROWS = facts("observed_bleg_rejections_22.10.1")
"""Every final status that a trunk was made to send, and what Asterisk 22.10.1 told of it."""

REGISTERED_ON = {
    row["cause"]: {
        int(code) for name in ("codes_by_explicit_rule", "codes_by_default_rule") for code in row[name].split()
    }
    for row in facts("ambiguity")
}
UNREGISTERED = {450, 599, 687, 699}  # sent by the measuring peer only

BY_CODE = [pytest.param(row, id=row["code_received_on_B_leg"]) for row in ROWS]
REDIRECTS = ("300", "301", "302", "305", "380")
REJECTIONS = [pytest.param(row, id=code) for row in ROWS if (code := row["code_received_on_B_leg"]) not in REDIRECTS]


def rejected(row: dict[str, str], release: str, *, line: bool) -> CallRecord:
    """The record of a call whose only trunk answered as in ``row``."""
    script = AmiScript(release=release, line=line)
    caller = script.incoming(exten=row["code_received_on_B_leg"])
    trunk = script.dial(caller, "PJSIP/acme", f"{caller.exten}@acme")
    script.reject(
        trunk,
        row["B_HANGUPCAUSE_tech"].removeprefix("SIP "),
        cause=int(row["B_Hangup_Cause"]),
        dial_status=row["DialEnd_DialStatus"],
    )
    sent = row["A_Hangup_TechCause"]
    script.soft_hangup(caller)
    script.hangup(caller, int(row["A_Hangup_Cause"] or 16), int(sent) if sent else None)
    return record(script)


@pytest.mark.parametrize("release", ["16", "22"])
@pytest.mark.parametrize("row", BY_CODE)
def test_with_the_line_every_status_is_shown_as_it_came(row: dict[str, str], release: str) -> None:
    call = rejected(row, release, line=True)
    code = int(row["code_received_on_B_leg"])
    assert (call.sip.code, call.sip.phrase, call.evidence.grade) == (code, f"Custom Phrase {code}", Grade.WIRE)
    assert call.sip.class_ == code // 100
    assert call.sip.meaning
    assert only(call.attempts).sip == call.sip
    assert call.outcome is Outcome.FAILED
    assert not call.partial


@pytest.mark.parametrize("row", REJECTIONS)
def test_without_the_line_22_still_reports_the_code(row: dict[str, str]) -> None:
    call = rejected(row, "22", line=False)
    if row["code_received_on_B_leg"] == "503":  # Asterisk makes up the same for a refused connection
        assert call.evidence.grade is Grade.LOCAL
    else:
        assert (call.evidence.grade, call.evidence.source) == (Grade.REPORTED, "TechCause")
    assert call.sip.code == int(row["code_received_on_B_leg"])
    assert call.sip.phrase is None


@pytest.mark.parametrize("row", REJECTIONS)
def test_without_the_line_16_names_the_codes_that_are_possible_and_claims_none(row: dict[str, str]) -> None:
    call = rejected(row, "16", line=False)
    assert (call.sip.code, call.sip.phrase, call.sip.meaning) == (None, None, None)
    assert call.evidence.grade is Grade.CANDIDATES
    possible = REGISTERED_ON[row["B_Hangup_Cause"]]
    assert set(call.sip.candidates or ()) >= possible
    assert int(row["code_received_on_B_leg"]) in {*(call.sip.candidates or ()), *UNREGISTERED}
    of_other_causes = set().union(*(codes for cause, codes in REGISTERED_ON.items() if cause != row["B_Hangup_Cause"]))
    assert not set(call.sip.candidates or ()) & (of_other_causes - possible)


def test_a_code_that_stands_alone_on_its_cause_is_still_only_a_candidate() -> None:
    [row] = [row for row in ROWS if row["code_received_on_B_leg"] == "410"]
    call = rejected(row, "16", line=False)
    assert call.sip.code is None
    assert call.sip.candidates == (410,)


@pytest.mark.parametrize("row", REJECTIONS)
def test_what_the_caller_was_sent_is_never_taken_for_what_the_carrier_said(row: dict[str, str]) -> None:
    told = rejected(row, "22", line=True)
    [attempt] = told.attempts
    assert told.q850 == attempt.q850
    assert told.q850.cause == int(row["B_Hangup_Cause"])
    assert all(finding.grade is not Grade.SENT for finding in told.evidence.losers)


@pytest.mark.parametrize(
    "phrase",
    [
        'it\'s "ok"? \\n',
        "Занято ☎",
        "a=b=c, {HANGUPCAUSE(x,tech)}",
        ")})})=SIP 200 OK",
        "${SHELL(id)}",
        "",
        "tab\there",
        "x" * 2000,
    ],
)
@pytest.mark.parametrize("release", ["16", "22"])
def test_a_phrase_is_told_to_the_letter(phrase: str, release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), f"486 {phrase}")
    script.hangup(caller, 17)
    assert record(script).sip.phrase == phrase


@pytest.mark.parametrize(("rings", "disposition"), [(True, "no_answer"), (False, "unknown")])
def test_a_487_that_nobody_here_asked_for_is_not_put_on_the_caller(*, rings: bool, disposition: str) -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    if rings:
        script.ring(trunk)
    script.reject(trunk, "487 Request Terminated")
    script.hangup(caller, 127, 500)
    call = record(script)
    assert (call.outcome, call.disposition, call.sip.code) == (Outcome.FAILED, disposition, 487)
    assert call.released_by != "caller"
    assert call.fault.side != "caller"


def test_603_network_blocked_is_told_apart_from_603_decline() -> None:
    dispositions = []
    for status in ("603 Decline", "603 Network Blocked"):
        script = AmiScript()
        caller = script.incoming()
        script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), status)
        script.hangup(caller, 21, 403)
        dispositions.append(record(script).disposition)
    assert dispositions == ["rejected", "blocked"]


def test_a_reason_header_that_changes_the_cause_does_not_change_the_status() -> None:
    script = AmiScript(release="16")  # there a Reason header replaces the cause
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "486 Busy Here", cause=31)
    script.hangup(caller, 31)
    call = record(script)
    assert (call.sip.code, call.disposition, call.q850.cause) == (486, "busy", 31)


def test_a_refusal_of_a_trunk_that_answered_lately_is_believed_without_the_line() -> None:
    script = AmiScript(line=False)
    first = script.incoming()
    script.reject(script.dial(first, "PJSIP/acme", "486@acme"), "486 Busy Here")
    script.hangup(first, 17, 486)
    second = script.incoming()
    script.reject(script.dial(second, "PJSIP/acme", "503@acme"), "503 Service Unavailable")
    script.hangup(second, 34, 503)
    _, call = records(script.stream())
    assert (call.sip.code, call.evidence.grade, call.disposition) == (503, Grade.REPORTED, "congestion")


def test_a_final_status_after_ringing_is_believed_without_the_line() -> None:
    for code, status in ((408, "408 Request Timeout"), (503, "503 Service Unavailable")):
        script = AmiScript(line=False)
        caller = script.incoming()
        trunk = script.dial(caller, "PJSIP/acme", "1@acme")
        script.ring(trunk)
        script.wait(40)
        script.reject(trunk, status)
        script.hangup(caller)
        call = record(script)
        assert (call.sip.code, call.evidence.grade) == (code, Grade.REPORTED)


def test_chan_sip_is_understood_by_the_same_line() -> None:
    script = AmiScript(release="16")
    caller = script.incoming("SIP/caller")
    script.reject(script.dial(caller, "SIP/acme", "603@acme"), "603 Decline", cause=21, dial_status="BUSY")
    script.hangup(caller, 17)
    call = record(script)
    assert (call.sip.code, call.sip.phrase, call.evidence.grade) == (603, "Decline", Grade.WIRE)
    assert only(call.attempts).trunk == "acme"


@pytest.mark.parametrize(("cause", "dial_status"), [(17, "BUSY"), (34, "CONGESTION"), (21, "NOANSWER")])
def test_a_number_that_is_no_sip_code_is_not_read_as_one(cause: int, dial_status: str) -> None:
    script = AmiScript()
    caller = script.incoming()
    socket = script.dial(caller, "WebSocket/media", "media")
    script.hangup_request(socket, cause, 1006)  # chan_websocket puts its own close codes there
    script.dial_end(socket, dial_status)
    script.hangup(socket, cause, 1006)
    script.hangup(caller, cause)
    call = record(script)
    assert call.sip.code is None
    assert call.evidence.grade is Grade.NONE


@pytest.mark.parametrize("peer", ["IAX2/office", "DAHDI/1-1", "Dongle/gsm0"])
def test_what_is_no_sip_has_a_cause_and_no_sip_status(peer: str) -> None:
    script = AmiScript()
    caller = script.incoming()
    line = script.dial(caller, peer, peer.partition("/")[2] + "/5551234")
    script.hangup_request(line, 17)
    script.dial_end(line, "BUSY")
    script.hangup(line, 17)
    script.hangup(caller, 17, 486)
    call = record(script)
    assert call.sip.code is None
    assert call.sip.candidates is None
    assert call.evidence.grade is Grade.NONE
    assert (call.outcome, call.disposition, call.q850.cause) == (Outcome.FAILED, "busy", 17)

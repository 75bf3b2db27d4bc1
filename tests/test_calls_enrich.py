"""Who called whom from where: what a record says beyond the status."""

from __future__ import annotations

import pytest

from tests.ami_script import EPOCH, STEP_S, AmiScript
from tests.call_listener import Listener, only, record


@pytest.mark.parametrize(
    ("comes_by", "leaves_by", "direction"),
    [
        ("PJSIP/2001", "PJSIP/acme", "outbound"),
        ("PJSIP/acme", "PJSIP/2001", "inbound"),
        ("PJSIP/acme", "PJSIP/acme", "inbound"),
        ("PJSIP/2001", "PJSIP/2002", "internal"),
    ],
)
def test_the_direction_of_a_call_is_told_by_its_trunks(comes_by: str, leaves_by: str, direction: str) -> None:
    script = AmiScript()
    caller = script.incoming(comes_by)
    script.reject(script.dial(caller, leaves_by, "x"), "486 Busy Here")
    script.hangup(caller)
    call = record(script)
    assert call.direction == direction
    assert only(call.attempts).trunk == ("acme" if leaves_by == "PJSIP/acme" else None)


def test_a_record_says_who_called_what_from_where() -> None:
    script = AmiScript()
    caller = script.incoming(
        "PJSIP/2001", exten="0891234", context="office", number="2001", caller_name='Jo "Q" O\'Hara?', account="sales"
    )
    script.reject(script.dial(caller, "PJSIP/acme", "acme/sip:+49891234@host"), "486 Busy Here")
    script.hangup(caller)
    call = record(script)
    assert (call.caller.number, call.caller.name, call.caller.endpoint) == ("2001", 'Jo "Q" O\'Hara?', "2001")
    assert (call.dialled, call.context, call.exten, call.account) == ("0891234", "office", "0891234", "sales")
    assert only(call.attempts).dialled == "+49891234"
    assert call.asterisk_version == "22.10.1"


@pytest.mark.parametrize(
    ("peer", "dial_string", "number"),
    [
        ("PJSIP/acme", "608@acme", "608"),
        ("PJSIP/acme", "acme/sip:608@10.0.0.1:5061", "608"),
        ("SIP/acme", "acme/608", "608"),
        ("SIP/acme", "608:secret:user@acme", "608"),
        ("IAX2/office", "us:secret@office/608", "608"),
        ("DAHDI/1-1", "g1/608", "608"),
        ("Local/608@internal", "608@internal/n", "608"),
        ("PJSIP/2001", "2001", None),
    ],
)
def test_the_number_in_a_dial_string(peer: str, dial_string: str, number: str | None) -> None:
    script = AmiScript()
    caller = script.incoming()
    script.reject(script.dial(caller, peer, dial_string), "486 Busy Here")
    script.hangup(caller)
    assert only(record(script).attempts).dialled == number


def test_without_trunks_in_the_config_no_direction_is_claimed() -> None:
    script = AmiScript()
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "486 Busy Here")
    script.hangup(caller)
    [call] = Listener(trunks=()).hear(script.stream())
    assert call.direction is None
    assert only(call.attempts).trunk is None


def test_the_h_extension_is_not_where_the_call_was() -> None:
    script = AmiScript()
    caller = script.incoming(exten="100")
    caller.exten = "200"
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "486 Busy Here")
    caller.exten = "h"
    script.hangup(caller)
    call = record(script)
    assert (call.dialled, call.exten) == ("100", "200")


def test_a_code_that_asterisk_made_up_does_not_speak_for_the_far_end() -> None:
    told = []
    for received in (True, False):
        script = AmiScript()
        caller = script.incoming()
        trunk = script.dial(caller, "PJSIP/acme", "1@acme")
        script.wait(32)
        if received:
            script.reject(trunk, "408 Request Timeout")
        else:
            script.fail_locally(trunk, 18, 408)
        script.hangup(caller, 18, 408)
        told.append(record(script))
    there, here = told
    assert there.sip.code == here.sip.code == 408
    assert there.sip.meaning != here.sip.meaning
    assert there.fault.reason != here.fault.reason
    assert there.hint != here.hint


def test_a_failed_call_says_what_to_do_and_an_answered_one_does_not() -> None:
    for status in ("486 Busy Here", "608 Rejected", "200 OK"):
        script = AmiScript()
        caller = script.incoming()
        trunk = script.dial(caller, "PJSIP/acme", "1@acme")
        if status.startswith("200"):
            script.answer(trunk)
            script.hangup(trunk)
        else:
            script.reject(trunk, status)
        script.hangup(caller)
        call = record(script)
        assert bool(call.hint) == (call.disposition != "answered")


@pytest.mark.parametrize("peer", ["IAX2/office", "DAHDI/1-1", "Local/x@y"])
def test_no_sip_status_was_sent_to_a_caller_that_is_no_sip(peer: str) -> None:
    script = AmiScript()
    caller = script.incoming(peer)
    script.hangup(caller, 17)
    call = record(script)
    assert (call.sip.code, call.disposition) == (None, "pbx_refused")


def test_a_merged_call_began_with_its_first_leg_and_knows_who_hung_up() -> None:
    script = AmiScript()
    older = script.incoming("PJSIP/2001")
    younger = script.incoming("PJSIP/2002")
    phone = script.dial(older, "PJSIP/2003", "2003")
    script.answer(phone)
    script.hangup_request(phone)
    older.linkedid = phone.linkedid = younger.linkedid
    script.bridge(older, phone, younger)
    script.hangup(phone)
    script.hangup(older)
    script.hangup(younger)
    call = record(script)
    assert call.linkedid == younger.linkedid
    assert call.started_at is not None
    assert call.started_at.timestamp() == pytest.approx(EPOCH + STEP_S)
    assert call.released_by == "callee"

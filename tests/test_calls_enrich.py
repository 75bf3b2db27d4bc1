"""Who called whom from where: what a record says beyond the status."""

from __future__ import annotations

import pytest

from tests.ami_script import AmiScript
from tests.call_listener import only, record


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

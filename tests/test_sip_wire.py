"""SIP messages: what is read of them, however they are written, and that no message does harm."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.calls.sip_seen import Party
from asterisk_sip.sources import sip_wire
from tests.hep_packets import request, response


def test_a_request_is_read() -> None:
    found = sip_wire.parse(request("INVITE", "608", "a1", "User-Agent: Asterisk PBX 22.10.1", "Authorization: Digest"))
    assert (found.method, found.user, found.status, found.call_id, found.cseq) == ("INVITE", "608", None, "a1", 1)
    assert found.sender == Party("5550100", "caller.example", "Anna", "from1")
    assert found.target == Party("608", "carrier.example", None, None)
    assert (found.branch, found.agent, found.authorized) == ("z9hG4bK1", "Asterisk PBX 22.10.1", True)
    assert found.line == "INVITE sip:608@carrier.example"


def test_a_response_is_read_with_all_it_says_of_the_reason() -> None:
    found = sip_wire.parse(
        response(
            603,
            "Network Blocked",
            "a1",
            'Reason: Q.850;cause=21;text="v=analytics1, really; url=https://x.example", SIP;cause=603',
            'Reason: SIP ; cause = 200 ; text="Call completed elsewhere"',
            'Warning: 399 acme "no route, sorry", 307 acme "\\"x\\""',
            "Retry-After: 120 (in a meeting);duration=3600",
            "Call-Info: <https://blocker.example/card,1>;purpose=jwscard",
            "Server: box",
        )
    )
    assert (found.method, found.status, found.phrase, found.line) == (
        "INVITE",
        603,
        "Network Blocked",
        "603 Network Blocked",
    )
    assert found.reasons == (
        'Q.850;cause=21;text="v=analytics1, really; url=https://x.example"',
        "SIP;cause=603",
        'SIP ; cause = 200 ; text="Call completed elsewhere"',
    )
    assert found.warnings == ('399 acme "no route, sorry"', '307 acme "\\"x\\""')
    assert found.retry_after_s == 120
    assert found.call_info == ("<https://blocker.example/card,1>;purpose=jwscard",)
    assert found.agent == "box"


def test_short_names_folded_lines_bare_line_feeds_and_no_end() -> None:
    found = sip_wire.parse(
        b"\r\n\r\nSIP/2.0 302 Moved\nv: SIP/2.0/UDP h;branch=z1, SIP/2.0/UDP i;branch=z2\nI:\ta2 \nCSEQ: 7  INVITE\n"
        b'f: Anna Smith <sip:1%32;x=y:secret@h:5060>;tag="t1"\nt: sip:9@[2001:db8::1]:5060;tag=t2\n'
        b'm: <sip:2@h>;q=1,\n <sip:3@h>\nReason: Q.850\n\t;cause=16;text="two\n  lines"'
    )
    assert (found.call_id, found.cseq, found.branch) == ("a2", 7, "z1")
    assert found.sender == Party("12", "h", "Anna Smith", "t1")
    assert found.target == Party("9", "2001:db8::1", None, "t2")
    assert found.contacts == ("<sip:2@h>;q=1", "<sip:3@h>")
    assert found.reasons == ('Q.850 ;cause=16;text="two lines"',)


def test_the_body_is_not_read() -> None:
    assert sip_wire.parse(response(486) + b"Reason: SIP;cause=1\r\n").reasons == ()


@pytest.mark.parametrize("phrase", ["", "  Busy   Here  ", "Занято 🚫", 'Busy "very" = \\"busy\\"', "L" * 5000, "a\tb"])
def test_a_phrase_is_kept_to_the_letter(phrase: str) -> None:
    assert sip_wire.parse(response(486, phrase)).phrase == phrase


def test_text_that_is_no_utf8_is_escaped_as_the_other_doors_do_it() -> None:
    data = response(486, "PHRASE").replace(b"PHRASE", b"Occup\xe9")
    assert sip_wire.parse(data).phrase == "Occup\\xe9"


def test_the_asserted_caller_is_read_before_the_remote_party() -> None:
    asserted = ("P-Asserted-Identity: <tel:+4930123>", 'Remote-Party-ID: "B" <sip:2@h>;party=calling')
    assert sip_wire.parse(request("INVITE", "608", "a1", *asserted)).asserted == Party("+4930123")
    assert sip_wire.parse(request("INVITE", "608", "a1", asserted[1])).asserted == Party("2", "h", "B")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"hello",
        b"INVITE sip:1@h HTTP/1.1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n",
        b"SIP/2.0 799 No\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n",
        request().replace(b"Call-ID: a1\r\n", b""),
        request().replace(b"CSeq: 1", b"CSeq: x"),
        request(call_id="x" * 600),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(sip_wire.MessageError):
        sip_wire.parse(data)


def test_many_headers_and_values_are_bounded() -> None:
    found = sip_wire.parse(request("INVITE", "1", "a1", *(["Reason: SIP;cause=1,Q.850;cause=2"] * 5000)))
    assert len(found.reasons) == sip_wire.MAX_VALUES
    assert found.cut
    assert len(sip_wire.parse(request("INVITE", "1", "a1", "Reason: " + "x" * 60_000)).reasons[0]) == sip_wire.MAX_VALUE


@pytest.mark.parametrize("hostile", ['"', "\\", '"\\', "<", "(", ",", ";", '"a', "a,", "tag=;", " \t", "\n "])
def test_no_text_takes_long_to_read(hostile: str) -> None:
    text = hostile * (60_000 // len(hostile))
    began = time.process_time()
    for name in ("Reason", "From", "To", "Via", "Contact", "CSeq", "Retry-After"):
        try:
            sip_wire.parse(f"SIP/2.0 486 {text}\r\n{name}: {text}\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n".encode())
        except sip_wire.MessageError:
            continue
    assert time.process_time() - began < 5  # quadratic ones take minutes


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(noise: bytes) -> None:
    for data in (noise, response(486)[:120] + noise, request()[:90] + noise + request()[90:]):
        try:
            sip_wire.parse(data)
        except sip_wire.MessageError:
            continue

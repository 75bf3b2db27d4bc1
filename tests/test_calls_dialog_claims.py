"""What a leg learns from its dialog, whatever the order in which Asterisk told of it."""

from __future__ import annotations

from asterisk_sip.calls import enrich
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.own_address import Addresses
from asterisk_sip.calls.switchboard import Switchboard
from tests.hep_packets import CALLER, CARRIER, PBX, request, response, seen

A = ev.Channel("PJSIP/alice-00000001", "1.1", "1.1", caller_number="5550100", exten="608")
B = ev.Channel("PJSIP/bob-00000002", "1.2", "1.1")


def record(*events: ev.Event) -> CallRecord:
    """The record of one call, told by AMI and HEP."""
    board = Switchboard(settle_s=0.25, addresses=Addresses(("192.0.2.10",)))
    calls = [call for event in events for call in board.feed(event, 0.0)] + board.due(1.0)
    [call] = calls
    return enrich.record(call, Surroundings("pbx1"))


def test_a_caller_whom_asterisk_refused_did_not_give_up() -> None:
    """Asterisk 16.28 under load: HangupRequest first, then the state Busy."""
    told = record(
        seen(1.0, request(call_id="in"), CALLER, PBX),
        seen(1.1, response(100, "Trying", "in"), PBX, CALLER),
        ev.ChannelBegan(1.1, A),
        seen(1.2, response(503, "Service Unavailable", "in", "Reason: Q.850;cause=34"), PBX, CALLER),
        ev.HangupRequested(1.2, A, None, None),
        ev.ChannelSeen(1.2, A._replace(refused=True)),
        ev.HungUp(1.21, A, 34, "Circuit/channel congestion", None),
    )
    assert (told.outcome, told.disposition, told.released_by) == ("failed", "pbx_refused", "pbx")
    assert (told.sip.code, told.sip.phrase, told.evidence.source) == (503, "Service Unavailable", "HEP")
    assert told.sip_call_id == "in"
    assert [(line.direction, line.line.split()[0]) for line in told.ladder or ()] == [
        ("received", "INVITE"),
        ("sent", "100"),
        ("sent", "503"),
    ]


def test_a_caller_who_cancels_gave_up() -> None:
    told = record(
        seen(1.0, request(call_id="in"), CALLER, PBX),
        seen(1.1, response(100, "Trying", "in"), PBX, CALLER),
        ev.ChannelBegan(1.1, A),
        seen(1.2, request("CANCEL", call_id="in"), CALLER, PBX),
        seen(1.2, response(487, "Request Terminated", "in"), PBX, CALLER),
        ev.HangupRequested(1.2, A, None, None),
        ev.HungUp(1.21, A, 127, "Interworking, unspecified", None),
    )
    assert (told.outcome, told.disposition, told.sip.code) == ("abandoned", "cancelled", 487)
    assert [line.line.split()[0] for line in told.ladder or ()] == ["INVITE", "100", "CANCEL", "487"]


def test_a_device_with_any_name_in_its_contact_is_found_by_its_caller() -> None:
    told = record(
        ev.ChannelBegan(1.0, A),
        ev.ChannelBegan(1.1, B),
        ev.DialBegan(1.1, A, B, "bob"),
        seen(1.12, request("INVITE", "x7f3", "out", tag="x1")),
        seen(1.2, response(180, "Ringing", "out", "Reason: SIP;cause=180", tag="x1"), CARRIER, PBX),
        seen(2.0, response(486, "Busy Here", "out", 'Reason: SIP;cause=486;text="DND"', tag="x1"), CARRIER, PBX),
        ev.HangupRequested(2.0, B, 17, None),
        ev.DialEnded(2.0, B, "BUSY", None),
        ev.HungUp(2.0, B, 17, "User busy", None),
        ev.HungUp(2.1, A, 17, "User busy", None),
    )
    [attempt] = told.attempts
    assert (attempt.sip.code, attempt.evidence.source, attempt.sip_call_id) == (486, "HEP", "out")
    assert (attempt.remote_reason, attempt.early_reason) == (('SIP;cause=486;text="DND"',), ("SIP;cause=180",))
    assert (attempt.pdd_ms, attempt.ring_ms) == (80, 800)

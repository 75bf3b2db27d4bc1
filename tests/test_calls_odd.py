"""Streams that are not as they should be: events missing, doubled, late, out of order; calls that merge or vanish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import Grade, Outcome, call_id, to_json
from asterisk_sip.sources.recording import Replay
from tests.ami_messages import message
from tests.ami_script import AmiScript, Chan
from tests.call_listener import TRUNKS, Listener, only, record, records


def rejection(script: AmiScript, status: str = "608 Rejected") -> tuple[Chan, Chan]:
    """A call whose only trunk says no, up to where both legs hang up."""
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.reject(trunk, status)
    return caller, trunk


# Order


def test_it_does_not_matter_which_leg_hangs_up_first() -> None:
    told = []
    for caller_first in (True, False):
        script = AmiScript()
        caller = script.incoming()
        trunk = script.dial(caller, "PJSIP/acme", "1@acme")
        script.hangup_request(trunk, 127, 608)
        trunk.status = "608 Rejected"
        script.dial_end(trunk, "NOANSWER")
        for leg, tech_cause in sorted(((caller, 500), (trunk, 608)), reverse=caller_first, key=lambda leg: leg[1]):
            script.hangup(leg, 127, tech_cause)
        call = record(script)
        told.append((call.outcome, call.sip, call.evidence, call.disposition, call.released_by, call.partial))
    assert told[0] == told[1]
    assert told[0][1].code == 608


@pytest.mark.parametrize("line", [True, False], ids=["line", "no line"])
def test_a_hangup_request_may_come_before_the_dialling_it_ends(*, line: bool) -> None:
    script = AmiScript(line=line)
    caller = script.incoming()
    trunk = script.channel("PJSIP/acme", caller.linkedid)
    script.hangup_request(trunk, 127, 608)
    script.dial_begin(caller, trunk, "1@acme")
    trunk.status = "608 Rejected"
    script.dial_end(trunk, "NOANSWER")
    script.hangup(trunk, 127, 608)
    script.hangup(caller, 127, 500)
    call = record(script)
    assert (call.sip.code, call.evidence.grade) == (608, Grade.WIRE if line else Grade.REPORTED)


@pytest.mark.parametrize("line", [True, False], ids=["line", "no line"])
def test_that_the_caller_left_may_be_told_behind_what_it_caused(*, line: bool) -> None:
    script = AmiScript(line=line)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.ring(trunk)
    before = len(script.events)
    script.cancel(caller, trunk)
    request = script.events.pop(before)
    script.events.insert(before + 2, request)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.ABANDONED, "cancelled", "caller")


# Events that never came


@pytest.mark.parametrize("missing", ["Newchannel", "DialBegin", "DialEnd", "HangupRequest"])
def test_with_the_line_one_missing_event_does_not_hide_the_status(missing: str) -> None:
    script = AmiScript()
    caller, trunk = rejection(script)
    script.hangup(caller, 127, 500)
    of_trunk = f"\r\nUniqueid: {trunk.uniqueid}\r\n".encode(), f"DestUniqueid: {trunk.uniqueid}\r\n".encode()
    script.events = [
        event
        for event in script.events
        if not (event.startswith(f"Event: {missing}\r\n".encode()) and any(mark in event for mark in of_trunk))
    ]
    call = record(script)
    assert (call.outcome, call.sip.code, call.sip.phrase) == (Outcome.FAILED, 608, "Rejected")
    assert only(call.attempts).uniqueid == trunk.uniqueid
    assert call.partial == (missing in ("Newchannel", "DialBegin"))


def test_without_the_line_a_missing_dial_begin_does_not_hide_the_status() -> None:
    script = AmiScript(line=False)
    caller = script.incoming()
    trunk = script.channel("PJSIP/acme", caller.linkedid)
    with script.unseen():
        script.dial_begin(caller, trunk, "1@acme")
    script.reject(trunk, "608 Rejected")
    script.hangup(caller, 127, 500)
    call = record(script)
    assert (call.sip.code, call.evidence.grade, call.partial) == (608, Grade.REPORTED, True)
    assert only(call.attempts).pdd_ms is None


def test_a_call_that_began_before_we_listened_is_partial_and_still_tells_its_status() -> None:
    script = AmiScript()
    with script.unseen():
        caller = script.incoming()
        trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.list_channels(caller, trunk)  # asked for at every login
    script.reject(trunk, "608 Rejected")
    script.hangup(caller, 127, 500)
    call = record(script)
    assert (call.outcome, call.sip.code, call.partial) == (Outcome.FAILED, 608, True)


def test_a_call_of_which_only_the_end_was_seen_is_partial() -> None:
    script = AmiScript()
    with script.unseen():
        caller = script.incoming()
    script.hangup(caller)
    assert record(script).partial


def test_a_call_whose_beginning_was_seen_is_not_partial() -> None:
    script = AmiScript()
    caller, _ = rejection(script)
    script.hangup(caller, 127, 500)
    assert not record(script).partial


def test_an_event_without_a_uniqueid_touches_nothing() -> None:
    script = AmiScript()
    caller, _ = rejection(script)
    nobody = Chan("PJSIP/ghost-1", "", "")
    script.tell("Newchannel", nobody)
    script.tell("Newstate", nobody)
    script.dial_begin(nobody, nobody, "x")
    script.dial_end(nobody, "BUSY")
    script.rename(nobody, "PJSIP/ghost-2")
    script.hangup_request(nobody)
    script.hangup(nobody)
    script.hangup(caller, 127, 500)
    listener = Listener()
    [call] = listener.hear(script.stream())
    assert (call.sip.code, len(call.attempts), call.partial) == (608, 1, False)
    assert len(listener.correlator) == 0


def without(script: AmiScript, *names: str) -> AmiScript:
    kept = [
        event for event in script.events if event.partition(b"\r\n")[0].decode().removeprefix("Event: ") not in names
    ]
    script.events = kept
    return script


DIALS = ("DialBegin", "DialState", "DialEnd")


@pytest.mark.parametrize("missing", [DIALS, DIALS[:1]])
def test_with_no_event_of_dialling_a_rescue_is_still_one(missing: tuple[str, ...]) -> None:
    script = AmiScript()
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "503 Service Unavailable")
    second = script.dial(caller, "PJSIP/globex", "1@globex")
    script.ring(second)
    script.answer(second)
    script.hangup_request(second)
    script.hangup(second)
    script.hangup(caller)
    call = record(without(script, *missing))
    assert (call.outcome, call.sip.code, call.partial, call.released_by) == (Outcome.RESCUED, 200, True, "callee")
    assert [(each.stage, each.endpoint, each.sip.code) for each in call.attempts] == [
        (1, "acme", 503),
        (2, "globex", 200),
    ]


@pytest.mark.parametrize("missing", [DIALS, DIALS[:1]])
def test_legs_that_lived_side_by_side_are_one_stage_though_nobody_told_of_their_dialling(
    missing: tuple[str, ...],
) -> None:
    script = AmiScript()
    caller = script.incoming()
    busy, answers, rings = (script.dial(caller, f"PJSIP/{name}", name) for name in ("2001", "2002", "2003"))
    script.ring(busy, answers, rings)
    script.reject(busy, "486 Busy Here")
    script.answer(answers)
    script.dial_end(rings, "CANCEL")
    script.hangup(rings, 26)
    script.hangup(answers)
    script.hangup(caller)
    call = record(without(script, *missing))
    told = {each.endpoint: (each.stage, each.disposition) for each in call.attempts}
    assert call.outcome is Outcome.ANSWERED
    assert told == {"2001": (1, "busy"), "2002": (1, "answered"), "2003": (1, "answered_elsewhere")}


def test_a_caller_whose_reinvite_was_answered_is_no_attempt() -> None:
    """Asterisk keeps the status of the last response on the caller's own channel, too (direct media, 22.10.1)."""
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.answer(trunk)
    caller.status = "200 OK"
    script.hangup_request(caller)
    script.hangup(trunk)
    script.hangup(caller)
    assert only(record(script).attempts).endpoint == "acme"


def test_an_end_of_dialling_that_is_told_before_its_beginning_is_one_attempt() -> None:
    script = AmiScript()
    caller, trunk = rejection(script)
    script.hangup(caller, 127, 500)
    begin, end = (next(n for n, each in enumerate(script.events) if each.startswith(name)) for name in (BEGIN, END))
    script.events[begin], script.events[end] = script.events[end], script.events[begin]
    call = record(script)
    attempt = only(call.attempts)
    assert (attempt.uniqueid, attempt.dialled, attempt.sip.code) == (trunk.uniqueid, "1", 608)


BEGIN, END = b"Event: DialBegin", b"Event: DialEnd"


# Events that came twice, or too late


def test_events_that_come_after_the_call_ended_open_no_other() -> None:
    script = AmiScript()
    caller, trunk = rejection(script)
    script.hangup(caller, 127, 500)
    script.dial_end(trunk, "BUSY")
    script.hangup_request(caller)
    script.hangup(trunk, 17, 486)
    script.hangup(caller, 16)
    listener = Listener()
    [call] = listener.hear(script.stream())
    assert call.sip.code == 608
    assert len(listener.correlator) == 0
    assert listener.correlator.late_events == 4


def test_a_linkedid_that_comes_again_is_another_call() -> None:
    script = AmiScript()
    caller, _ = rejection(script)
    script.hangup(caller, 127, 500)
    again = script.channel("PJSIP/caller", linkedid=caller.linkedid)
    script.hangup(again)
    first, second = records(script.stream())
    assert first.linkedid == second.linkedid
    assert first.id != second.id
    assert (first.id, second.id) == (call_id("pbx", caller.linkedid), call_id("pbx", caller.linkedid, 1))


def test_a_dial_across_two_linkedids_makes_them_one_call() -> None:
    """No Asterisk was seen to say so; found by mutated events, of which none may end the daemon."""
    script = AmiScript()
    caller, other = script.incoming(), script.incoming("PJSIP/2002")
    trunk = script.channel("PJSIP/acme", other.linkedid)
    script.dial_begin(caller, trunk, "1@acme")
    script.reject(trunk, "486 Busy Here")
    script.hangup(other, 17)
    script.hangup(caller, 16)
    call = record(script)
    assert (call.linkedid, [attempt.sip.code for attempt in call.attempts]) == (caller.linkedid, [486])


# Calls that become one


def transferred(script: AmiScript) -> tuple[Chan, Chan]:
    """Two calls, of which the second is bridged into the first: its channels take the first's linkedid."""
    one, two = script.incoming("PJSIP/2001"), script.incoming("PJSIP/2002")
    script.reject(script.dial(one, "PJSIP/acme", "1@acme"), "503 Service Unavailable")
    script.reject(script.dial(two, "PJSIP/globex", "2@globex"), "486 Busy Here")
    two.linkedid = one.linkedid
    script.bridge(two)
    return one, two


def test_two_calls_that_merge_are_one_record_with_both_their_attempts() -> None:
    script = AmiScript()
    one, two = transferred(script)
    script.hangup(one)
    script.hangup(two)
    call = record(script)
    assert call.linkedid == one.linkedid
    assert [(attempt.seq, attempt.stage, attempt.sip.code) for attempt in call.attempts] == [(1, 1, 503), (2, 2, 486)]


def test_of_merged_calls_the_gaps_stay_known_and_the_memory_does_not_grow() -> None:
    script = AmiScript()
    listener = Listener()
    listener.hear(script.greeting())
    one, two = script.incoming("PJSIP/2001"), script.incoming("PJSIP/2002")
    ended = script.dial(two, "PJSIP/globex", "2@globex")
    script.reject(ended, "486 Busy Here")
    listener.hear(b"".join(script.events))
    listener.correlator.mark_gap("gap-1")
    script.events.clear()
    two.linkedid = one.linkedid
    script.bridge(two)
    script.hangup(ended, 17, 486)  # once more, after the merge
    script.hangup(one)
    script.hangup(two)
    [call] = listener.hear(b"".join(script.events))
    assert (call.gap_ids, call.partial) == (("gap-1",), True)
    assert len(listener.correlator) == 0
    assert not listener.correlator._call_of


def test_a_call_that_takes_the_linkedid_of_an_ended_one_is_not_mistaken_for_it() -> None:
    script = AmiScript()
    one, two = script.incoming("PJSIP/2001"), script.incoming("PJSIP/2002")
    script.hangup(one)
    two.linkedid = one.linkedid
    script.hangup(two)
    first, second = records(script.stream())
    assert first.linkedid == second.linkedid
    assert first.id != second.id


def test_a_renamed_channel_is_known_by_its_new_name() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/globex", "1@globex")
    script.rename(trunk, "PJSIP/acme-0000beef")
    script.reject(trunk, "486 Busy Here")
    script.hangup(caller)
    attempt = only(record(script).attempts)
    assert (attempt.endpoint, attempt.channel) == ("acme", "PJSIP/acme-0000beef")


def test_a_new_name_is_kept_when_no_other_event_tells_it() -> None:
    script = AmiScript()
    trunk = script.dial(script.incoming(), "PJSIP/globex", "1@globex")
    script.rename(trunk, "PJSIP/acme-0000beef")
    script.shut_down()
    assert only(record(script).attempts).channel == "PJSIP/acme-0000beef"


# Outages of Asterisk and of ours


def test_after_a_gap_what_is_no_longer_listed_ended_unseen() -> None:
    script = AmiScript()
    script.incoming("PJSIP/2001")
    stays = script.incoming("PJSIP/2002")
    trunk = script.dial(stays, "PJSIP/acme", "1@acme")
    with script.unseen():
        stranger = script.incoming("PJSIP/2003")
    script.list_channels(stays, trunk, stranger)
    listener = Listener()
    [vanished] = listener.hear(script.stream())
    assert (vanished.caller.endpoint, vanished.partial) == ("2001", True)
    assert len(listener.correlator) == 2
    script.events.clear()
    script.reject(trunk, "608 Rejected")
    script.hangup(stays, 127, 500)
    script.hangup(stranger)
    survivor, late = listener.hear(b"".join(script.events))
    assert (survivor.sip.code, survivor.partial) == (608, False)
    assert (late.caller.endpoint, late.partial) == ("2003", True)


def test_a_channel_that_begins_while_the_list_is_on_its_way_is_not_taken_for_ended() -> None:
    script = AmiScript()
    old = script.incoming()
    asked = len(script.events)
    young = script.incoming()
    script.dial(young, "PJSIP/acme", "1")
    begun = message(("Response", "Success"), EventList="start", Message="Channels will follow")
    row = message(("Event", "CoreShowChannel"), Channel=old.name, Uniqueid=old.uniqueid, Linkedid=old.linkedid)
    complete = message(("Event", "CoreShowChannelsComplete"), ListItems="1")
    listener = Listener()
    events = [*script.events[:asked], begun, *script.events[asked:], row, complete]
    assert listener.hear(script.greeting() + b"".join(events)) == []
    assert len(listener.correlator) == 2
    assert len(listener.hear(begun + complete)) == 2


def test_a_leg_that_ended_unseen_makes_its_call_partial() -> None:
    script = AmiScript()
    caller = script.incoming()
    script.dial(caller, "PJSIP/acme", "1@acme")
    script.list_channels(caller)
    script.hangup(caller, 16)
    call = record(script)
    assert call.partial
    assert only(call.attempts).sip.code is None


def test_a_ringing_channel_found_alive_is_known_to_ring() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    with script.unseen():
        script.ring(trunk)
    script.list_channels(caller, trunk)
    script.time_out(trunk)
    script.hangup(caller)
    assert only(record(script).attempts).ring_ms is not None


def test_being_told_that_asterisk_is_up_ends_no_call() -> None:
    script = AmiScript()
    caller, _ = rejection(script)
    script.booted()  # after every login
    script.hangup(caller, 127, 500)
    call = record(script)
    assert (call.sip.code, call.partial) == (608, False)


def test_a_shutdown_ends_every_call() -> None:
    script = AmiScript()
    script.ring(script.dial(script.incoming(), "PJSIP/acme", "1@acme"))
    script.incoming("PJSIP/2001")
    script.shut_down()
    listener = Listener()
    calls = listener.hear(script.stream())
    assert [call.partial for call in calls] == [True, True]
    assert len(listener.correlator) == 0
    assert not listener.correlator._call_of


# The same bytes, the same records


def test_a_record_has_the_id_that_anybody_can_compute() -> None:
    script = AmiScript()
    caller, _ = rejection(script)
    script.hangup(caller)
    call = record(script)
    assert call.id == call_id("pbx", caller.linkedid)
    assert len(call.id) == 32


@pytest.mark.parametrize("timestamps", [True, False])
def test_a_replay_gives_the_same_bytes_each_time(tmp_path: Path, *, timestamps: bool) -> None:
    script = AmiScript(timestamps=timestamps)
    for status in ("486 Busy Here", "608 Rejected"):
        caller, _ = rejection(script, status)
        script.hangup(caller)
    path = tmp_path / "one.ami"
    path.write_bytes(script.stream())
    printed = [
        [json.dumps(to_json(call)) for call in Replay(Surroundings("pbx", None, TRUNKS)).read([path])] for _ in range(2)
    ]
    assert printed[0] == printed[1] == [json.dumps(to_json(call)) for call in records(script.stream())]
    assert len(printed[0]) == 2


def test_a_recording_that_begins_in_the_middle_of_a_dial_gives_one_record() -> None:
    """The dialled leg hangs up before its caller was seen by an event of its own."""
    script = AmiScript()
    caller = script.incoming("PJSIP/caller", exten="486")
    leg = script.dial(caller, "PJSIP/acme", "486@acme")
    script.reject(leg, "486 Busy Here", cause=17)
    script.hangup(caller, cause=17)
    end = next(number for number, message in enumerate(script.events) if message.startswith(b"Event: DialEnd"))
    (seen,) = records(script.greeting() + b"".join(script.events[end:]))
    assert seen.partial
    assert seen.sip.code == 486

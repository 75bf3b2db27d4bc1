"""Attempts that neither the far end nor the caller ended: turned down after the pick-up, or broken off by this PBX."""

from __future__ import annotations

import pytest

from asterisk_sip.calls.model import Grade, Outcome
from tests.ami_script import AmiScript, Chan
from tests.call_listener import only, record

BOTH = pytest.mark.parametrize("release", ["16", "22"])


def ringing(script: AmiScript) -> tuple[Chan, Chan]:
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.ring(trunk)
    script.wait(3)
    return caller, trunk


@pytest.mark.parametrize("status", ["BUSY", "CONGESTION", "CONTINUE"])
def test_who_picked_up_and_was_turned_down_by_the_dialplan_did_not_answer_the_caller(status: str) -> None:
    script = AmiScript()
    caller, trunk = ringing(script)
    trunk.status = "200 OK"
    script.up(trunk)
    script.dial_end(trunk, status)
    script.hangup(trunk, 16)
    script.hangup(caller, 16)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.FAILED, "rejected", "pbx")
    assert call.answered_at is None
    assert (call.sip.code, call.evidence.grade) == (200, Grade.WIRE)


@BOTH
def test_a_manager_who_hangs_up_the_ringing_call_is_not_taken_for_a_telephone_that_nobody_answers(release: str) -> None:
    script = AmiScript(release=release)
    caller, trunk = ringing(script)
    script.dial_end(trunk, "CANCEL")
    script.hangup(trunk, 16)
    script.hangup(caller, 0)
    call = record(script)
    assert (call.outcome, call.disposition, call.fault.side) == (Outcome.FAILED, "pbx_ended", "us")
    assert (call.sip.code, call.released_by) == (180, "pbx")


@BOTH
def test_a_manager_who_hangs_up_the_dialled_leg_ended_the_attempt(release: str) -> None:
    script = AmiScript(release=release)
    caller, trunk = ringing(script)
    script.dial_end(trunk, "NOANSWER")
    script.hangup(trunk, 21)
    script.hangup(caller, 21)
    assert record(script).disposition == "pbx_ended"


def test_a_caller_who_leaves_later_did_not_cancel_what_had_ended_before() -> None:
    script = AmiScript()
    caller = script.incoming()
    first = script.dial(caller, "PJSIP/alice", "alice")
    script.answer(first)
    one, two = script.local(caller, "903")
    second = script.dial(two, "PJSIP/carol", "carol")
    script.ring(second)
    script.wait(2)
    script.dial_end(second, "CANCEL")
    script.hangup(second, 16)
    script.hangup(one, 16)
    script.hangup(two, 16)
    script.wait(1)
    script.hangup_request(caller)
    script.hangup(caller)
    script.hangup(first)
    call = record(script)
    assert [attempt.disposition for attempt in call.attempts] == ["answered", "no_answer"]


def test_a_login_that_is_answered_by_silence_is_not_a_refused_login() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    trunk.status = "401 Unauthorized"
    script.wait(20)
    script.time_out(trunk)
    script.hangup(caller)
    call = record(script)
    assert (call.disposition, call.sip.code, call.fault.side) == ("no_response", 401, "carrier")


def test_a_login_that_is_refused_is() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.reject(trunk, "401 Unauthorized")
    script.hangup(caller, 21)
    assert record(script).disposition == "auth_failed"


@pytest.mark.parametrize(("seconds", "disposition"), [(0.1, "unreachable"), (32.0, "no_response")])
def test_without_the_line_16_tells_a_408_that_came_from_one_made_here_by_its_time(
    seconds: float, disposition: str
) -> None:
    script = AmiScript(release="16", line=False)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.wait(seconds)
    script.hangup_request(trunk, 18)
    script.dial_end(trunk, "NOANSWER")
    script.hangup(trunk, 18)
    script.hangup(caller, 18)
    call = record(script)
    assert (call.disposition, only(call.attempts).sip.candidates) == (disposition, (408,))


@BOTH
def test_a_caller_whom_busy_refuses_did_not_give_up_whichever_event_comes_first(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    script.hangup_request(caller, 17, 486)
    script.refuse(caller)
    script.hangup(caller, 17, 486)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.FAILED, "pbx_refused", "pbx")
    assert (call.sip.code, call.evidence.grade) == (486, Grade.SENT)


def test_page_calls_all_at_once_however_soon_one_is_busy() -> None:
    script = AmiScript()
    caller = script.incoming()
    for letter, status in (("a", "486 Busy Here"), ("b", None)):
        phone = script.channel(f"PJSIP/{letter}", caller.linkedid)
        script.dial_begin(None, phone, letter)
        if status is not None:
            script.reject(phone, status)
        else:
            script.answer(phone)
    script.hangup_request(caller)
    script.hangup(phone)
    script.hangup(caller)
    call = record(script)
    assert (call.outcome, [attempt.stage for attempt in call.attempts]) == (Outcome.ANSWERED, [1, 1])


def test_a_snoop_channel_is_no_call() -> None:
    script = AmiScript()
    caller, trunk = ringing(script)
    snoop = script.channel("Snoop/1700000000.1", state=6)
    script.cancel(caller, trunk)
    script.hangup(snoop, 0)
    assert record(script).disposition == "cancelled"

"""How a call ends that nobody rejected: timed out, given up by us or by the caller, refused by the dialplan."""

from __future__ import annotations

import pytest

from asterisk_sip.calls.model import Grade, Outcome
from tests.ami_script import AmiScript
from tests.call_listener import only, record

BOTH = pytest.mark.parametrize("release", ["16", "22"])
LINE = pytest.mark.parametrize("line", [True, False], ids=["line", "no line"])


# Nobody takes it


@BOTH
def test_a_telephone_that_rings_out_is_no_answer(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.ring(trunk)
    script.wait(20)
    script.time_out(trunk)
    script.hangup(caller)
    call = record(script)
    assert (call.outcome, call.disposition, call.fault.side) == (Outcome.FAILED, "no_answer", "callee")
    assert (call.sip.code, call.sip.phrase, call.evidence.grade) == (180, "Ringing", Grade.WIRE)
    attempt = only(call.attempts)
    assert attempt.pdd_ms is not None
    assert attempt.pdd_ms < 100
    assert attempt.ring_ms is not None
    assert attempt.ring_ms >= 20_000


def test_100_and_then_silence_is_shown_as_such() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.trying(trunk)
    script.wait(20)
    script.time_out(trunk)
    script.hangup(caller)
    call = record(script)
    assert (call.sip.code, call.sip.phrase, call.sip.class_) == (100, "Trying", 1)
    assert (call.outcome, call.disposition, call.fault.side) == (Outcome.FAILED, "no_answer", "carrier")
    assert only(call.attempts).pdd_ms is None


@BOTH
def test_a_trunk_from_which_nothing_comes_is_no_response(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.wait(10)
    script.time_out(trunk)
    script.hangup(caller)
    call = record(script)
    assert (call.disposition, call.sip.code, call.evidence.grade) == ("no_response", None, Grade.NONE)


@BOTH
def test_without_the_line_silence_claims_no_code(release: str) -> None:
    script = AmiScript(release=release, line=False)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.wait(10)
    script.time_out(trunk)
    script.hangup(caller)
    call = record(script)
    assert (call.sip.code, call.sip.candidates, call.evidence.grade) == (None, None, Grade.NONE)


# Asterisk's own stack gives up


@BOTH
def test_a_dead_trunk_is_a_408_of_our_own(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.wait(32)
    script.fail_locally(trunk, 18, 408)
    script.hangup(caller, 18, 408)
    call = record(script)
    assert (call.sip.code, call.evidence.grade) == (408, Grade.LOCAL)
    assert (call.disposition, call.fault.side, call.released_by) == ("no_response", "carrier", "network")


@BOTH
def test_a_refused_connection_is_a_503_of_our_own(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    script.fail_locally(script.dial(caller, "PJSIP/acme", "1@acme"), 34, 503)
    script.hangup(caller, 34, 503)
    call = record(script)
    assert (call.sip.code, call.evidence.grade, call.disposition) == (503, Grade.LOCAL, "unreachable")


@BOTH
@pytest.mark.parametrize(("cause", "tech_cause", "after_s"), [(18, 408, 32.0), (34, 503, 0.0)])
def test_without_the_line_no_code_of_our_own_is_called_received(
    release: str, cause: int, tech_cause: int, after_s: float
) -> None:
    script = AmiScript(release=release, line=False)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.wait(after_s)
    script.fail_locally(trunk, cause, tech_cause)
    script.hangup(caller, cause, tech_cause)
    call = record(script)
    assert call.evidence.grade not in (Grade.WIRE, Grade.REPORTED)
    assert call.evidence.grade is (Grade.LOCAL if release == "22" else Grade.CANDIDATES)


# The caller


@BOTH
@LINE
def test_a_caller_who_gives_up_abandons_and_no_500_is_shown(release: str, *, line: bool) -> None:
    script = AmiScript(release=release, line=line)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.ring(trunk)
    script.wait(4)
    script.cancel(caller, trunk)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.ABANDONED, "cancelled", "caller")
    assert call.fault.side == "caller"
    assert call.sip.code == (180 if line else None)
    assert "500" not in repr((call.sip, call.evidence, call.attempts[0].sip, call.attempts[0].evidence))


def test_a_caller_whose_call_was_taken_elsewhere_gives_up_too() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.ring(trunk)
    script.cancel(caller, trunk, cause=26)  # CANCEL with Reason: Q.850;cause=26
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.ABANDONED, "answered_elsewhere", "caller")


@BOTH
def test_a_caller_who_gives_up_before_anything_was_dialled_was_sent_487(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    script.wait(2)
    script.cancel(caller)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.ABANDONED, "cancelled", "caller")
    assert (call.sip.code, call.evidence.grade) == (487, Grade.SENT)
    assert call.attempts == ()


def test_the_caller_who_gives_up_decides_over_a_fork_that_was_busy() -> None:
    script = AmiScript()
    caller = script.incoming()
    busy, ringing = script.dial(caller, "PJSIP/acme", "1@acme"), script.dial(caller, "PJSIP/globex", "1@globex")
    script.ring(ringing)
    script.reject(busy, "486 Busy Here")
    script.cancel(caller, ringing)
    call = record(script)
    assert (call.outcome, call.disposition) == (Outcome.ABANDONED, "cancelled")
    assert [attempt.disposition for attempt in call.attempts] == ["busy", "cancelled"]


# The dialplan


@BOTH
@pytest.mark.parametrize(("cause", "sent"), [(17, 486), (34, 503)])
def test_busy_and_congestion_are_our_own_refusal(release: str, cause: int, sent: int) -> None:
    script = AmiScript(release=release)
    caller = script.incoming(exten="busy")
    script.refuse(caller)
    script.hangup_request(caller, cause, sent)  # its SIP session ends with the answer it is sent
    script.soft_hangup(caller)
    script.hangup(caller, cause, sent)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.FAILED, "pbx_refused", "pbx")
    assert (call.sip.code, call.evidence.grade, call.fault.side) == (sent, Grade.SENT, "us")


@BOTH
@pytest.mark.parametrize(("cause", "tech_cause", "sent"), [(21, 403, 403), (1, 404, 404), (16, None, 603)])
def test_hangup_with_a_cause_is_our_own_refusal(release: str, cause: int, tech_cause: int | None, sent: int) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    script.soft_hangup(caller)
    script.hangup(caller, cause, tech_cause)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.FAILED, "pbx_refused", "pbx")
    assert (call.sip.code, call.evidence.grade) == (sent, Grade.SENT)


@BOTH
def test_an_endpoint_that_is_missing_or_has_no_contact_is_unreachable(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    script.soft_hangup(caller)
    script.hangup(caller, 3, 404)
    call = record(script)
    assert (call.outcome, call.disposition, call.attempts) == (Outcome.FAILED, "unreachable", ())
    assert (call.sip.code, call.evidence.grade) == (404, Grade.SENT)


def test_a_call_that_the_dialplan_itself_answers_is_answered() -> None:
    for ends, released_by in ((True, "caller"), (False, "pbx")):
        script = AmiScript()
        caller = script.incoming(exten="voicemail")
        script.up(caller)
        script.wait(5)
        if ends:
            script.hangup_request(caller)
        script.hangup(caller, 17, 486)  # Hangup(17): 22 then shows 486 although the wire carries BYE
        call = record(script)
        assert (call.outcome, call.released_by, call.sip.code) == (Outcome.ANSWERED, released_by, None)
        assert call.answered_at is not None

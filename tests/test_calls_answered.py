"""Calls that were answered, sent on to somebody else, or begun by Asterisk itself."""

from __future__ import annotations

import pytest

from asterisk_sip.calls.model import Grade, Outcome
from tests.ami_script import AmiScript
from tests.call_listener import only, record

BOTH = pytest.mark.parametrize("release", ["16", "22"])
LINE = pytest.mark.parametrize("line", [True, False], ids=["line", "no line"])


# Answered


@BOTH
@LINE
@pytest.mark.parametrize("ends", ["caller", "callee", "pbx"])
def test_who_ended_an_answered_call(release: str, ends: str, *, line: bool) -> None:
    script = AmiScript(release=release, line=line)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.ring(trunk)
    script.wait(3)
    script.answer(trunk)
    script.wait(60)
    if ends != "pbx":
        script.hangup_request(caller if ends == "caller" else trunk)
    script.hangup(trunk)
    script.hangup(caller)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.ANSWERED, "answered", ends)
    assert (call.sip.code, call.sip.candidates) == ((200, None) if line else (None, (200,)))
    assert call.hint is None
    assert call.duration_ms is not None
    assert call.duration_ms >= 63_000
    attempt = only(call.attempts)
    assert attempt.ring_ms is not None
    assert 3_000 <= attempt.ring_ms < 4_000


def test_a_refused_reinvite_does_not_change_what_the_call_came_to() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.answer(trunk)
    trunk.status = "488 Rejected ReInvite"
    script.hangup_request(trunk, 58, 488)
    script.hangup(trunk, 58, 488)
    script.hangup(caller)
    call = record(script)
    assert (call.outcome, call.sip.code, call.evidence.grade) == (Outcome.ANSWERED, 200, Grade.WIRE)
    assert call.evidence.losers == ()


def test_an_answered_leg_whose_line_says_nothing_any_more_was_not_silent() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    with script.unseen():
        script.dial_end(trunk, "ANSWER")
    trunk.state = 6
    script.tell("Newstate", trunk)  # after re-INVITEs in a bridge HANGUPCAUSE has two keys, and the line none
    script.hangup(trunk)
    script.hangup(caller)
    call = record(script)
    assert (call.outcome, call.sip.code, call.sip.candidates) == (Outcome.ANSWERED, None, (200,))
    assert call.evidence.grade is Grade.CANDIDATES


def test_a_call_answered_by_the_dialplan_whose_dial_fails_failed() -> None:
    script = AmiScript()
    caller = script.incoming()
    script.up(caller)
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "503 Service Unavailable")
    script.hangup(caller, 34)
    call = record(script)
    assert (call.outcome, call.sip.code) == (Outcome.FAILED, 503)


# Redirected


def test_a_302_tells_where_to_and_what_became_of_it() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.hangup_request(trunk, 23, 302)
    trunk.status = "302 Moved Temporarily"
    target, runs = script.local(caller, "2001")
    script.dial_end(trunk, "CANCEL", forward="Local/2001@internal")
    script.hangup(trunk, 23, 302)
    phone = script.dial(runs, "PJSIP/2001", "2001")
    script.reject(phone, "486 Busy Here")
    script.dial_end(target, "BUSY")
    script.hangup(target, 17)
    script.hangup(runs, 17)
    script.hangup(caller, 17, 486)
    call = record(script)
    forwarded, tried = call.attempts
    assert (forwarded.disposition, forwarded.forward, forwarded.sip.code) == ("forwarded", "Local/2001@internal", 302)
    assert (tried.endpoint, tried.stage, forwarded.stage) == ("2001", 1, 1)
    assert (call.outcome, call.sip.code, call.disposition) == (Outcome.FAILED, 486, "busy")


def test_a_redirect_that_is_answered_is_no_rescue() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.hangup_request(trunk, 23, 302)
    trunk.status = "302 Moved Temporarily"
    script.dial_end(trunk, "CANCEL", forward="PJSIP/2@globex")
    other = script.dial(caller, "PJSIP/globex", "2@globex")
    script.hangup(trunk, 23, 302)
    script.answer(other)
    script.hangup(other)
    script.hangup(caller)
    call = record(script)
    assert (call.outcome, call.sip.code) == (Outcome.ANSWERED, 200)
    assert [attempt.disposition for attempt in call.attempts] == ["forwarded", "answered"]


# Originate


@BOTH
@LINE
def test_an_originate_that_is_rejected_fails(release: str, *, line: bool) -> None:
    script = AmiScript(release=release, line=line)
    script.reject(script.originate("PJSIP/acme", "486@acme"), "486 Busy Here")
    call = record(script)
    assert (call.outcome, call.disposition, call.dialled) == (Outcome.FAILED, "busy", "486")
    assert call.direction == "outbound"
    assert not call.partial


@BOTH
@LINE
def test_an_originate_that_rings_out_never_shows_the_480_of_asterisks_own(release: str, *, line: bool) -> None:
    script = AmiScript(release=release, line=line)
    phone = script.originate("PJSIP/acme", "1@acme")
    script.ring(phone)
    script.wait(20)
    script.hangup(phone, 19 if release == "22" else 0, 480)  # and no DialEnd
    call = record(script)
    assert (call.outcome, call.disposition) == (Outcome.FAILED, "no_answer")
    assert call.sip.code == (180 if line else None)
    assert "480" not in repr((call.sip, call.evidence))


def test_an_originate_that_is_answered_is_judged_by_what_it_then_dials() -> None:
    script = AmiScript()
    phone = script.originate("PJSIP/2001", "2001")
    script.answer(phone)
    script.reject(script.dial(phone, "PJSIP/acme", "404@acme"), "404 Not Found")
    script.hangup(phone)
    call = record(script)
    assert (call.outcome, call.sip.code, call.direction) == (Outcome.FAILED, 404, "outbound")
    assert [attempt.disposition for attempt in call.attempts] == ["answered", "not_found"]


def test_an_originate_that_is_answered_and_plays_something_is_answered() -> None:
    script = AmiScript()
    phone = script.originate("PJSIP/2001", "2001")
    script.answer(phone)
    script.wait(10)
    script.hangup_request(phone)
    script.hangup(phone)
    call = record(script)
    assert (call.outcome, call.released_by, call.sip.code) == (Outcome.ANSWERED, "callee", 200)

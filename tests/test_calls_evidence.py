"""What each source may claim: when the line, TechCause, the cause and silence are believed, and when they are not."""

from __future__ import annotations

import pytest

from asterisk_sip.calls.model import Attempt, Finding, Grade, Outcome
from tests.ami_script import AmiScript
from tests.call_listener import only, record, records


def one_dial(script: AmiScript) -> Attempt:
    return only(record(script).attempts)


def after_a_first_call(script: AmiScript) -> Attempt:
    """The attempt of the second of two calls."""
    _, second = records(script.stream())
    return only(second.attempts)


# The line and TechCause


def test_what_asterisk_made_up_after_the_last_response_is_kept_beside_it() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    trunk.status = "401 Unauthorized"  # the INVITE with credentials then met silence
    script.wait(32)
    script.fail_locally(trunk, 18, 408)
    script.hangup(caller, 18, 408)
    attempt = one_dial(script)
    assert (attempt.sip.code, attempt.evidence.grade) == (401, Grade.WIRE)
    assert attempt.evidence.losers == (Finding(Grade.LOCAL, "TechCause", 408),)


def test_when_the_line_says_that_nothing_came_a_peer_that_was_alive_before_does_not_matter() -> None:
    script = AmiScript()
    first = script.incoming()
    script.reject(script.dial(first, "PJSIP/acme", "1@acme"), "486 Busy Here")
    script.hangup(first, 17, 486)
    second = script.incoming()
    script.fail_locally(script.dial(second, "PJSIP/acme", "1@acme"), 34, 503)
    script.hangup(second, 34, 503)
    attempt = after_a_first_call(script)
    assert (attempt.sip.code, attempt.evidence.grade, attempt.disposition) == (503, Grade.LOCAL, "unreachable")


@pytest.mark.parametrize("release", ["16", "22"])
def test_a_dead_trunk_is_told_once(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.wait(32)
    script.fail_locally(trunk, 18, 408)
    script.hangup(caller, 18)
    attempt = one_dial(script)
    assert attempt.evidence.source == ("TechCause" if release == "22" else "channelvars")
    assert attempt.evidence.losers == ()


@pytest.mark.parametrize(("cause", "requested"), [(18, False), (127, True)])
def test_silence_alone_names_no_code(cause: int, *, requested: bool) -> None:
    script = AmiScript(release="16")
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    if requested:
        script.hangup_request(trunk, cause)
    script.dial_end(trunk, "NOANSWER")
    script.hangup(trunk, cause)
    script.hangup(caller)
    attempt = one_dial(script)
    assert (attempt.sip.code, attempt.sip.candidates) == (None, None)
    assert (attempt.evidence.grade, attempt.evidence.source) == (Grade.NONE, "channelvars")
    assert attempt.disposition == "no_response"


# TechCause alone


def test_a_late_refusal_is_not_taken_for_a_time_out() -> None:
    script = AmiScript(line=False)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.wait(40)
    script.reject(trunk, "404 Not Found")
    script.hangup(caller, 1, 404)
    attempt = one_dial(script)
    assert (attempt.sip.code, attempt.evidence.grade) == (404, Grade.REPORTED)


def test_a_408_that_comes_sooner_than_any_timer_was_received() -> None:
    script = AmiScript(line=False)
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "408 Request Timeout")
    script.hangup(caller, 18, 408)
    assert one_dial(script).evidence.grade is Grade.REPORTED


@pytest.mark.parametrize(("tech_cause", "code"), [(302, 302), (487, None)])
def test_of_a_redirected_leg_only_a_3xx_is_believed(tech_cause: int, code: int | None) -> None:
    script = AmiScript(line=False)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.hangup_request(trunk, 23, tech_cause)  # 487 with cause 127 before 20.19, 22.9, 23.3
    script.dial_end(trunk, "CANCEL", forward="PJSIP/2@globex")
    other = script.dial(caller, "PJSIP/globex", "2@globex")
    script.hangup(trunk, 23, tech_cause)
    script.reject(other, "486 Busy Here")
    script.hangup(caller, 17, 486)
    forwarded, _ = record(script).attempts
    assert (forwarded.disposition, forwarded.sip.code) == ("forwarded", code)


@pytest.mark.parametrize(
    ("shows", "grade"),
    [("rings", Grade.REPORTED), ("refuses", Grade.REPORTED), ("is dead", Grade.LOCAL), ("rang long ago", Grade.LOCAL)],
)
def test_a_503_is_believed_of_a_peer_that_showed_itself_lately(shows: str, grade: Grade) -> None:
    script = AmiScript(line=False)
    first = script.incoming()
    trunk = script.dial(first, "PJSIP/acme", "1@acme")
    if shows == "refuses":
        script.reject(trunk, "404 Not Found")
    elif shows == "is dead":
        script.wait(32)
        script.fail_locally(trunk, 18, 408)
    else:
        script.ring(trunk)
        script.time_out(trunk)
    script.hangup(first)
    if shows == "rang long ago":
        script.wait(3600)
    second = script.incoming()
    script.reject(script.dial(second, "PJSIP/acme", "1@acme"), "503 Service Unavailable")
    script.hangup(second, 34, 503)
    assert after_a_first_call(script).evidence.grade is grade


# No SIP, no line: the cause and Asterisk's own words


@pytest.mark.parametrize(
    ("cause", "dial_status", "requested", "disposition"),
    [
        (17, "BUSY", False, "busy"),
        (21, "NOANSWER", True, "rejected"),
        (16, "NOANSWER", False, "no_answer"),
        (0, "NOANSWER", False, "no_answer"),
    ],
)
def test_a_cause_counts_when_the_far_end_gave_it(
    cause: int, dial_status: str, disposition: str, *, requested: bool
) -> None:
    script = AmiScript()
    caller = script.incoming()
    line = script.dial(caller, "DAHDI/1-1", "g1/5551234")
    script.ring(line)
    line.status = None  # HANGUPCAUSE knows no status line of it
    if requested:
        script.hangup_request(line, cause)
    script.dial_end(line, dial_status)
    script.hangup(line, cause)
    script.hangup(caller, cause)
    attempt = one_dial(script)
    assert (attempt.disposition, attempt.sip.code) == (disposition, None)


def test_early_media_is_a_sign_of_life() -> None:
    script = AmiScript(line=False)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.progress(trunk)
    script.wait(20)
    script.time_out(trunk)
    script.hangup(caller)
    attempt = one_dial(script)
    assert attempt.disposition == "no_answer"
    assert attempt.pdd_ms is not None
    assert attempt.ring_ms is None


@pytest.mark.parametrize(
    ("status", "released_by"),
    [("486 Busy Here", "callee"), ("603 Decline", "callee"), ("503 Service Unavailable", "network")],
)
def test_who_released_a_rejected_call(status: str, released_by: str) -> None:
    script = AmiScript()
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), status)
    script.hangup(caller)
    assert record(script).released_by == released_by


@pytest.mark.parametrize(("cause", "released_by"), [(17, "callee"), (34, "network")])
@pytest.mark.parametrize("peer", ["PJSIP/acme", "SIP/acme", "DAHDI/i1/123"])
def test_who_released_a_call_does_not_depend_on_how_its_status_is_known(
    peer: str, cause: int, released_by: str
) -> None:
    script = AmiScript(release="16", line=False)
    caller = script.incoming()
    trunk = script.dial(caller, peer, "1")
    if not peer.startswith("SIP/"):  # chan_sip asks for no hangup when it is refused
        script.hangup_request(trunk, cause)
    script.dial_end(trunk, "BUSY" if cause == 17 else "CONGESTION")
    script.hangup(trunk, cause)
    script.hangup(caller, cause)
    assert record(script).released_by == released_by


@pytest.mark.parametrize("rings", [True, False])
def test_a_far_end_that_fell_silent_did_not_release_the_call(*, rings: bool) -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    (script.ring if rings else script.trying)(trunk)
    script.wait(180)
    script.fail_locally(trunk, 18, 408)
    script.hangup(caller, 18)
    assert record(script).released_by == "network"


def test_asterisk_released_a_call_that_rang_out() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.ring(trunk)
    script.time_out(trunk)
    script.hangup(caller)
    assert record(script).released_by == "pbx"


def test_a_487_to_our_own_cancel_is_the_callers_doing() -> None:
    script = AmiScript(release="16")
    caller = script.incoming()
    trunk = script.dial(caller, "SIP/acme", "1@acme")
    script.hangup_request(caller, 127)
    trunk.status = "487 Request Terminated"
    script.dial_end(trunk, "CANCEL")
    script.hangup(trunk, 127)
    script.hangup(caller, 127)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.ABANDONED, "cancelled", "caller")


@pytest.mark.parametrize("status", ["799 Odd One", "999 Odd One", "000 Nothing", "099 Trying"])
def test_a_number_that_is_no_status_of_sip_is_never_shown_as_one(status: str) -> None:
    """chan_sip on 16.28 passes on what the far end wrote, takes it for no answer, and goes on waiting."""
    script = AmiScript(release="16")
    caller = script.incoming("SIP/caller")
    trunk = script.dial(caller, "SIP/acme", "1@acme")
    trunk.status = status
    script.time_out(trunk)
    script.hangup(caller, 16)
    call = record(script)
    assert (call.outcome, call.sip.code, call.sip.candidates) == (Outcome.FAILED, None, None)
    assert call.disposition == "unknown"  # something came: it is not silence
    assert only(call.attempts).evidence.losers == (Finding(Grade.NONE, "channelvars", phrase=status),)

"""Calls of many attempts: failover, forks and ring groups; which attempt speaks for the call."""

from __future__ import annotations

import pytest

from asterisk_sip.calls.model import CallRecord, Grade, Outcome
from tests.ami_script import AmiScript, Chan
from tests.call_listener import only, record, records

BOTH = pytest.mark.parametrize("release", ["16", "22"])


def chain(call: CallRecord) -> list[tuple[int, int, str | None, str]]:
    """What the attempts came to: (seq, stage, endpoint, disposition)."""
    return [(attempt.seq, attempt.stage, attempt.endpoint, attempt.disposition) for attempt in call.attempts]


# One after the other


@BOTH
def test_a_call_that_the_second_trunk_takes_is_rescued(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "503 Service Unavailable")
    second = script.dial(caller, "PJSIP/globex", "1@globex")
    script.answer(second)
    script.hangup_request(caller)
    script.hangup(second)
    script.hangup(caller)
    call = record(script)
    assert call.outcome is Outcome.RESCUED
    assert (call.disposition, call.sip.code, call.released_by) == ("answered", 200, "caller")
    assert chain(call) == [(1, 1, "acme", "congestion"), (2, 2, "globex", "answered")]
    assert call.attempts[0].sip.code == 503


@BOTH
def test_a_call_that_no_trunk_takes_shows_the_last_ones_status(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    for endpoint, status in (("acme", "503 Busy"), ("globex", "404 Not Found"), ("initech", "480 Unavailable")):
        script.reject(script.dial(caller, f"PJSIP/{endpoint}", f"1@{endpoint}"), status)
    script.hangup(caller, 19, 480)
    call = record(script)
    assert (call.outcome, call.sip.code, call.sip.phrase) == (Outcome.FAILED, 480, "Unavailable")
    assert [attempt.sip.code for attempt in call.attempts] == [503, 404, 480]
    assert [attempt.stage for attempt in call.attempts] == [1, 2, 3]


def test_the_same_trunk_twice_is_two_stages() -> None:
    script = AmiScript()
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "500 Oops")
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "486 Busy Here")
    script.hangup(caller)
    assert chain(record(script)) == [(1, 1, "acme", "server_error"), (2, 2, "acme", "busy")]


def test_a_caller_who_gives_up_on_the_second_trunk_abandons() -> None:
    script = AmiScript()
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "503 Service Unavailable")
    second = script.dial(caller, "PJSIP/globex", "1@globex")
    script.ring(second)
    script.cancel(caller, second)
    call = record(script)
    assert call.outcome is Outcome.ABANDONED
    assert chain(call) == [(1, 1, "acme", "congestion"), (2, 2, "globex", "cancelled")]


# All at once


@BOTH
@pytest.mark.parametrize("line", [True, False], ids=["line", "no line"])
def test_of_a_fork_that_is_answered_the_others_did_not_fail(release: str, *, line: bool) -> None:
    script = AmiScript(release=release, line=line)
    caller = script.incoming()
    first, second = script.dial(caller, "PJSIP/acme", "1@acme"), script.dial(caller, "PJSIP/globex", "1@globex")
    script.ring(first, second)
    script.dial_end(second, "CANCEL")
    script.answer(first)
    script.hangup(second, 26)
    script.hangup_request(caller)
    script.hangup(first)
    script.hangup(caller)
    call = record(script)
    assert call.outcome is Outcome.ANSWERED
    assert chain(call) == [(1, 1, "acme", "answered"), (2, 1, "globex", "answered_elsewhere")]


def test_a_fork_whose_end_of_dialling_was_missed_was_still_answered_elsewhere() -> None:
    script = AmiScript()
    caller = script.incoming()
    first, second = script.dial(caller, "PJSIP/acme", "1@acme"), script.dial(caller, "PJSIP/globex", "1@globex")
    script.ring(first, second)
    script.answer(first)
    script.hangup(second, 26)
    script.hangup(first)
    script.hangup(caller)
    assert chain(record(script)) == [(1, 1, "acme", "answered"), (2, 1, "globex", "answered_elsewhere")]


def test_a_fork_that_was_busy_before_another_answered_is_no_rescue() -> None:
    script = AmiScript()
    caller = script.incoming()
    busy, answers = script.dial(caller, "PJSIP/acme", "1@acme"), script.dial(caller, "PJSIP/globex", "1@globex")
    script.reject(busy, "486 Busy Here")
    script.answer(answers)
    script.hangup(answers)
    script.hangup(caller)
    call = record(script)
    assert call.outcome is Outcome.ANSWERED
    assert chain(call) == [(1, 1, "acme", "busy"), (2, 1, "globex", "answered")]


@pytest.mark.parametrize(
    ("statuses", "speaks"),
    [
        (("503 Unavailable", "486 Busy Here"), 486),  # the lowest class
        (("486 Busy Here", "603 Decline"), 603),  # but a 6xx first: RFC 3261 section 16.7
        (("404 Not Found", "486 Busy Here"), 486),  # of one class, the person before the server
        (("486 Busy Here", "404 Not Found"), 486),
        (("404 First", "410 Second"), 404),
    ],
)
def test_the_best_answer_of_a_fork_speaks_for_the_call(statuses: tuple[str, ...], speaks: int) -> None:
    script = AmiScript()
    caller = script.incoming()
    forks = [script.dial(caller, f"PJSIP/trunk{number}", "1") for number in range(len(statuses))]
    for fork, status in zip(forks, statuses, strict=True):
        script.reject(fork, status)
    script.hangup(caller)
    call = record(script)
    assert (call.outcome, call.sip.code) == (Outcome.FAILED, speaks)
    assert {attempt.stage for attempt in call.attempts} == {1}


@BOTH
@pytest.mark.parametrize("line", [True, False], ids=["line", "no line"])
def test_busy_speaks_for_a_call_whose_other_fork_rang_out(release: str, *, line: bool) -> None:
    script = AmiScript(release=release, line=line)
    caller = script.incoming()
    busy, rings = script.dial(caller, "PJSIP/acme", "1@acme"), script.dial(caller, "PJSIP/globex", "1@globex")
    script.ring(rings)
    script.reject(busy, "486 Busy Here")
    script.wait(20)
    script.time_out(rings)
    script.hangup(caller, 17, 486)
    call = record(script)
    assert (call.outcome, call.disposition) == (Outcome.FAILED, "busy")
    assert chain(call) == [(1, 1, "acme", "busy"), (2, 1, "globex", "no_answer")]
    if line or release == "22":
        assert call.sip.code == 486
    else:
        assert call.sip.candidates == (486, 600)


def test_a_queue_whose_caller_leaves_says_cancel_twice_and_it_counts_once() -> None:
    script = AmiScript()
    caller = script.incoming(exten="queue")
    agents = [script.dial(caller, f"PJSIP/{name}", name) for name in ("alice", "bob")]
    script.ring(*agents)
    script.hangup_request(caller, 127, 487)
    for agent in (*agents, *agents):
        script.dial_end(agent, "CANCEL")
    for agent in agents:
        script.hangup(agent, 0)
    script.hangup(caller, 127, 487)
    call = record(script)
    assert (call.outcome, call.released_by) == (Outcome.ABANDONED, "caller")
    assert chain(call) == [(1, 1, "alice", "cancelled"), (2, 1, "bob", "cancelled")]


def test_a_queue_that_rings_one_agent_after_the_other_is_a_chain() -> None:
    script = AmiScript()
    caller = script.incoming(exten="queue")
    script.up(caller)
    for name in ("alice", "bob"):
        agent = script.dial(caller, f"PJSIP/{name}", f"PJSIP/{name}")
        script.ring(agent)
        script.wait(15)
        if name == "alice":
            script.time_out(agent)
        else:
            script.answer(agent)
    script.hangup_request(agent)
    script.hangup(agent)
    script.hangup(caller)
    call = record(script)
    assert (call.outcome, call.released_by) == (Outcome.ANSWERED, "callee")  # a queue at work: nothing was rescued
    assert chain(call) == [(1, 1, "alice", "no_answer"), (2, 2, "bob", "answered")]


# 487, which answers our own CANCEL


def test_a_fork_that_was_cancelled_for_another_was_answered_elsewhere_also_when_its_487_was_heard() -> None:
    script = AmiScript()
    caller = script.incoming()
    answers, rings = (script.dial(caller, f"PJSIP/{name}", name) for name in ("alice", "bob"))
    script.ring(answers, rings)
    script.answer(answers)
    script.dial_end(rings, "CANCEL")
    rings.status = "487 Request Terminated"
    script.hangup(rings, 26, 500)
    script.hangup(answers)
    script.hangup(caller)
    assert chain(record(script)) == [(1, 1, "alice", "answered"), (2, 1, "bob", "answered_elsewhere")]


def test_a_487_after_the_time_was_over_is_no_answer_though_the_caller_leaves_the_voicemail_later() -> None:
    script = AmiScript()
    caller = script.incoming()
    phone = script.dial(caller, "PJSIP/alice", "alice")
    script.ring(phone)
    script.wait(20)
    script.dial_end(phone, "NOANSWER")
    phone.status = "487 Request Terminated"
    script.hangup(phone, 0)
    script.up(caller)  # the voicemail
    script.hangup_request(caller)
    script.hangup(caller)
    call = record(script)
    assert (call.outcome, call.disposition, call.released_by) == (Outcome.FAILED, "no_answer", "pbx")


# Local channels


def ring_group(script: AmiScript, caller: Chan, *endpoints: str) -> list[tuple[Chan, Chan, Chan]]:
    """Dial(Local/1&Local/2...), each of which dials a telephone: the two halves of each, and its telephone."""
    halves = [script.local(caller, endpoint) for endpoint in endpoints]
    return [(one, two, script.dial(two, f"PJSIP/{two.exten}", two.exten)) for one, two in halves]


def hang_up_group(script: AmiScript, *members: tuple[Chan, Chan, Chan], cause: int = 16) -> None:
    for one, two, phone in members:
        script.hangup(phone, cause)
        script.hangup(one, cause)
        script.hangup(two, cause)


@BOTH
def test_a_ring_group_shows_its_telephones_in_one_stage_and_no_local_channel(release: str) -> None:
    script = AmiScript(release=release)
    caller = script.incoming()
    members = ring_group(script, caller, "2001", "2002")
    (one, _, answers), (other, _, rings) = members
    script.ring(answers, rings)
    script.answer(answers)
    script.dial_end(other, "CANCEL")
    script.dial_end(rings, "CANCEL")
    script.dial_end(one, "ANSWER")
    script.up(caller)
    script.bridge(one, caller)
    hang_up_group(script, members[1], cause=26)
    script.hangup_request(caller)
    hang_up_group(script, members[0])
    script.hangup(caller)
    call = record(script)
    assert call.outcome is Outcome.ANSWERED
    assert chain(call) == [(1, 1, "2001", "answered"), (2, 1, "2002", "answered_elsewhere")]
    assert not any("Local" in attempt.channel for attempt in call.attempts)
    assert call.released_by == "caller"


def test_a_ring_group_where_all_refuse_is_judged_by_its_telephones() -> None:
    script = AmiScript()
    caller = script.incoming()
    halves = [script.local(caller, exten) for exten in ("2001", "2002")]
    statuses = ("486 Busy Here", "603 Decline")
    phones = [script.dial(two, f"PJSIP/{two.exten}", two.exten) for _, two in halves]
    for (one, two), phone, status in zip(halves, phones, statuses, strict=True):
        script.reject(phone, status)
        script.dial_end(one, "BUSY")
        script.hangup(one, 17)
        script.hangup(two, 17)
    script.hangup(caller, 17, 486)
    call = record(script)
    assert (call.outcome, call.sip.code) == (Outcome.FAILED, 603)
    assert chain(call) == [(1, 1, "2001", "busy"), (2, 1, "2002", "rejected")]


def test_failover_behind_a_local_channel_is_a_chain_of_its_trunks() -> None:
    script = AmiScript()
    caller = script.incoming()
    one, two = script.local(caller, "100")
    script.reject(script.dial(two, "PJSIP/acme", "100@acme"), "503 Service Unavailable")
    second = script.dial(two, "PJSIP/globex", "100@globex")
    script.answer(second)
    script.dial_end(one, "ANSWER")
    hang_up_group(script, (one, two, second))
    script.hangup(caller)
    call = record(script)
    assert call.outcome is Outcome.RESCUED
    assert chain(call) == [(1, 1, "acme", "congestion"), (2, 2, "globex", "answered")]


@pytest.mark.parametrize(
    ("dial_status", "cause", "disposition"),
    [
        ("BUSY", 17, "pbx_refused"),
        ("BUSY", 0, "pbx_refused"),
        ("CONGESTION", 34, "pbx_refused"),
        ("CHANUNAVAIL", 3, "unreachable"),
        ("NOANSWER", 0, "no_answer"),
    ],
)
def test_a_local_channel_whose_dialplan_dials_nobody_is_our_own_matter(
    dial_status: str, cause: int, disposition: str
) -> None:
    script = AmiScript()
    caller = script.incoming()
    one, two = script.local(caller, "2001")
    script.dial_end(one, dial_status)
    script.hangup(one, cause)
    script.hangup(two, cause)
    script.hangup(caller, 17, 486)
    call = record(script)
    attempt = only(call.attempts)
    assert (call.outcome, call.disposition) == (Outcome.FAILED, disposition)
    assert (attempt.endpoint, attempt.trunk, attempt.evidence.grade) == (None, None, Grade.NONE)
    assert attempt.dialled == "2001"
    assert call.sip.code is None


def test_an_attempt_behind_a_local_channel_whose_dialling_was_missed_has_a_stage() -> None:
    script = AmiScript()
    caller = script.incoming()
    one, two = script.local(caller, "2001")
    del script.events[-1]
    script.reject(script.dial(two, "PJSIP/2001", "2001"), "486 Busy Here")
    script.hangup(one, 17)
    script.hangup(two, 17)
    script.hangup(caller, 17)
    assert chain(record(script)) == [(1, 1, "2001", "busy")]


def test_an_attempt_behind_a_local_channel_that_began_unseen_is_still_one_call() -> None:
    script = AmiScript()
    caller = script.incoming()
    with script.unseen():
        one, two = script.local(caller, "2001")
    script.reject(script.dial(two, "PJSIP/2001", "2001"), "486 Busy Here")
    script.hangup(one, 17)
    script.hangup(two, 17)
    script.hangup(caller, 17)
    [call] = records(script.stream())
    assert (call.sip.code, call.partial) == (486, True)


@pytest.mark.parametrize("told_late", [True, False])
def test_what_a_local_channel_of_a_group_dials_may_be_told_before_the_channel_itself(*, told_late: bool) -> None:
    """Seen on 16.28: the dialplan behind the channel runs in a thread of its own, and was quicker than the Dial."""
    script = AmiScript()
    caller = script.incoming()
    phone = script.dial(caller, "PJSIP/2001", "2001")
    one, two = script.local(caller, "100")
    own = script.events.pop()
    trunk = script.dial(two, "PJSIP/acme", "100@acme")
    if told_late:
        script.events.append(own)
    else:
        script.events.insert(-2, own)
    script.reject(phone, "486 Busy Here")
    script.reject(trunk, "503 Service Unavailable")
    second = script.dial(two, "PJSIP/globex", "100@globex")
    script.answer(second)
    script.dial_end(one, "ANSWER")
    hang_up_group(script, (one, two, second))
    script.hangup(caller)
    call = record(script)
    assert call.outcome is Outcome.RESCUED
    assert [(stage, endpoint) for _, stage, endpoint, _ in chain(call)] == [(1, "2001"), (1, "acme"), (2, "globex")]

"""Memory is bounded, goes back to nothing, and what is given up comes out as a partial record."""

from __future__ import annotations

import json

import pytest

from asterisk_sip.calls import state
from asterisk_sip.calls.bounded import Bounded, Limits
from asterisk_sip.calls.model import CallRecord
from tests.ami_script import AmiScript
from tests.call_listener import Listener, records


def nothing_is_open(listener: Listener) -> bool:
    core = listener.correlator
    return not core._calls and not core._call_of and not core._evicted


def test_when_all_calls_ended_nothing_of_them_is_kept() -> None:
    script = AmiScript()
    for number in range(50):
        caller = script.incoming()
        if number % 2:
            _, two = script.local(caller, "2001")
            script.reject(script.dial(two, "PJSIP/2001", "2001"), "486 Busy Here")
            script.shut_down()
        else:
            script.answer(script.dial(caller, "PJSIP/acme", "1@acme"))
            script.shut_down()
    listener = Listener(Limits(ended_legs=10, peers=3))
    assert len(listener.hear(script.stream())) == 50
    assert nothing_is_open(listener)
    core = listener.correlator
    assert len(core._ended_legs) == len(core._generations) == 10
    assert len(core._peers) <= 3


def test_over_the_bound_the_longest_silent_call_is_given_up_as_partial() -> None:
    script = AmiScript()
    callers = [script.incoming(f"PJSIP/{number}") for number in range(2001, 2006)]
    script.ring(script.dial(callers[0], "PJSIP/acme", "1@acme"))  # the first is heard of again
    script.incoming("PJSIP/2006")
    listener = Listener(Limits(open_calls=5))
    [given_up] = listener.hear(script.stream())
    assert (given_up.caller.endpoint, given_up.partial) == ("2002", True)
    assert len(listener.correlator) == 5
    assert listener.correlator.given_up == 1


def test_of_many_calls_over_the_bound_every_one_comes_out_once() -> None:
    script = AmiScript()
    callers = [script.incoming() for _ in range(40)]
    for caller in callers:
        script.hangup(caller)
    listener = Listener(Limits(open_calls=7))
    calls = listener.hear(script.stream())
    assert sorted(call.linkedid for call in calls) == sorted(caller.linkedid for caller in callers)
    assert sum(call.partial for call in calls) == 33
    assert nothing_is_open(listener)


def test_a_list_of_more_channels_than_the_bound_loses_none() -> None:
    script = AmiScript()
    with script.unseen():
        callers = [script.incoming() for _ in range(9)]
    script.list_channels(*callers)
    script.shut_down()
    calls = records(script.stream(), Limits(open_calls=4))
    assert len(calls) == 9


def test_a_call_with_too_many_attempts_says_that_it_is_partial_and_keeps_the_first() -> None:
    script = AmiScript()
    caller = script.incoming()
    for _ in range(8):
        trunk = script.dial(caller, "PJSIP/acme", "1@acme")
        script.ring(trunk)
        script.reject(trunk, "503 Service Unavailable")
    script.hangup(caller, 34)
    listener = Listener(Limits(attempts_per_call=5))
    [call] = listener.hear(script.stream())
    assert (len(call.attempts), call.partial) == (5, True)
    assert nothing_is_open(listener)


def test_a_call_that_never_ends_does_not_gather_legs() -> None:
    script = AmiScript()
    caller = script.incoming()
    for _ in range(30):
        one, two = script.local(caller, "2001")
        script.hangup(two)
        script.hangup(one)
    listener = Listener(Limits(attempts_per_call=3, legs_per_call=10))
    listener.hear(script.stream())
    [call] = listener.correlator._calls.values()
    assert len(call.legs) <= 10
    assert call.alive == {caller.uniqueid}


def test_a_call_of_which_nothing_was_heard_for_long_is_given_up_as_partial() -> None:
    script = AmiScript()
    old = script.incoming("PJSIP/2001")
    script.wait(1000)
    young = script.incoming("PJSIP/2002")
    listener = Listener(Limits(age_s=600))
    listener.hear(script.stream())
    [given_up] = listener.write(listener.correlator.expire(script.now))
    assert (given_up.linkedid, given_up.partial) == (old.linkedid, True)
    assert listener.correlator.expire(script.now) == []
    script.events.clear()
    script.hangup(old)  # too late: its record is written
    script.hangup(young)
    [ended] = listener.hear(b"".join(script.events))
    assert ended.linkedid == young.linkedid
    assert nothing_is_open(listener)


def test_a_gap_is_named_in_every_call_it_touches_and_in_no_other() -> None:
    script = AmiScript()
    listener = Listener()
    first = script.incoming()
    listener.hear(script.stream())
    listener.correlator.mark_gap("gap-1")
    listener.correlator.mark_gap("gap-1")
    listener.correlator.mark_gap("gap-2")
    script.events.clear()
    second = script.incoming()
    script.hangup(first)
    script.hangup(second)
    touched, untouched = listener.hear(b"".join(script.events))
    assert (touched.gap_ids, touched.partial) == (("gap-1", "gap-2"), True)
    assert (untouched.gap_ids, untouched.partial) == ((), False)


def test_all_calls_can_be_dropped_with_the_gap_that_cost_them() -> None:
    script = AmiScript()
    script.incoming()
    script.incoming()
    listener = Listener()
    listener.hear(script.stream())
    dropped = listener.write(listener.correlator.drop_all(script.now, "gap-1"))
    assert [(call.partial, call.gap_ids) for call in dropped] == [(True, ("gap-1",))] * 2
    assert nothing_is_open(listener)


# Over a restart of ours


def restarted(listener: Listener) -> Listener:
    """A listener that knows what the other had saved."""
    saved = [json.dumps(state.dump(call)) for call in listener.correlator._calls.values()]
    fresh = Listener()
    fresh.hear(AmiScript().greeting())
    fresh.correlator.restore(state.load(json.loads(text)) for text in saved)
    return fresh


def over_a_restart(script: AmiScript, after: int) -> tuple[list[CallRecord], Listener]:
    """The records of a script when we were restarted after so many of its events."""
    before = Listener()
    before.hear(script.greeting() + b"".join(script.events[:after]))
    later = restarted(before)
    later.hear(b"".join(script.events[after:]))
    return before.records + later.records, later


def test_a_call_that_was_saved_goes_on_after_a_restart_and_leaves_nothing_behind() -> None:
    script = AmiScript()
    caller = script.incoming()
    first = script.dial(caller, "PJSIP/acme", "1@acme")
    script.reject(first, "503 Service Unavailable")
    script.reject(script.dial(caller, "PJSIP/globex", "1@globex"), "608 Rejected")
    script.hangup(caller, 127, 500)
    expected = records(script.stream())
    for after in range(len(script.events)):
        told, later = over_a_restart(script, after)
        assert told == expected
        assert nothing_is_open(later)


def test_a_repeated_event_of_a_leg_that_had_ended_before_the_restart_is_known_as_late() -> None:
    script = AmiScript()
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.reject(trunk, "608 Rejected")
    after = len(script.events)
    script.hangup(trunk, 17, 486)
    script.hangup(caller, 127, 500)
    [call], later = over_a_restart(script, after)
    assert call.sip.code == 608
    assert call.q850.cause == 127
    assert later.correlator.late_events == 1


def test_what_was_saved_by_another_version_is_refused_and_not_half_read() -> None:
    script = AmiScript()
    script.dial(script.incoming(), "PJSIP/acme", "1@acme")
    listener = Listener()
    listener.hear(script.stream())
    [call] = listener.correlator._calls.values()
    data = state.dump(call)
    for broken in ({**data, "legs": [[1, 2]]}, {key: data[key] for key in data if key != "tries"}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            state.load(broken)


def test_only_calls_that_changed_are_saved_again() -> None:
    script = AmiScript()
    script.incoming("PJSIP/2001")
    script.incoming("PJSIP/2002")
    listener = Listener()
    listener.hear(script.stream())
    core = listener.correlator
    assert len(core.unsaved(100.0, 5.0)) == 2
    assert core.unsaved(200.0, 5.0) == []
    script.events.clear()
    third = script.incoming("PJSIP/2003")
    listener.hear(b"".join(script.events))
    assert [call.linkedid for call in core.unsaved(200.0, 5.0)] == [third.linkedid]
    script.events.clear()
    script.ring(script.dial(third, "PJSIP/acme", "1"))
    listener.hear(b"".join(script.events))
    assert core.unsaved(203.0, 5.0) == []  # too soon after the last time
    assert len(core.unsaved(205.0, 5.0)) == 1


def test_a_bounded_memory_forgets_the_oldest() -> None:
    memory: Bounded[str, int] = Bounded(2)
    memory["a"] = 1
    memory["b"] = 2
    memory["a"] = 3  # renewed
    memory["c"] = 4
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (3, None, 4)
    assert "b" not in memory
    assert len(memory) == 2

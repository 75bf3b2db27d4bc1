"""What holds for any calls, however their events are mixed, cut, doubled, lost or shuffled."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from asterisk_sip.calls import state
from asterisk_sip.calls.model import CallRecord, Grade, to_json
from tests.ami_script import AmiScript
from tests.call_listener import Listener

FEW = settings(max_examples=60, deadline=None)

STATUSES = ("486 Busy Here", "503 Service Unavailable", "608 Rejected", "404 Not Found", "603 Network Blocked")


# Shapes of calls. Each writes one call; ``peer`` names endpoints that no other call uses.


def rejected(script: AmiScript, peer: str, status: str) -> None:
    caller = script.incoming()
    trunk = script.dial(caller, f"PJSIP/{peer}", f"1@{peer}")
    script.ring(trunk)
    script.reject(trunk, status)
    script.hangup(caller, 127, 500)


def rescued(script: AmiScript, peer: str, status: str) -> None:
    caller = script.incoming()
    script.reject(script.dial(caller, f"PJSIP/{peer}-a", "1"), status)
    second = script.dial(caller, f"PJSIP/{peer}-b", "1")
    script.answer(second)
    script.hangup_request(second)
    script.hangup(second)
    script.hangup(caller)


def forked(script: AmiScript, peer: str, status: str) -> None:
    caller = script.incoming()
    forks = [script.dial(caller, f"PJSIP/{peer}-{letter}", "1") for letter in "abc"]
    script.ring(*forks[:2])
    script.reject(forks[2], status)
    script.dial_end(forks[1], "CANCEL")
    script.answer(forks[0])
    script.hangup(forks[1], 26)
    script.hangup_request(caller)
    script.hangup(caller)
    script.hangup(forks[0])


def grouped(script: AmiScript, peer: str, status: str) -> None:
    caller = script.incoming()
    one, two = script.local(caller, "2001")
    script.reject(script.dial(two, f"PJSIP/{peer}", "2001"), status)
    script.dial_end(one, "NOANSWER")
    script.hangup(one, 127)
    script.hangup(two, 127)
    script.hangup(caller, 127, 500)


def cancelled(script: AmiScript, peer: str, _: str) -> None:
    caller = script.incoming()
    trunk = script.dial(caller, f"PJSIP/{peer}", "1")
    script.ring(trunk)
    script.cancel(caller, trunk)


def dead(script: AmiScript, peer: str, _: str) -> None:
    caller = script.incoming()
    trunk = script.dial(caller, f"PJSIP/{peer}", "1")
    script.wait(32)
    script.fail_locally(trunk, 18, 408)
    script.hangup(caller, 18, 408)


def refused(script: AmiScript, _: str, __: str) -> None:
    caller = script.incoming()
    script.refuse(caller)
    script.hangup_request(caller, 17, 486)
    script.hangup(caller, 17, 486)


def originated(script: AmiScript, peer: str, status: str) -> None:
    script.reject(script.originate(f"PJSIP/{peer}", "1"), status)


def turned_down(script: AmiScript, peer: str, _: str) -> None:
    caller = script.incoming()
    phone = script.dial(caller, f"PJSIP/{peer}", "1")
    script.ring(phone)
    phone.status = "200 OK"
    script.up(phone)
    script.dial_end(phone, "BUSY")
    script.hangup(phone, 16)
    script.hangup(caller, 16)


def paged(script: AmiScript, peer: str, status: str) -> None:
    caller = script.incoming()
    phones = [script.channel(f"PJSIP/{peer}-{letter}", caller.linkedid) for letter in "abc"]
    for phone in phones:
        script.dial_begin(None, phone, "1")
    script.reject(phones[0], status)
    script.answer(phones[1])
    script.hangup(phones[2], 19, 480)
    script.hangup_request(caller)
    script.hangup(phones[1])
    script.hangup(caller)


def broken_off(script: AmiScript, peer: str, _: str) -> None:
    caller = script.incoming()
    trunk = script.dial(caller, f"PJSIP/{peer}", "1")
    script.ring(trunk)
    script.dial_end(trunk, "CANCEL")
    script.hangup(trunk, 16)
    script.hangup(caller, 16)


SHAPES: tuple[Callable[[AmiScript, str, str], None], ...] = (
    rejected,
    rescued,
    forked,
    grouped,
    cancelled,
    dead,
    refused,
    originated,
    turned_down,
    paged,
    broken_off,
)


@dataclass(frozen=True)
class Traffic:
    """Some calls of one PBX, each with its events in order."""

    greeting: bytes
    calls: tuple[tuple[bytes, ...], ...]

    def one_after_the_other(self) -> list[bytes]:
        return [event for call in self.calls for event in call]

    def mixed(self, turns: Sequence[int]) -> list[bytes]:
        """The events in the order of ``turns``: whose event comes next."""
        rest = [iter(call) for call in self.calls]
        return [next(rest[turn]) for turn in turns]

    def turns(self) -> list[int]:
        return [number for number, call in enumerate(self.calls) for _ in call]


@st.composite
def traffic(draw: st.DrawFn) -> Traffic:
    release, line = draw(st.sampled_from(("16", "22"))), draw(st.booleans())
    shapes = draw(st.lists(st.tuples(st.sampled_from(SHAPES), st.sampled_from(STATUSES)), min_size=1, max_size=4))
    calls = []
    for number, (shape, status) in enumerate(shapes):
        script = AmiScript(release=release, line=line, first=100 * number + 1)
        shape(script, f"peer{number}", status)
        calls.append(tuple(script.events))
    return Traffic(AmiScript(release=release).greeting(), tuple(calls))


def told(records: Sequence[CallRecord]) -> dict[str, Any]:
    """Records by id, as they are written."""
    written = {record.id: to_json(record) for record in records}
    assert len(written) == len(records)
    return written


def read(calls: Traffic, events: Sequence[bytes]) -> dict[str, Any]:
    return told(Listener().hear(calls.greeting + b"".join(events)))


@FEW
@given(calls=traffic(), data=st.data())
def test_calls_do_not_disturb_each_other(calls: Traffic, data: st.DataObject) -> None:
    mixed = calls.mixed(data.draw(st.permutations(calls.turns())))
    assert read(calls, mixed) == read(calls, calls.one_after_the_other())


@FEW
@given(calls=traffic(), cuts=st.lists(st.integers(0, 60_000), max_size=12))
def test_it_does_not_matter_how_the_reads_fall(calls: Traffic, cuts: list[int]) -> None:
    stream = calls.greeting + b"".join(calls.one_after_the_other())
    listener = Listener()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in pairwise(edges):
        listener.hear(stream[start:end])
    assert told(listener.records) == read(calls, calls.one_after_the_other())


@FEW
@given(calls=traffic(), data=st.data())
def test_an_event_that_comes_again_changes_nothing(calls: Traffic, data: st.DataObject) -> None:
    events = calls.one_after_the_other()
    repeated = list(events)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(repeated) - 1))
        later = data.draw(st.integers(place + 1, len(repeated)))
        repeated.insert(later, repeated[place])
    assert read(calls, repeated) == read(calls, events)


@FEW
@given(calls=traffic(), data=st.data())
def test_a_restart_in_the_middle_gives_the_same_records(calls: Traffic, data: st.DataObject) -> None:
    events = calls.mixed(data.draw(st.permutations(calls.turns())))
    after = data.draw(st.integers(0, len(events)))
    before, later = Listener(), Listener()
    before.hear(calls.greeting + b"".join(events[:after]))
    saved = json.dumps([state.dump(call) for call in before.correlator._calls.values()])
    later.hear(calls.greeting)
    later.correlator.restore(state.load(data) for data in json.loads(saved))
    later.hear(b"".join(events[after:]))
    assert told(before.records + later.records) == read(calls, events)


@FEW
@given(calls=traffic(), data=st.data())
def test_whatever_is_lost_or_shuffled_every_call_comes_out_and_no_status_is_made_up(
    calls: Traffic, data: st.DataObject
) -> None:
    whole = calls.one_after_the_other()
    kept = data.draw(st.lists(st.sampled_from(range(len(whole))), unique=True))
    end = AmiScript()
    end.shut_down()
    listener = Listener()
    records = listener.hear(calls.greeting + b"".join([whole[place] for place in kept] + end.events))
    assert not listener.correlator._calls
    assert not listener.correlator._call_of
    assert told(records).keys() >= {record.id for record in records}
    sent = {int(status[:3]) for status in STATUSES} | {180, 200}
    for record in records:
        for attempt in record.attempts:
            if attempt.evidence.grade in (Grade.WIRE, Grade.REPORTED):
                assert attempt.sip.code in sent

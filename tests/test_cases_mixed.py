"""What holds for the recorded calls, however their events are mixed, doubled or lost on the way."""

from __future__ import annotations

import functools
import gzip
import random
import re
from itertools import chain
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asterisk_sip.calls.model import CallRecord, Grade, to_json
from asterisk_sip.sources.ami_wire import BANNER, END
from tests.ami_script import AmiScript
from tests.call_listener import Listener
from tests.cases import Case, all_cases

FEW = settings(max_examples=40, deadline=None)

# With the line every attempt speaks for itself: without it, what other calls heard of a peer lately counts too.
# Large recordings are of many calls of one kind: nothing new is learned of them.
SMALL = [case for case in all_cases() if len(case.recording.read_bytes()) < 6_000]
TOLD_BY_THEMSELVES = [case for case in SMALL if not case.name.endswith(("-noline", "stopped"))]


@functools.cache
def split(case: Case) -> tuple[bytes, tuple[bytes, ...]]:
    """Give what came before the events, and the events."""
    data = gzip.decompress(case.recording.read_bytes())
    banner, _, rest = data.partition(b"\r\n")
    assert banner.startswith(BANNER)
    blocks = [block + END for block in rest.split(END) if block]
    answers = b"".join(block for block in blocks if not block.startswith(b"Event: "))
    events = tuple(block for block in blocks if block.startswith(b"Event: "))
    return banner + b"\r\n" + answers, events


@functools.cache
def channels(case: Case) -> frozenset[bytes]:
    """Give the ids of a case's channels: two PBXs that were recorded in the same second may have the same."""
    return frozenset(re.findall(rb"\r\nUniqueid: ([^\r]+)", b"".join(split(case)[1])))


def heard(case: Case, events: list[bytes] | tuple[bytes, ...]) -> list[CallRecord]:
    return Listener().hear(split(case)[0] + b"".join(events))


def told(records: list[CallRecord]) -> dict[str, Any]:
    return {record.id: to_json(record) for record in records}


@FEW
@given(release=st.sampled_from(("16", "22")), data=st.data())
def test_recorded_calls_do_not_disturb_each_other(release: str, data: st.DataObject) -> None:
    ours = [case for case in TOLD_BY_THEMSELVES if case.release == release]
    cases = data.draw(st.lists(st.sampled_from(ours), min_size=2, max_size=4, unique=True))
    assume(sum(len(channels(case)) for case in cases) == len(set().union(*map(channels, cases))))
    streams = [split(case)[1] for case in cases]
    turns = [number for number, stream in enumerate(streams) for _ in stream]
    random.Random(data.draw(st.integers(0, 2**32))).shuffle(turns)
    rest = [iter(stream) for stream in streams]
    alone = [told(heard(case, split(case)[1])) for case in cases]
    assert told(heard(cases[0], [next(rest[turn]) for turn in turns])) == dict(chain(*(each.items() for each in alone)))


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_whichever_event_is_lost_the_calls_come_out_and_no_code_is_made_up(case: Case) -> None:
    _, events = split(case)
    end = AmiScript()
    end.shut_down()
    for place in range(len(events)):
        kept = (*events[:place], *events[place + 1 :])
        listener = Listener()
        records = listener.hear(split(case)[0] + b"".join((*kept, *end.events)))
        assert listener.correlator.held == 0
        text = b"".join(kept)
        for record in records:
            for attempt in record.attempts:
                if attempt.evidence.grade is Grade.WIRE:
                    assert b"=SIP %d" % (attempt.sip.code or 0) in text
                elif attempt.evidence.grade is Grade.REPORTED:
                    assert b"TechCause: %d\r\n" % (attempt.sip.code or 0) in text


@FEW
@given(case=st.sampled_from(SMALL), data=st.data())
def test_an_event_that_comes_again_changes_no_recorded_call(case: Case, data: st.DataObject) -> None:
    events = list(split(case)[1])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(events) - 1))
        events.insert(data.draw(st.integers(place + 1, len(events))), events[place])
    assert told(heard(case, events)) == told(heard(case, split(case)[1]))

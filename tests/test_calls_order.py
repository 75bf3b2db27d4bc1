"""Asterisk hangs a leg up in a thread of its own: how early that is told, beside what other legs do, is open."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator

import pytest

from asterisk_sip.calls import events as ev
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.state import Leg
from tests.call_listener import Listener
from tests.cases import Case, all_cases

END = b"\r\n\r\n"
HEARD = re.compile(rb"^Event: (?:New|Rename|Local|Dial|Hangup|SoftHangup|BridgeEnter|Queue|\w+Transfer)", re.MULTILINE)
HANGUP = re.compile(rb"^Event: Hangup\r$", re.MULTILINE)
UNIQUEID = re.compile(rb"^\w*Uniqueid: (\d+\.\d+)\r$", re.MULTILINE)
EARLIER = 3  # events of other legs that a Hangup may overtake
MANY = 20_000  # bytes, packed: many calls in a row, and each of their shapes has a recording of its own

CASES = [case for case in all_cases() if case.recording.stat().st_size < MANY and ".ami" in case.recording.suffixes]


def told(messages: list[bytes]) -> list[object]:
    """What the records say of each call, in no order."""
    listener = Listener()
    listener.hear(END.join(messages))
    return sorted(map(gist, listener.records), key=str)


def gist(record: CallRecord) -> object:
    attempts = [(each.uniqueid, each.stage, each.disposition, each.sip.code) for each in record.attempts]
    return record.linkedid, record.outcome, record.disposition, record.sip.code, record.partial, attempts


def overtaken(messages: list[bytes]) -> Iterator[list[bytes]]:
    """The same stream with one Hangup earlier, for each Hangup and as far as it may be."""
    for at, message in enumerate(messages):
        if HANGUP.search(message) is None:
            continue
        mine, passed, place = set(UNIQUEID.findall(message)), 0, at
        while place > 0 and passed < EARLIER and mine.isdisjoint(UNIQUEID.findall(messages[place - 1])):
            place -= 1
            passed += HEARD.search(messages[place]) is not None
        if passed:
            yield [*messages[:place], message, *messages[place:at], *messages[at + 1 :]]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_leg_that_hangs_up_a_little_earlier_changes_no_record(case: Case) -> None:
    messages = gzip.decompress(case.recording.read_bytes()).split(END)
    expected = told(messages)
    for other in overtaken(messages):
        assert told(other) == expected


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_channel_that_is_listed_before_its_beginning_is_told_was_seen_from_its_beginning(
    case: Case,
) -> None:
    """CoreShowChannels is answered at once; an event waits for its turn in the session (main/manager.c)."""
    stream = gzip.decompress(case.recording.read_bytes())
    listener = Listener()
    for event in listener.reader.feed(stream):
        if isinstance(event, ev.ChannelBegan):
            alive = [ev.Channel(leg.name, uniqueid, "") for uniqueid, leg in _living(listener)]
            listed = ev.ChannelsListed(event.at, (*alive, event.channel), event.at)
            listener.write(listener.correlator.feed(listed))
        listener.write(listener.correlator.feed(event))
    assert sorted(map(gist, listener.records), key=str) == told(stream.split(END))


def _living(listener: Listener) -> Iterator[tuple[str, Leg]]:
    for uniqueid, call in listener.correlator._call_of.items():
        yield uniqueid, call.legs[uniqueid]

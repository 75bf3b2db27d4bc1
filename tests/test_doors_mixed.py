"""AMI and ARI on one PBX: however the news of both are mixed, each call is told once, and as AMI alone tells it."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from typing import Any

import pytest

from asterisk_sip.calls import enrich
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.switchboard import Switchboard
from asterisk_sip.sources import ami_wire, ari_wire
from tests.test_ari_cases import KNOWS_MORE, PAIRS, recorded, surroundings

SETTLE_S = 0.25
SEEDS = range(6)
Heard = list[tuple[float, ev.Event]]

ONE_DOOR_KNOWS_MORE = {f"{name}-{release}" for name in KNOWS_MORE for release in ("16", "22")}


def heard_through(name: str, door: str) -> list[ev.Event]:
    """The events of one door, but for the lists of channels that only a new link brings."""
    stream = gzip.decompress(recorded(name, door).read_bytes())
    reader = ami_wire.Reader(ami_wire.RecordedClock()) if door == "ami" else ari_wire.Reader()
    return [event for event in reader.feed(stream) if not isinstance(event, ev.ChannelsListed)]


def with_delays(events: list[ev.Event], draw: random.Random, gather_s: float, late_s: float) -> Heard:
    """Give each event the time at which it arrives: in reads that gather, each of them late, in order."""
    heard: Heard = []
    end = at = 0.0
    for event in events:
        if event.at > end:
            end = event.at + draw.uniform(0, gather_s)
            at = max(at, end) + draw.uniform(0, late_s)
        heard.append((at, event))
    return heard


def told(heard: Heard, settle_s: float) -> Counter[tuple[Any, ...]]:
    """The verdict on every call."""
    board = Switchboard(settle_s=settle_s)
    ended = [call for now, event in heard for call in board.feed(event, now)]
    ended += board.finish()
    ended += board.correlator.drop_all(heard[-1][0])
    ended += board.finish()
    assert board.correlator.held == 0
    return Counter(verdict(enrich.record(call, surroundings("22.10.1"))) for call in ended)


def verdict(record: CallRecord) -> tuple[Any, ...]:
    attempts = sorted(
        (attempt.stage, attempt.channel, attempt.dialled, attempt.sip.code, attempt.disposition, attempt.evidence.grade)
        for attempt in record.attempts
    )
    decided = (record.outcome, record.disposition, record.sip.code, record.released_by, record.partial)
    return (record.linkedid, record.dialled, record.caller.number, *decided, *attempts)


def at_other_times(events: list[ev.Event], later_s: float) -> list[ev.Event]:
    """The same events as a door tells them whose times are a little later."""
    return [event._replace(at=event.at + later_s) for event in events]


@pytest.mark.parametrize(
    "name", [f"{name}-{release}" for name in ("cancel", "cancel-early") for release in ("16", "22")]
)
def test_a_caller_who_gave_up_did_so_by_whatever_clock(name: str) -> None:
    ami, ari = heard_through(name, "ami"), heard_through(name, "ari")
    alone = told([(event.at, event) for event in ami], 0.0)
    for later_s in (0.0, 0.01, 0.04):
        told_late = at_other_times(ami, later_s)
        for order in (told_late + ari, ari + told_late):
            both = sorted(((event.at, event) for event in order), key=lambda arrival: arrival[0])
            assert told(both, SETTLE_S) == alone


@pytest.mark.parametrize("name", sorted(set(PAIRS) - ONE_DOOR_KNOWS_MORE))
def test_two_doors_tell_what_one_tells(name: str) -> None:
    ami, ari = heard_through(name, "ami"), heard_through(name, "ari")
    alone = told([(event.at, event) for event in ami], 0.0)
    for seed in SEEDS:
        draw = random.Random(seed)
        late_s = draw.choice((0.0, 0.05, 0.5))
        both = with_delays(ami, draw, 0.1, 0.02) + with_delays(ari, draw, 0.02, late_s)
        both.sort(key=lambda arrival: arrival[0])
        assert told(both, SETTLE_S) == alone, f"seed {seed}"

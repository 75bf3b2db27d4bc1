"""Reads AMI bytes all the way to records, as the daemon and ``replay`` do, and lets a test look inside on the way."""

from __future__ import annotations

from asterisk_sip.calls import enrich, state
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.correlator import Correlator
from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.calls.model import Attempt, CallRecord
from asterisk_sip.sources import ami_wire
from tests.ami_script import AmiScript

TRUNKS = (TrunkRule(None, ("acme", "globex", "initech")),)


class Listener:
    """One PBX's stream in the making: its reader, its correlator, and the records so far."""

    def __init__(self, limits: Limits | None = None, trunks: tuple[TrunkRule, ...] = TRUNKS) -> None:
        self.reader = ami_wire.Reader(ami_wire.RecordedClock())
        self.correlator = Correlator(limits)
        self.records: list[CallRecord] = []
        self._trunks = trunks

    def hear(self, data: bytes) -> list[CallRecord]:
        """Take the bytes of one read; return the records of the calls that ended in it."""
        calls = [call for event in self.reader.feed(data) for call in self.correlator.feed(event)]
        return self.write(calls)

    def write(self, calls: list[state.Call]) -> list[CallRecord]:
        """Write the records of ended calls."""
        version = self.reader.version or ami_wire.release_of_banner(self.reader.framer.banner)
        around = Surroundings("pbx", version, self._trunks)
        written = [enrich.record(call, around) for call in calls]
        self.records += written
        return written


def records(stream: bytes, limits: Limits | None = None) -> list[CallRecord]:
    """The records of a whole stream that comes in one read."""
    return Listener(limits).hear(stream)


def record(script: AmiScript) -> CallRecord:
    """The record of the only call in a script."""
    [written] = records(script.stream())
    return written


def only(attempts: tuple[Attempt, ...]) -> Attempt:
    """The only attempt of a call."""
    [attempt] = attempts
    return attempt

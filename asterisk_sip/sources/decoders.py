"""What reads the frames of each door again: one table, one row a door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from asterisk_sip.calls import events as ev
from asterisk_sip.sources import ami_wire, ari_wire, handler_wire, hep_wire
from asterisk_sip.sources.ami_clock_wire import Fields


class Decoder(Protocol):
    """Reads what one connection to one door gave."""

    def feed(self, data: bytes, at: float) -> list[ev.Event]:
        """Take the data of one frame and when it came, 0 when that is not known; return the events in it."""

    def finish(self) -> list[ev.Event]:
        """Say that no more comes; return what may be taken for whole."""

    @property
    def version(self) -> str | None:
        """Asterisk's version, as far as the frames tell it."""

    @property
    def unreadable(self) -> int:
        """How many messages were passed over."""


class AmiDecoder:
    """AMI: bytes of a stream."""

    def __init__(self) -> None:
        self._recorded = ami_wire.RecordedClock()
        self._at = 0.0
        self._timed = False  # something told a time; else what is told is only the earliest that can be
        self._reader = ami_wire.Reader(self._clock)

    def _clock(self, fields: Fields, newest: float) -> float:
        """Give an event its own time, else that of its frame, else one that the recording allows to tell."""
        if not self._at:
            return self._recorded(fields, newest)
        at = ami_wire.timestamp(fields)
        return self._at if at is None else at

    def feed(self, data: bytes, at: float) -> list[ev.Event]:
        """Take the bytes of one read."""
        self._at = at
        self._timed = self._timed or at > 0 or b"\r\nTimestamp: " in data
        events = self._reader.feed(data)
        self._reader.responses.clear()
        if self._timed:
            return events
        return [event._replace(seen=False) if isinstance(event, ev.DialBegan) else event for event in events]

    def finish(self) -> list[ev.Event]:
        """Take the last message, if it lacks its empty line only."""
        return self._reader.finish()

    @property
    def version(self) -> str | None:
        """What CoreSettings answered; in a recording of its own, else what the banner tells."""
        told = None if self._at else ami_wire.release_of_banner(self._reader.framer.banner)
        return self._reader.version or told

    @property
    def banner(self) -> str | None:
        """AMI's first line: empty when there was none, None when there was nothing to read."""
        return self._reader.framer.banner

    @property
    def unreadable(self) -> int:
        """Messages that could not be read, or are too long."""
        return self._reader.unreadable + self._reader.framer.oversized


class AriDecoder:
    """ARI: lines with a message each."""

    def __init__(self) -> None:
        self._reader = ari_wire.Reader()

    def feed(self, data: bytes, at: float) -> list[ev.Event]:  # noqa: ARG002  ARI tells the time of every event
        """Take some lines."""
        return self._reader.feed(data)

    def finish(self) -> list[ev.Event]:
        """Nothing: a line that has no end is none."""
        return []

    @property
    def version(self) -> str | None:
        """What the message about Asterisk itself tells."""
        return self._reader.version

    @property
    def unreadable(self) -> int:
        """Messages that could not be read, or are too long."""
        return self._reader.missed


class AgiDecoder:
    """AGI: a line of JSON for each report, as ``AgiSource`` tells it."""

    version = None

    def __init__(self) -> None:
        self.unreadable = 0

    def feed(self, data: bytes, at: float) -> list[ev.Event]:
        """Take some lines."""
        events: list[ev.Event] = []
        for line in data.splitlines():
            report = handler_wire.recorded(line, at)
            if report is None:
                self.unreadable += 1
            else:
                events.append(report)
        return events

    def finish(self) -> list[ev.Event]:
        """Nothing: each frame holds whole lines."""
        return []


class HepDecoder:
    """HEP: a datagram a frame."""

    def __init__(self) -> None:
        self._reader = hep_wire.Reader()

    def feed(self, data: bytes, at: float) -> list[ev.Event]:  # noqa: ARG002  a datagram tells its time
        """Take one datagram."""
        return [*self._reader.feed(data, hep_wire.sender_of(data))]

    def finish(self) -> list[ev.Event]:
        """Nothing: a datagram is whole."""
        return []

    @property
    def version(self) -> str | None:
        """SIP does not tell it."""
        return None

    @property
    def unreadable(self) -> int:
        """Datagrams that hold no SIP message one can use."""
        return self._reader.unreadable


DECODERS: dict[str, Callable[[], Decoder]] = {
    "ami": AmiDecoder,
    "ari": AriDecoder,
    "agi": AgiDecoder,
    "hep": HepDecoder,
}
"""By the name of the door, as a frame has it."""

"""AMI messages to events: the choice of what is worth parsing, and parsing. Pure.

Format (Asterisk main/manager.c): a message is ``Key: value`` lines in UTF-8, but a remote party can put any byte
into a value.
"""

from __future__ import annotations

import re

from asterisk_sip.calls import events as ev
from asterisk_sip.sources import ami_shape_wire
from asterisk_sip.sources.ami_clock_wire import Clock, Fields, RecordedClock, timestamp
from asterisk_sip.sources.ami_event_wire import WANTED, Headers, channel_of, status_variable, unescape
from asterisk_sip.sources.ami_frame_wire import BANNER, DEFAULT_MAX_MESSAGE_BYTES, END, EOL, Framer

__all__ = [  # frame, headers and clock belong to the wire: who reads AMI needs one module
    "BANNER",
    "DEFAULT_MAX_MESSAGE_BYTES",
    "END",
    "EOL",
    "WANTED",
    "Clock",
    "Fields",
    "Framer",
    "Headers",
    "Reader",
    "RecordedClock",
    "asterisk_version",
    "release_of_banner",
    "short_version",
    "status_variable",
    "timestamp",
    "unescape",
]


_VERSION = re.compile(r"(?:certified[-/])?\d+(?:\.\d+)*(?:-cert\d+(?:-rc\d+)?|-rc\d+)?")

MAX_LISTED = 200_000
"""So many channels of one list are kept; no Asterisk has more, and a list may never end."""

_EVENT = b"Event: "
_MAKERS = {_EVENT + name.encode(): maker for name, maker in WANTED.items()}
_LISTED = _EVENT + b"CoreShowChannel"
_LISTED_ALL = _EVENT + b"CoreShowChannelsComplete"
_HEADS = frozenset(line[: len(_EVENT) + 6] for line in (*_MAKERS, _LISTED))
_HEAD_BYTES = len(_EVENT) + 6
"""So many bytes of a message tell most of those that are not wanted."""


def asterisk_version(block: bytes) -> str | None:
    """Return ``22.10.1`` from the answer to CoreSettings (``AsteriskVersion: 22.10.1+dfsg+~cs6...``), else None."""
    marker = b"AsteriskVersion: "
    start = block.find(marker)
    if start < 0:
        return None
    text = block[start + len(marker) :].split(EOL, 1)[0].decode("utf-8", "backslashreplace")
    return short_version(text)


def short_version(text: str) -> str | None:
    """Return ``22.10.1`` from ``22.10.1+dfsg+~cs6...``; what is no version, as it is; None for nothing."""
    match = _VERSION.match(text)
    return match[0] if match is not None else text.strip() or None


RELEASE_OF_AMI = {"5": "16", "7": "18", "8": "19", "9": "20", "10": "21", "11": "22", "12": "23"}
"""The Asterisk release behind the major version of its AMI (include/asterisk/manager.h ``AMI_VERSION``)."""


def release_of_banner(banner: str | None) -> str | None:
    """Return the release (``22``) that a banner (``Asterisk Call Manager/11.0.0``) belongs to, None when unknown."""
    major = (banner or "").rpartition("/")[2].partition(".")[0]
    return RELEASE_OF_AMI.get(major)


class Reader:
    """Turns the bytes of one AMI connection, live or recorded, into events. The rest is in ``responses``.

    ``clock`` gives each event its time from its headers. ``version`` is Asterisk's as soon as the stream tells it.
    A message that cannot be read is counted in ``unreadable`` and passed over: one bad message costs only itself.
    """

    def __init__(self, clock: Clock, max_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self.framer = Framer(max_bytes)
        self.version: str | None = None
        self.responses: list[bytes] = []
        self.unreadable = 0
        self._clock = clock
        self._listed: list[ev.Channel] = []
        self._heard_at = 0.0  # when the newest event happened
        self._listed_since: float | None = None  # when the list that is coming was begun, by Asterisk's clock

    def feed(self, data: bytes) -> list[ev.Event]:
        """Take the next bytes; return the events that are now whole, in order."""
        return self._read(self.framer.feed(data))

    def finish(self) -> list[ev.Event]:
        """Say that no more comes; return what may be taken for whole."""
        return self._read(self.framer.finish())

    def _read(self, blocks: list[bytes]) -> list[ev.Event]:
        events: list[ev.Event] = []
        for block in blocks:
            head = block[:_HEAD_BYTES]
            if head in _HEADS:
                self._take(block, events)
            elif not head.startswith(_EVENT):  # the rest are events that nobody here wants, most of all
                self._take(block.lstrip(EOL), events)
        return events

    def _take_event(self, first_line: bytes, block: bytes, events: list[ev.Event]) -> None:
        event = None
        try:
            if first_line in ami_shape_wire.SHAPES:
                event = ami_shape_wire.read(first_line, block.decode("utf-8", "backslashreplace"))
            if event is None:
                headers = Headers(block)
                event = _MAKERS[first_line](headers, self._clock(headers, self._heard_at))
        except (ValueError, LookupError):
            self.unreadable += 1
        if event is not None:
            self._heard_at = max(self._heard_at, event.at)
            events.append(event)

    def _take(self, block: bytes, events: list[ev.Event]) -> None:
        first_line = block.partition(EOL)[0]
        if first_line in _MAKERS:
            self._take_event(first_line, block, events)
        elif first_line == _LISTED:
            self._take_listed(block)
        elif first_line == _LISTED_ALL:
            events.append(self._list(Headers(block)))
        elif first_line.startswith(b"Response: "):
            self._take_answer(block)

    def _take_listed(self, block: bytes) -> None:
        if len(self._listed) < MAX_LISTED:
            self._listed.append(channel_of(Headers(block)))
        else:
            self.unreadable += 1

    def _list(self, headers: Headers) -> ev.Event:
        listed, since = tuple(self._listed), self._listed_since
        self._listed, self._listed_since = [], None
        return ev.ChannelsListed(self._clock(headers, self._heard_at), listed, since)

    def _take_answer(self, block: bytes) -> None:
        if b"Channels will follow" in block:
            self._listed_since = self._heard_at or self._clock(Headers(block), 0.0)
        self.version = asterisk_version(block) or self.version
        self.responses.append(block)

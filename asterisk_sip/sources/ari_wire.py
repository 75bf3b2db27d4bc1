"""ARI events (JSON objects, one a line) to the core's events. Pure.

As seen from Asterisk 16.28 and 22.10.1 with ``subscribeAll=true``. No channel shows its linkedid, so events tell the
core which channels belong to one call: who dials whom, which bridge they share, and the halves of a Local channel,
found by their names, as ARI has no event for their pairing. Nor has it one for queues: a channel waits from where the
dialplan runs ``Queue`` on it until it meets an agent in a bridge or the dialplan goes on. Nothing tells of renaming,
booting or a shutdown. Times have milliseconds. Text that is not UTF-8 is left out by Asterisk itself, with all of the
channel's ``channelvars``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Bounded
from asterisk_sip.sources import handler_wire
from asterisk_sip.sources.ami_event_wire import reads_status
from asterisk_sip.sources.ami_wire import MAX_LISTED, short_version

DEFAULT_MAX_MESSAGE_BYTES = 1 << 20
MAX_WAITING = 10_000
"""How many halves of Local channels may wait for their other half, and how many callers in queues."""

INFO = "asterisk-sip/info"
CHANNEL, BRIDGE, LISTED = "asterisk-sip/channel", "asterisk-sip/bridge", "asterisk-sip/listed"
"""Types of messages that are not Asterisk's own: what it answered when we asked, in the form of its events. A list is
as many lines as it has items, and one that ends it."""

_UNWANTED = re.compile(
    rb'"type": ?"(?:Channel(?:Varset|ConnectedLine|CallerId|Hold|Unhold|DtmfReceived|Talking\w+)'
    rb"|DeviceStateChanged|PeerStatusChange|EndpointStateChange|ContactStatusChange|Bridge(?:Created|Destroyed)"
    rb'|TextMessageReceived)"'
)
"""Most of what ARI sends: not worth parsing. Quotes in a value are escaped, so no value looks like this."""

_STEP = b'"ChannelDialplan"'
_QUEUE = "Queue"
_QUEUES = re.compile(rb'"dialplan_app": ?"Queue"')

_ONE_CALL = frozenset({"basic", "stasis"})
"""Classes of bridges whose channels take on one linkedid (``ast_bridge_channel_update_linkedids``); a ConfBridge
(``base``) and a car park do not make one call of theirs."""

_PROGRESS = frozenset({"RINGING", "PROGRESS", "PROCEEDING"})
_NO_NUMBER = 10**9  # no cause and no status is as large
_LAST_SECOND = 253_402_300_799.0

Message = Mapping[str, Any]


class Lines:
    """Cuts a stream into lines. Memory is bounded: a line of more than ``max_bytes`` is dropped and counted."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""
        self._dropping = False
        self.oversized = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; give the lines that are now whole."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if len(line) <= self._max_bytes and not self._dropping:
                yield line
            elif not self._dropping:
                self.oversized += 1
            self._dropping = False
        if len(self._rest) > self._max_bytes:
            self._rest = b""
            self.oversized += not self._dropping
            self._dropping = True


class Reader:
    """Turns the messages of one ARI connection, live or recorded, into events.

    ``version`` is Asterisk's as soon as a message tells it. ``taken_over`` tells that another client uses our
    application's name: nothing comes any more. ``unreadable`` counts lines that are no ARI messages, or lack what they
    must have: one bad message costs only itself.
    """

    def __init__(self, max_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self.lines = Lines(max_bytes)
        self.version: str | None = None
        self.unreadable = 0
        self.taken_over = False
        self.heard_at: float | None = None  # when the newest event happened, by Asterisk's clock
        self._halves: Bounded[str, ev.Channel] = Bounded(MAX_WAITING)
        self._queued: Bounded[str, None] = Bounded(MAX_WAITING)  # by uniqueid
        self._channels: list[ev.Channel] = []  # of the list that is coming
        self._meetings: list[ev.Event] = []

    @property
    def missed(self) -> int:
        """How many messages were passed over."""
        return self.unreadable + self.lines.oversized

    def feed(self, data: bytes) -> list[ev.Event]:
        """Take the next bytes; return the events of the lines that are now whole, in order."""
        return [event for line in self.lines.feed(data) if line for event in self.read(line)]

    def read(self, line: bytes) -> list[ev.Event]:
        """Return the events of one message."""
        if _UNWANTED.search(line) or (_STEP in line and not self._queued and not _QUEUES.search(line)):
            return []
        try:
            return self._take(json.loads(line.decode("utf-8", "replace")))
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
            self.unreadable += 1
            return []

    def _take(self, message: Message) -> list[ev.Event]:
        kind = message["type"]
        if not isinstance(kind, str):
            raise TypeError("a message whose type is no text")
        maker = _MAKERS.get(kind)
        if maker is None:
            return []
        at = _time(message["timestamp"])
        events = maker(self, message, at)
        self.heard_at = max(self.heard_at or 0.0, at)
        return events

    # what each message becomes

    def _created(self, message: Message, at: float) -> list[ev.Event]:
        channel = channel_of(message["channel"])
        return [ev.ChannelBegan(at, channel), *self._paired(channel, at)]

    def _changed(self, message: Message, at: float) -> list[ev.Event]:
        return [ev.ChannelSeen(at, channel_of(message["channel"]))]

    def _entered(self, message: Message, at: float) -> list[ev.Event]:
        channel = channel_of(message["channel"])
        return [*self._left_queue(channel, at), ev.ChannelSeen(at, channel), *_met(message["bridge"], at)]

    def _stepped(self, message: Message, at: float) -> list[ev.Event]:
        channel = channel_of(message["channel"])
        if message["dialplan_app"] != _QUEUE:
            return self._left_queue(channel, at)
        self._queued[channel.uniqueid] = None
        return [ev.QueueJoined(at, channel)]

    def _left_queue(self, channel: ev.Channel, at: float) -> list[ev.Event]:
        if channel.uniqueid not in self._queued:
            return []
        self._queued.pop(channel.uniqueid)
        return [ev.QueueLeft(at, channel)]

    def _dialled(self, message: Message, at: float) -> list[ev.Event]:
        caller, status = message.get("caller"), _text(message, "dialstatus")
        source = channel_of(caller) if caller else None
        dest = channel_of(message["peer"], heard=bool(status) and status not in _PROGRESS)
        if not status:
            return [ev.DialBegan(at, source, dest, _text(message, "dialstring"))]
        if status in _PROGRESS:
            return [ev.DialProgressed(at, dest, status)]
        return [ev.DialEnded(at, dest, status, _text(message, "forward") or None, source)]

    def _requested(self, message: Message, at: float) -> list[ev.Event]:
        if message.get("soft"):  # its cause is a mask of flags, as that of AMI's SoftHangupRequest
            return []
        channel = channel_of(message["channel"])
        return [ev.HangupRequested(at, channel, _cause(message), _number(message, "tech_cause"))]

    def _destroyed(self, message: Message, at: float) -> list[ev.Event]:
        channel = channel_of(message["channel"], heard=True)
        self._halves.pop(channel.name)
        text = _text(message, "cause_txt") or None
        ended = ev.HungUp(at, channel, _cause(message), text, _number(message, "tech_cause"))
        return [*self._left_queue(channel, at), ended]

    def _told(self, message: Message, at: float) -> list[ev.Event]:
        if message["eventname"] != handler_wire.USER_EVENT:
            return []
        report = handler_wire.report_of(_text(message["userevent"], handler_wire.FIELD), "UserEvent", at)
        if report is None:
            raise ValueError("not a hangup handler's report")
        return [report]

    def _list_channel(self, message: Message, _at: float) -> list[ev.Event]:
        if len(self._channels) >= MAX_LISTED:
            raise ValueError("a list that does not end")
        self._channels.append(channel_of(message["channel"]))
        return []

    def _list_bridge(self, message: Message, at: float) -> list[ev.Event]:
        if len(self._meetings) >= MAX_LISTED:
            raise ValueError("a list that does not end")
        self._meetings += _met(message["bridge"], at)
        return []

    def _listed(self, message: Message, at: float) -> list[ev.Event]:
        channels, meetings = tuple(self._channels), self._meetings
        self._channels, self._meetings = [], []
        pairs = [event for channel in channels for event in self._paired(channel, at)]
        return [ev.ChannelsListed(at, channels, _time(message["since"])), *pairs, *meetings]

    def _told_version(self, message: Message, _at: float) -> list[ev.Event]:
        self.version = short_version(_text(message["answer"]["system"], "version")) or self.version
        return []

    def _replaced(self, _message: Message, _at: float) -> list[ev.Event]:
        self.taken_over = True
        return []

    def _paired(self, channel: ev.Channel, at: float) -> list[ev.Event]:
        """Return the pairing of a Local channel's halves when this is the second of them."""
        half = _other_half(channel.name)
        if half is None:
            return []
        other = self._halves.pop(half)
        if other is None:
            self._halves[channel.name] = channel
            return []
        one, two = (channel, other) if channel.name.endswith(";1") else (other, channel)
        return [ev.LocalPaired(at, one, two)]


def info_line(answer: object, at: float) -> bytes:
    """Return what ``GET /asterisk/info`` gave as a line for the reader; ``at`` is seconds since 1970."""
    return _line({"type": INFO, "timestamp": _iso(at), "answer": answer})


def list_lines(channels: Iterable[object], bridges: Iterable[object], at: float, since: float) -> Iterator[bytes]:
    """Give what ``GET /channels`` and ``GET /bridges`` gave, asked at ``since`` and complete ``at``, as lines."""
    for kind, key, items in ((CHANNEL, "channel", channels), (BRIDGE, "bridge", bridges)):
        for item in items:
            yield _line({"type": kind, "timestamp": _iso(at), key: item})
    yield _line({"type": LISTED, "timestamp": _iso(at), "since": _iso(since)})


def frame_line(frame: bytes) -> bytes:
    """Return a frame as one line: with ``pretty = yes`` in ari.conf Asterisk breaks it into several."""
    return frame.replace(b"\n", b" ") + b"\n"  # in JSON a line break stands only between values, never in a text


def channel_of(data: Message, *, heard: bool = False) -> ev.Channel:
    """Return the channel that an object shows; ``heard`` says whether to look for the status line too."""
    name, uniqueid, state = _text(data, "name"), _text(data, "id"), data["state"]
    if not uniqueid:
        raise ValueError("a channel without an id")
    caller, dialplan = data["caller"], data["dialplan"]
    return ev.Channel(
        name,
        uniqueid,
        "",
        state == "Up",
        state == "Ringing",
        state == "Busy",
        _text(caller, "number") or None,
        _text(caller, "name") or None,
        _text(data, "accountcode") or None,
        _text(dialplan, "context") or None,
        _text(dialplan, "exten") or None,
        _heard(data.get("channelvars")) if heard else None,
        _text(data, "protocol_id") or None if name.startswith(("PJSIP/", "SIP/")) else None,
    )


def _met(bridge: Message, at: float) -> list[ev.Event]:
    together = tuple(bridge["channels"])
    if len(together) < 2 or bridge.get("bridge_class") not in _ONE_CALL or bridge.get("bridge_type") == "holding":
        return []
    if not all(isinstance(uniqueid, str) for uniqueid in together):
        raise TypeError("a channel's id is no text")
    return [ev.ChannelsMet(at, together)]


def _time(text: str) -> float:
    at = datetime.fromisoformat(text).timestamp()
    if not 0.0 <= at <= _LAST_SECOND:
        raise ValueError("a time before 1970 or after 9999")
    return at


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _line(message: Message) -> bytes:
    return json.dumps(message, ensure_ascii=True).encode() + b"\n"


def _text(data: Message, key: str) -> str:
    value = data.get(key, "")
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    if value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is no text that can be stored


def _number(message: Message, key: str) -> int | None:
    value = message.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _NO_NUMBER else None


def _cause(message: Message) -> int | None:
    cause = _number(message, "cause")
    return cause if cause is not None and cause <= handler_wire.LAST_CAUSE else None


def _heard(variables: object) -> str | None:
    """Return the value of the channelvars line, whose name holds the line itself; None when it is not there."""
    if isinstance(variables, dict):
        for name in variables:
            if reads_status(name):
                return _text(variables, name)
    return None


def _other_half(name: str) -> str | None:
    """Return the name of the other half of a Local channel, None for any other channel."""
    if not name.startswith("Local/") or name[-2:] not in (";1", ";2"):
        return None
    return name[:-1] + ("2" if name[-1] == "1" else "1")


_MAKERS: dict[str, Callable[[Reader, Message, float], list[ev.Event]]] = {
    "ChannelCreated": Reader._created,  # noqa: SLF001  the table belongs to the class
    "ChannelStateChange": Reader._changed,  # noqa: SLF001  of the class above
    "ChannelEnteredBridge": Reader._entered,  # noqa: SLF001  of the class above
    "ChannelLeftBridge": Reader._changed,  # noqa: SLF001  of the class above
    "ChannelDialplan": Reader._stepped,  # noqa: SLF001  of the class above
    "ChannelUserevent": Reader._told,  # noqa: SLF001  of the class above
    "Dial": Reader._dialled,  # noqa: SLF001  of the class above
    "ChannelHangupRequest": Reader._requested,  # noqa: SLF001  of the class above
    "ChannelDestroyed": Reader._destroyed,  # noqa: SLF001  of the class above
    "ApplicationReplaced": Reader._replaced,  # noqa: SLF001  of the class above
    INFO: Reader._told_version,  # noqa: SLF001  of the class above
    CHANNEL: Reader._list_channel,  # noqa: SLF001  of the class above
    BRIDGE: Reader._list_bridge,  # noqa: SLF001  of the class above
    LISTED: Reader._listed,  # noqa: SLF001  of the class above
}

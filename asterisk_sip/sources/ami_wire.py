"""AMI bytes to events: framing, the choice of what is worth parsing, parsing. Pure.

Format: Asterisk doc/manager and main/manager.c: messages are ``Key: value`` lines ended by CR LF, a message by an
empty line; the first bytes of a connection are a one-line banner. A message is text in UTF-8, but a remote party can
put any byte into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from asterisk_sip.calls import events as ev

BANNER = b"Asterisk Call Manager/"
EOL = b"\r\n"
END = b"\r\n\r\n"
DEFAULT_MAX_MESSAGE_BYTES = 1 << 20

Fields = dict[str, str]


class Framer:
    """Cuts a byte stream into messages, however the reads fall. Memory is bounded.

    A message over ``max_bytes`` is thrown away up to its end and counted in ``oversized``; the stream goes on.
    ``banner`` is the first line of the stream once it came: empty when the stream began without one.
    """

    __slots__ = ("_max_bytes", "_rest", "_skipping", "banner", "oversized")

    def __init__(self, max_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self._rest = b""
        self._skipping = False
        self._max_bytes = max_bytes
        self.banner: str | None = None
        self.oversized = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the messages that are now whole, without their empty line."""
        data = self._rest + data
        if self.banner is None:
            data = self._take_banner(data)
        blocks = data.split(END)
        self._rest = blocks.pop()
        if self._skipping and blocks:
            del blocks[0]
            self._skipping = False
        if len(self._rest) >= self._max_bytes + len(END):  # too long wherever its end may be
            self._rest = self._rest[-(len(END) - 1) :]
            self.oversized += not self._skipping
            self._skipping = True
        return [block for block in blocks if self._fits(block)]

    def _fits(self, block: bytes) -> bool:
        fits = len(block) <= self._max_bytes
        self.oversized += not fits
        return fits

    def _take_banner(self, data: bytes) -> bytes:
        if not data.startswith(BANNER):
            if not BANNER.startswith(data[: len(BANNER)]):
                self.banner = ""
            return data
        line, end, rest = data.partition(EOL)
        if not end:
            return data
        self.banner = line.decode("ascii", "replace")
        return rest


def fields_of(block: bytes) -> Fields:
    """Return a message's headers. Of a repeated header the first stays, but channelvars lines are looked through.

    The value of the line that tells the SIP status is under ``heard`` (``dest_heard`` for ``DestChanVariable``).
    Bytes that are not UTF-8 are kept as ``\\xNN``.
    """
    fields: Fields = {}
    for line in block.decode("utf-8", "backslashreplace").split("\r\n"):
        key, separator, value = line.partition(": ")
        if not separator:
            continue
        if key.endswith("ChanVariable"):
            heard = status_variable(value)
            if heard is not None:
                fields["dest_heard" if key[0] == "D" else "heard"] = heard
        elif key not in fields:
            fields[key] = value
    return fields


def status_variable(assignment: str) -> str | None:
    """Return the value of a ``NAME=VALUE`` channel variable whose NAME reads HANGUPCAUSE, else None.

    The name itself holds ``=``, ``"`` and brackets, the value is remote text; so the name ends where its brackets do,
    and one without brackets at its first ``=``.
    """
    if "HANGUPCAUSE(" not in assignment:
        return None
    depth = 0
    for position, letter in enumerate(assignment):
        if letter == "=" and depth == 0:
            return None
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                name, value = assignment[: position + 1], assignment[position + 1 :]
                return unescape(value[1:]) if value.startswith("=") and "HANGUPCAUSE(" in name else None
    return None


def unescape(text: str) -> str:
    """Undo what AMI does to remote text: C escapes for quotes, ``?``, backslash and control letters.

    Asterisk passes channel variables and caller names through ``ast_escape_c`` (main/manager_channels.c, main/utils.c;
    seen on 22.10.1: ``it's "ok"?`` comes as ``it\\'s \\"ok\\"\\?``).
    """
    return text if "\\" not in text else _ESCAPE.sub(lambda match: _ESCAPED[match[1]], text)


_ESCAPED = dict(zip("abfnrtv\\'\"?", "\a\b\f\n\r\t\v\\'\"?", strict=True))
_ESCAPE = re.compile(r"""\\([abfnrtv\\'"?])""")


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _known(text: str | None) -> str | None:
    return text if text and text != "<unknown>" else None


def channel_of(fields: Fields, prefix: str = "") -> ev.Channel:
    """Return the channel that a message's headers show; ``prefix`` is ``Dest``, ``LocalOne`` or ``LocalTwo``."""
    get = fields.get
    state = get(prefix + "ChannelState")
    return ev.Channel(
        get(prefix + "Channel", ""),
        get(prefix + "Uniqueid", ""),
        get(prefix + "Linkedid", ""),
        state == "6",
        state == "5",
        state == "7",
        _known(get(prefix + "CallerIDNum")),
        unescape(name) if (name := _known(get(prefix + "CallerIDName"))) else None,
        get(prefix + "AccountCode") or None,
        get(prefix + "Context") or None,
        get(prefix + "Exten") or None,
        get("dest_heard" if prefix else "heard"),
    )


def _seen(fields: Fields, at: float) -> ev.Event:
    return ev.ChannelSeen(at, channel_of(fields))


def _began(fields: Fields, at: float) -> ev.Event:
    return ev.ChannelBegan(at, channel_of(fields))


def _renamed(fields: Fields, at: float) -> ev.Event:
    return ev.ChannelRenamed(at, fields.get("Uniqueid", ""), fields.get("Linkedid", ""), fields.get("Newname", ""))


def _local(fields: Fields, at: float) -> ev.Event:
    return ev.LocalPaired(at, channel_of(fields, "LocalOne"), channel_of(fields, "LocalTwo"))


def _dial_began(fields: Fields, at: float) -> ev.Event:
    source = channel_of(fields) if "Uniqueid" in fields else None
    return ev.DialBegan(at, source, channel_of(fields, "Dest"), fields.get("DialString", ""))


def _dial_progressed(fields: Fields, at: float) -> ev.Event:
    return ev.DialProgressed(at, channel_of(fields, "Dest"), fields.get("DialStatus", ""))


def _dial_ended(fields: Fields, at: float) -> ev.Event:
    return ev.DialEnded(at, channel_of(fields, "Dest"), fields.get("DialStatus", ""), fields.get("Forward") or None)


def _requested(fields: Fields, at: float) -> ev.Event:
    cause, tech_cause = _number(fields.get("Cause")), _number(fields.get("TechCause"))
    return ev.HangupRequested(at, channel_of(fields), cause, tech_cause)


def _hung_up(fields: Fields, at: float) -> ev.Event:
    cause, tech_cause = _number(fields.get("Cause")), _number(fields.get("TechCause"))
    return ev.HungUp(at, channel_of(fields), cause, fields.get("Cause-txt") or None, tech_cause)


def _booted(_fields: Fields, at: float) -> ev.Event:
    return ev.Booted(at)


def _shut_down(fields: Fields, at: float) -> ev.Event:
    return ev.ShutDown(at, fields.get("Restart") == "True")


WANTED: dict[str, Callable[[Fields, float], ev.Event]] = {
    "Newchannel": _began,
    "Newstate": _seen,
    "Rename": _renamed,
    "LocalBridge": _local,
    "DialBegin": _dial_began,
    "DialState": _dial_progressed,
    "DialEnd": _dial_ended,
    "HangupRequest": _requested,
    "Hangup": _hung_up,
    "BridgeEnter": _seen,
    "BridgeLeave": _seen,
    "FullyBooted": _booted,
    "Shutdown": _shut_down,
}
"""The events the core needs, and how each becomes one. SoftHangupRequest is left out on purpose: its ``Cause`` is a
mask of flags, not a Q.850 cause (include/asterisk/channel.h)."""

_VERSION = re.compile(r"(?:certified[-/])?\d+(?:\.\d+)*(?:-cert\d+(?:-rc\d+)?|-rc\d+)?")

_MAKERS = {name.encode(): maker for name, maker in WANTED.items()}
_MADE_AT = re.compile(r"(?:.*-)?(\d{10})\.\d+", re.ASCII | re.DOTALL)
_END_OF_TIME_S = 253_402_300_800.0  # the year 10000: nothing from there on can be shown as a date


def timestamp(fields: Fields) -> float | None:
    """Return the event's own time (manager.conf ``timestampevents = yes``), None without one that can be a time."""
    try:
        at = float(fields["Timestamp"])
    except (KeyError, ValueError):
        return None
    return at if 0.0 <= at < _END_OF_TIME_S else None


class RecordedClock:
    """Gives events without a Timestamp a time that depends on the recording alone.

    A channel's Uniqueid begins with the second it was made (``[systemname-]1700000000.12``,
    main/channel_internal_api.c), unless who originated it chose another; the newest such second seen is the time.
    """

    __slots__ = ("_now",)

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self, fields: Fields) -> float:
        """Return the time of the event with these headers, seconds since 1970."""
        at = timestamp(fields)
        if at is None:
            for key in ("Uniqueid", "DestUniqueid"):
                made_at = _MADE_AT.fullmatch(fields.get(key, ""))
                if made_at is not None:
                    self._now = max(self._now, float(made_at[1]))
            return self._now
        self._now = max(self._now, at)
        return at


def asterisk_version(block: bytes) -> str | None:
    """Return ``22.10.1`` from the answer to CoreSettings (``AsteriskVersion: 22.10.1+dfsg+~cs6...``), else None."""
    marker = b"AsteriskVersion: "
    start = block.find(marker)
    if start < 0:
        return None
    text = block[start + len(marker) :].split(EOL, 1)[0].decode("utf-8", "backslashreplace")
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

    def __init__(self, clock: Callable[[Fields], float], max_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self.framer = Framer(max_bytes)
        self.version: str | None = None
        self.responses: list[bytes] = []
        self.unreadable = 0
        self._clock = clock
        self._listed: list[ev.Channel] = []

    def feed(self, data: bytes) -> list[ev.Event]:
        """Take the next bytes; return the events that are now whole, in order."""
        events: list[ev.Event] = []
        for block in self.framer.feed(data):
            try:
                event = self._read(block)
            except (ValueError, LookupError):
                self.unreadable += 1
                continue
            if event is not None:
                events.append(event)
        return events

    def _read(self, block: bytes) -> ev.Event | None:
        name = _event_name(block)
        maker = _MAKERS.get(name)
        if maker is not None:
            fields = fields_of(block)
            return maker(fields, self._clock(fields))
        if name == b"CoreShowChannel":
            self._listed.append(channel_of(fields_of(block)))
        elif name == b"CoreShowChannelsComplete":
            listed, self._listed = tuple(self._listed), []
            return ev.ChannelsListed(self._clock(fields_of(block)), listed)
        elif block.lstrip(EOL).startswith(b"Response: "):
            self.version = asterisk_version(block) or self.version
            self.responses.append(block)
        return None


def _event_name(block: bytes) -> bytes:
    """Return the event's name from a message's first line, nothing when it is no event."""
    if not block.startswith(b"Event: "):
        block = block.lstrip(EOL)  # a stray empty line came before
        if not block.startswith(b"Event: "):
            return b""
    end = block.find(EOL)
    return block[7:] if end < 0 else block[7:end]

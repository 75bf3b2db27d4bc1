"""One AMI message, looked up header by header: any order, any release. Pure.

Slow and sure; ``ami_shape_wire`` reads the shapes that Asterisk really sends at a glance.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from asterisk_sip.calls import events as ev
from asterisk_sip.sources import handler_wire


class Headers:
    """A message's headers, looked up when asked for: most events need a few of their thirty.

    Of a repeated header the first counts. Bytes that are not UTF-8 are shown as ``\\xNN``.
    """

    __slots__ = ("text",)

    def __init__(self, block: bytes) -> None:
        self.text = "\r\n" + block.decode("utf-8", "backslashreplace")

    def get(self, key: str, default: str = "") -> str:
        """Return a header's value, ``default`` when the message has none of that name."""
        text = self.text
        marker = f"\r\n{key}: "
        start = text.find(marker)
        if start < 0:
            return default
        start += len(marker)
        end = text.find("\r\n", start)
        return text[start:] if end < 0 else text[start:end]

    def heard(self, prefix: str = "") -> str | None:
        """Return the value of the channelvars line that tells the SIP status, None when the message lacks it."""
        text = self.text
        marker = f"\r\n{prefix}ChanVariable: "
        start = text.find(marker)
        while start >= 0:
            start += len(marker)
            end = text.find("\r\n", start)
            value = status_variable(text[start:] if end < 0 else text[start:end])
            if value is not None:
                return value
            start = text.find(marker, start)
        return None


def status_variable(assignment: str) -> str | None:
    """Return the value of a ``NAME=VALUE`` channel variable whose NAME reads HANGUPCAUSE, else None.

    The name itself holds ``=``, ``"`` and brackets, the value is remote text; so the name ends where its brackets do,
    and one without brackets at its first ``=``.
    """
    if assignment.startswith(_USUAL_NAME):
        return unescape(assignment[len(_USUAL_NAME) :])
    if assignment.startswith(_FORMER_NAME):
        return unescape(assignment[len(_FORMER_NAME) :])
    if not reads_status(assignment):
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
                return unescape(value[1:]) if value.startswith("=") and reads_status(name) else None
    return None


def reads_status(name: str) -> bool:
    """Return whether the name of a channel variable is a line that reads the SIP status."""
    return "?HANGUPCAUSE:" in name or "HANGUPCAUSE(" in name


_USUAL_NAME = (
    r"EVAL(${${IF(${FIELDNUM(HANGUPCAUSE_KEYS(),\,,${CHANNEL(name)})}?HANGUPCAUSE:LEN)}(${CHANNEL(name)},tech)})="
)
"""How AMI prints the name of the line that ``check`` recommends: known by heart, not read letter by letter."""

_FORMER_NAME = (
    'EVAL(${EVAL(${IF($["${HANGUPCAUSE_KEYS()}"="${CHANNEL(name)}"]?$:)}{HANGUPCAUSE(${CHANNEL(name)},tech)})})='
)
"""The line that it recommended before, which recordings and careless PBXs still have: see `check_line.about_twice`."""


def unescape(text: str) -> str:
    """Undo what AMI does to remote text: C escapes for quotes, ``?``, backslash and control letters.

    Asterisk passes channel variables and caller names through ``ast_escape_c`` (main/manager_channels.c, main/utils.c;
    seen on 22.10.1: ``it's "ok"?`` comes as ``it\\'s \\"ok\\"\\?``).
    """
    return text if "\\" not in text else _ESCAPE.sub(lambda match: _ESCAPED[match[1]], text)


_ESCAPED = dict(zip("abfnrtv\\'\"?", "\a\b\f\n\r\t\v\\'\"?", strict=True))
_ESCAPE = re.compile(r"""\\([abfnrtv\\'"?])""")


_LONGEST_NUMBER = 9  # digits of a cause or a status; more make the message unreadable


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number without end")
    return int(text)


def _cause(headers: Headers) -> int | None:
    cause = _number(headers.get("Cause"))
    return cause if cause is not None and cause <= LAST_CAUSE else None


UNKNOWN = "<unknown>"
"""What AMI writes where there is no number or name."""

SNAPSHOT = (
    "Channel: (*) ChannelState: (*) ChannelStateDesc: * CallerIDNum: (*) CallerIDName: (*) ConnectedLineNum: * "
    "ConnectedLineName: * Language: * AccountCode: (*) Context: (*) Exten: (*) Priority: * Uniqueid: (*) Linkedid: (*)"
)
"""How every release from 16 on writes a channel (main/manager_channels.c, ``..._channel_state_string_prefix``)."""


STATES = {"Up": "6", "Ringing": "5", "Busy": "7"}
"""The numbers of the states the core asks for (include/asterisk/channelstate.h), by their words."""


def _snapshot(prefix: str) -> re.Pattern[str]:
    lines = (f"\r\n{prefix}{line}" for line in re.sub(r" (?=[A-Z])", "\n", SNAPSHOT).split("\n"))
    return re.compile("".join(lines).replace("*", "[^\r]*"))


_SNAPSHOTS = {prefix: _snapshot(prefix) for prefix in ("", "Dest", "LocalOne", "LocalTwo")}


def channel_of(headers: Headers, prefix: str = "", *, heard: bool = False) -> ev.Channel:
    """Return the channel that a message's headers show; ``prefix`` is ``Dest``, ``LocalOne`` or ``LocalTwo``.

    ``heard`` says whether to look for the status line too.
    """
    match = _SNAPSHOTS[prefix].search(headers.text)
    if match is not None:
        channel, state, number, name, account, context, exten, uniqueid, linkedid = match.groups()
    else:
        keys = ("Channel", "ChannelState", "CallerIDNum", "CallerIDName", "AccountCode", "Context", "Exten")
        channel, state, number, name, account, context, exten = (headers.get(prefix + key) for key in keys)
        state = state or STATES.get(headers.get(f"{prefix}ChannelStateDesc"), "")  # a tool may keep the word alone
        uniqueid, linkedid = headers.get(prefix + "Uniqueid"), headers.get(prefix + "Linkedid")
    return ev.Channel(
        channel,
        uniqueid,
        linkedid,
        state == "6",
        state == "5",
        state == "7",
        None if number == UNKNOWN else number or None,
        None if name == UNKNOWN else unescape(name) or None,
        account or None,
        context or None,
        exten or None,
        headers.heard(prefix) if heard else None,
    )


def _seen(headers: Headers, at: float) -> ev.Event:
    return ev.ChannelSeen(at, channel_of(headers))


def _began(headers: Headers, at: float) -> ev.Event:
    return ev.ChannelBegan(at, channel_of(headers))


def _renamed(headers: Headers, at: float) -> ev.Event:
    return ev.ChannelRenamed(at, headers.get("Uniqueid"), headers.get("Linkedid"), headers.get("Newname"))


def _local(headers: Headers, at: float) -> ev.Event:
    return ev.LocalPaired(at, channel_of(headers, "LocalOne"), channel_of(headers, "LocalTwo"))


def _dial_began(headers: Headers, at: float) -> ev.Event:
    source = channel_of(headers) if headers.get("Uniqueid") else None
    return ev.DialBegan(at, source, channel_of(headers, "Dest"), headers.get("DialString"))


def _dial_progressed(headers: Headers, at: float) -> ev.Event:
    return ev.DialProgressed(at, channel_of(headers, "Dest"), headers.get("DialStatus"))


def _dial_ended(headers: Headers, at: float) -> ev.Event:
    dest = channel_of(headers, "Dest", heard=True)
    source = channel_of(headers) if headers.get("Uniqueid") else None
    return ev.DialEnded(at, dest, headers.get("DialStatus"), headers.get("Forward") or None, source)


def _requested(headers: Headers, at: float) -> ev.Event:
    cause, tech_cause = _cause(headers), _number(headers.get("TechCause"))
    return ev.HangupRequested(at, channel_of(headers), cause, tech_cause)


def _hung_up(headers: Headers, at: float) -> ev.Event:
    cause, tech_cause = _cause(headers), _number(headers.get("TechCause"))
    return ev.HungUp(at, channel_of(headers, heard=True), cause, headers.get("Cause-txt") or None, tech_cause)


def _queue_joined(headers: Headers, at: float) -> ev.Event:
    return ev.QueueJoined(at, channel_of(headers))


def _queue_left(headers: Headers, at: float) -> ev.Event:
    return ev.QueueLeft(at, channel_of(headers))


def _told(headers: Headers, at: float) -> ev.Event | None:
    if headers.get("UserEvent") != handler_wire.USER_EVENT:
        return None
    return handler_wire.report_of(headers.get(handler_wire.FIELD), "UserEvent", at)


def _booted(_headers: Headers, at: float) -> ev.Event:
    return ev.Booted(at)


def _shut_down(headers: Headers, at: float) -> ev.Event:
    return ev.ShutDown(at, headers.get("Restart") == "True")


LAST_CAUSE = 127
"""The last Q.850 cause (ITU-T Q.850; include/asterisk/causes.h)."""

WANTED: dict[str, Callable[[Headers, float], ev.Event | None]] = {
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
    "QueueCallerJoin": _queue_joined,
    "QueueCallerLeave": _queue_left,
    "UserEvent": _told,
    "FullyBooted": _booted,
    "Shutdown": _shut_down,
}
"""The events the core needs, and how each becomes one. SoftHangupRequest is left out on purpose: its ``Cause`` is a
mask of flags, not a Q.850 cause (include/asterisk/channel.h)."""

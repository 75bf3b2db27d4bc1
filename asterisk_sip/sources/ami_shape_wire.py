"""The messages that come most, read at a glance: one pattern for a whole message as Asterisk writes it. Pure.

Every release from 16 on writes the headers of an event in one order (main/manager_channels.c). A message of another
shape is None here, and is then read header by header.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import cast

from asterisk_sip.calls import events as ev
from asterisk_sip.sources.ami_event_wire import LAST_CAUSE, SNAPSHOT, UNKNOWN, status_variable, unescape

Groups = tuple[str | None, ...]

_CHANNEL_GROUPS = 10
_HEAD = "Event: {name}\r\nPrivilege: [^\r]*\r\nTimestamp: ([0-9]{{10}}[.][0-9]+)"
_channel_of_fields = cast("Callable[[Groups | tuple[object, ...]], ev.Channel]", partial(tuple.__new__, ev.Channel))


def _channel(prefix: str = "") -> str:
    """Return the pattern of a channel's snapshot: nine values, and the value of its channelvars line if it has one."""
    lines = re.sub(r" (?=[A-Z])", "\n", SNAPSHOT).replace("*", "[^\r]*").split("\n")
    snapshot = "".join(f"\r\n{prefix}{line}" for line in lines)
    return f"{snapshot}(?:\r\n{prefix}Tenantid: [^\r]*)?(?:\r\n{prefix}ChanVariable: ([^\r]*))?"


def _made(groups: Groups, first: int, *, heard: bool = False) -> ev.Channel:
    """Return the channel in the groups of one snapshot, of which the first stands at ``first``."""
    name, state, number, caller, account, context, exten, uniqueid, linkedid, variable = groups[
        first : first + _CHANNEL_GROUPS
    ]
    return _channel_of_fields(
        (
            name,
            uniqueid,
            linkedid,
            state == "6",
            state == "5",
            state == "7",
            None if number == UNKNOWN else number or None,
            None if caller == UNKNOWN or not caller else unescape(caller),
            account or None,
            context or None,
            exten or None,
            status_variable(variable) if heard and variable is not None else None,
            None,
        )
    )


def _began(at: float, groups: Groups) -> ev.Event:
    return ev.ChannelBegan(at, _made(groups, 1))


def _seen(at: float, groups: Groups) -> ev.Event:
    return ev.ChannelSeen(at, _made(groups, 1))


def _dial_began(at: float, groups: Groups) -> ev.Event:
    return ev.DialBegan(at, _made(groups, 1), _made(groups, 11), groups[21] or "")


def _dial_progressed(at: float, groups: Groups) -> ev.Event:
    return ev.DialProgressed(at, _made(groups, 11), groups[21] or "")


def _dial_ended(at: float, groups: Groups) -> ev.Event:
    return ev.DialEnded(at, _made(groups, 11, heard=True), groups[22] or "", groups[21] or None, _made(groups, 1))


def _requested(at: float, groups: Groups) -> ev.Event:
    return ev.HangupRequested(at, _made(groups, 1), _cause(groups[11]), _number(groups[12]))


def _hung_up(at: float, groups: Groups) -> ev.Event:
    return ev.HungUp(at, _made(groups, 1, heard=True), _cause(groups[11]), groups[12] or None, _number(groups[13]))


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _cause(text: str | None) -> int | None:
    return None if text is None or int(text) > LAST_CAUSE else int(text)


_NUMBER = "([0-9]{1,9})"
_TWO = _channel() + _channel("Dest")
_SHAPES: dict[str, tuple[str, Callable[[float, Groups], ev.Event]]] = {
    "Newchannel": (_channel(), _began),
    "Newstate": (_channel(), _seen),
    "DialBegin": (_TWO + "\r\nDialString: ([^\r]*)", _dial_began),
    "DialState": (_TWO + "\r\nDialStatus: ([^\r]*)", _dial_progressed),
    "DialEnd": (_TWO + "(?:\r\nForward: ([^\r]*))?\r\nDialStatus: ([^\r]*)", _dial_ended),
    "HangupRequest": (_channel() + f"(?:\r\nCause: {_NUMBER})?(?:\r\nTechCause: {_NUMBER})?", _requested),
    "Hangup": (
        _channel() + f"(?:\r\nCause: {_NUMBER}\r\nCause-txt: ([^\r]*)(?:\r\nTechCause: {_NUMBER})?)",
        _hung_up,
    ),
}
_READERS = {
    f"Event: {name}".encode(): (re.compile(_HEAD.format(name=name) + pattern).fullmatch, maker)
    for name, (pattern, maker) in _SHAPES.items()
}
SHAPES = frozenset(_READERS)
"""The first lines of the messages that have a shape here."""


def read(first_line: bytes, text: str) -> ev.Event | None:
    """Return the event in a message of one of the ``SHAPES``; None when it is written in another way than usual."""
    fullmatch, maker = _READERS[first_line]
    match = fullmatch(text)
    if match is None:
        return None
    groups: Groups = match.groups()
    return maker(float(groups[0] or 0), groups)

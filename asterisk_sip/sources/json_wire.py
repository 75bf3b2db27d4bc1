"""AMI and ARI events saved as JSON, one a line or in an array, back to what the doors receive. Pure.

Who saves AMI events as JSON keeps the header names as keys; some write them in small letters, some a repeated header as
a list, or channel variables as an object of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from asterisk_sip.sources.ami_frame_wire import END, EOL

MAX_OBJECT_CHARS = 1 << 20
"""An object that is not whole after so much is none: the reader goes on in the next line."""

_BETWEEN = re.compile(r"[\s,\[\]\x1e\ufeff]*")
_LINE_BREAKS = str.maketrans({"\r": " ", "\n": " ", "\0": " "})
_KEY = re.compile(r"[!-9;-~]+")
_FIRST = ("event", "response")

_CHANNEL = (
    "Channel ChannelState ChannelStateDesc CallerIDNum CallerIDName ConnectedLineNum ConnectedLineName Language "
    "AccountCode Context Exten Priority Uniqueid Linkedid ChanVariable"
)
_HEADERS = (
    "Event Response Privilege Timestamp SystemName Message ActionID AsteriskVersion EventList ListItems DialString "
    "DialStatus Forward Cause Cause-txt TechCause Newname Oldname Restart Shutdown Status UserEvent Report "
    "BridgeUniqueid BridgeType"
)
_PREFIXES = ("", "Dest", "LocalOne", "LocalTwo")
HEADERS: dict[str, str] = {
    name.lower(): name for name in (*_HEADERS.split(), *(p + name for p in _PREFIXES for name in _CHANNEL.split()))
}
"""How Asterisk writes the headers the core needs, by their names in small letters."""


class Objects:
    """Cuts text into the JSON objects in it, however the reads fall: lines, an array, or one behind the other.

    What is no object is passed over up to the next line, and counted in ``unreadable``.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._decoder = json.JSONDecoder()
        self.unreadable = 0

    def feed(self, text: str) -> list[tuple[dict[str, Any], str]]:
        """Take the next text; return each object that is now whole, and its text."""
        return list(self._cut(self._rest + text, final=False))

    def finish(self) -> list[tuple[dict[str, Any], str]]:
        """Say that no more comes; return the objects behind one that is not whole."""
        return list(self._cut(self._rest, final=True))

    def _cut(self, text: str, *, final: bool) -> Iterator[tuple[dict[str, Any], str]]:
        at = 0
        while True:
            between = _BETWEEN.match(text, at)
            start = at if between is None else between.end()
            if start == len(text):
                at = start
                break
            try:
                value, end = self._decoder.raw_decode(text, start)
            except (ValueError, RecursionError):
                if not final and text[start] == "{" and len(text) - start < MAX_OBJECT_CHARS:
                    at = start
                    break  # the rest of it is still to come
                value, end = None, text.find("\n", start) + 1 or len(text)
            at = end
            if isinstance(value, dict):
                yield value, text[start:end]
            else:
                self.unreadable += 1
        self._rest = text[at:]


def ami_message(data: Mapping[str, Any]) -> bytes | None:
    """Return an AMI message, as Asterisk sends it, of an object with its headers; None when it is none."""
    named = {name.lower(): name for name in data}
    first = next((named[name] for name in _FIRST if isinstance(data.get(named.get(name, "")), str)), None)
    if first is None:
        return None
    spelled = first in ("Event", "Response")  # the tool kept the names as they are
    lines = []
    for name in (first, *(name for name in data if name != first)):
        key = name if spelled else HEADERS.get(name.lower(), name)
        if _KEY.fullmatch(key):
            lines += [f"{key}: {value}".translate(_LINE_BREAKS) for value in _values(data[name])]
    return EOL.join(line.encode("utf-8", "backslashreplace") for line in lines) + END


def _values(value: Any) -> Iterator[str]:
    """Give the values of a header: one, or several of a list; an object is taken for ``name=value`` pairs."""
    if isinstance(value, list):
        for inner in value:
            yield from _values(inner)
    elif isinstance(value, dict):
        yield from (f"{name}={inner}" for name, inner in value.items())
    elif value is not None:
        yield str(value)


def door_of(data: Mapping[str, Any]) -> str | None:
    """Return the door whose message an object is as it stands: ``ari``, ``agi``; None when it is of no such door."""
    if isinstance(data.get("type"), str):
        return "ari"
    return "agi" if data.get("door") == "agi" else None


def line_of(text: str) -> bytes:
    """Return an object's text as one line."""
    return text.replace("\n", " ").encode("utf-8", "backslashreplace") + b"\n"

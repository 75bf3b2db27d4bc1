"""AMI and ARI events saved as JSON objects by other tools, back to what the doors receive. Pure.

They keep the header names as keys, but spell them in their own ways (``Uniqueid``, ``uniqueId``, ``unique_id``), make a
list or an object of a header that came more than once, write the time as they like, and wrap the event in objects of
their own. What comes out is a message as Asterisk sends it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from asterisk_sip.sources.ami_event_wire import WANTED

MAX_DEPTH = 4
"""So many objects may be around an event."""

_LINE_BREAKS = str.maketrans({"\r": " ", "\n": " ", "\0": " "})
_KEY = re.compile(r"[!-9;-~]+")
_LINE = re.compile(r"([!-9;-~]+): ?([^\r\n]*)")
_NOT_FOLDED = re.compile(r"\(.*|[^a-z0-9]", re.DOTALL)


@lru_cache(maxsize=4096)  # the same few hundred names come again and again
def fold(name: str) -> str:
    """Return a name without what tools change in it: capitals, ``_``, ``-``, and what stands in brackets behind it."""
    return _NOT_FOLDED.sub("", name.lower())


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
    fold(name): name for name in (*_HEADERS.split(), *(p + name for p in _PREFIXES for name in _CHANNEL.split()))
}
"""How Asterisk writes the headers the core needs, by their folded names."""

HEADERS |= dict.fromkeys(("variables", "channelvariables", "chanvariables", "channelvars"), "ChanVariable")
_OPENINGS = frozenset("{ER")  # of JSON, Event and Response
_VARIABLES = frozenset(name for name, header in HEADERS.items() if header.endswith("ChanVariable"))

_EVENTS = {
    fold(name) + end: name for name in (*WANTED, "CoreShowChannel", "CoreShowChannelsComplete") for end in ("", "event")
}
_NAMES = ("name", "type", "id")
"""Where tools put the name of an event when its object has no ``Event``. ``EventName`` is a header of the event CEL."""

_OF_EVENTS = ("privilege", "uniqueid", "destuniqueid", "localoneuniqueid")
"""Without one of these headers, folded, an object that is called so is no event."""

_TIMES = ("timestamp", "time", "ts", "datetime", "date", "receivedat")
"""What tools call the time of an event, the best first."""

_FIRST_S = 1e9
"""In 2001; Asterisk is of 1999."""

_FRACTIONS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Seconds since 1970 stay below 1e11 until the year 5138: what is larger counts nano-, micro- or milliseconds."""

_ARI = re.compile(
    r"Dial|(?:Channel|Bridge|Endpoint|Contact|Peer|Device|Playback|Recording|Stasis|Application|TextMessage)[A-Z]\w*"
    r"|asterisk-sip/\w+"
)
"""The types of ARI's messages (rest-api/api-docs/events.json), and of our own among them."""

Message = tuple[str, bytes]
"""The door, and what came through it."""

Fields = Mapping[str, Any]


def messages(data: Fields, text: str = "", depth: int = 0, around: Fields | None = None) -> list[Message]:
    """Return the messages in an object: it is one, or some are wrapped in it.

    ``text`` is the object as it stood; ``around`` holds what the objects around it tell, by folded names.
    """
    if _is_of(data, "ari") or _is_of(data, "agi"):
        door = "agi" if _is_of(data, "agi") else "ari"
        return [(door, (text or json.dumps(data)).replace("\n", " ").encode("utf-8", "backslashreplace") + b"\n")]
    folded: dict[str, Any] = {}
    for name, value in data.items():
        folded.setdefault(fold(name), value)
    called = isinstance(folded.get("event"), str)  # then its texts are texts, whatever somebody wrote into a variable
    inside = [
        each
        for name, value in folded.items()
        if not _is_plain(value)
        and name not in _VARIABLES
        and not (called and name != "event" and isinstance(value, str))
        for each in _inside(value)
    ]
    around = {**(around or {}), **folded}
    wrapped = [one for each in inside for one in messages(each, "", depth + 1, around)] if depth < MAX_DEPTH else []
    own = _ami_message(data, folded, inside, around) if not wrapped or "response" in folded else None
    return wrapped if own is None else [("ami", own), *wrapped]


def _is_of(data: Fields, door: str) -> bool:
    if door == "agi":
        return data.get("door") == "agi"
    kind = data.get("type")
    return isinstance(kind, str) and (_ARI.fullmatch(kind) is not None or {"timestamp", "application"} <= data.keys())


def _is_plain(value: Any) -> bool:
    """Return whether a value holds no object: most do not, and need no closer look."""
    return value[:1] not in _OPENINGS if isinstance(value, str) else not isinstance(value, dict | list)


def _inside(value: Any) -> Iterator[Fields]:
    """Give the objects that a value is, or holds: as such, as a list, as pairs of name and value, or as text."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, str) and value.startswith("{"):
        try:
            yield from _inside(json.JSONDecoder(parse_float=str).decode(value))
        except (ValueError, RecursionError):
            return
    elif isinstance(value, str) and value.startswith(("Event: ", "Response: ")):
        yield _gathered(_LINE.findall(value))
    elif isinstance(value, list):
        pairs = [pair for each in value if (pair := _pair(each)) is not None]
        if pairs and len(pairs) == len(value):
            yield _gathered(pairs)
        else:
            yield from (each for each in value if isinstance(each, dict))


def _pair(value: Any) -> tuple[str, Any] | None:
    if isinstance(value, dict) and len(value) == 2 and "value" in value:
        value = [value.get("name", value.get("key")), value["value"]]
    return (value[0], value[1]) if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) else None


def _gathered(pairs: list[tuple[str, Any]]) -> Fields:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _ami_message(data: Fields, folded: Fields, inside: list[Fields], around: Fields) -> bytes | None:
    """Return the AMI message of an object whose headers are its own or those of the objects in it; None without one."""
    headers = [pair for fields in (data, *inside) for pair in fields.items()]
    first = _first_line(folded, {fold(name) for name, _ in headers})
    if first is None:
        return None
    lines = [first]
    told = [value for name, value in headers if fold(name) == "timestamp"] + [around.get(name) for name in _TIMES]
    at = next((at for value in told if (at := _seconds(_one(value))) is not None), None)
    if at is not None:
        lines.append(f"Timestamp: {at}")
    for name, value in headers:
        header = _header(name)
        if header:
            lines += [f"{header}: {text}" for text in _texts(value, fold(name) in _VARIABLES)]
    lines = [line if line.isprintable() else line.translate(_LINE_BREAKS) for line in lines]
    return "\r\n".join((*lines, "", "")).encode("utf-8", "backslashreplace")


@lru_cache(maxsize=4096)
def _header(name: str) -> str:
    """Return how Asterisk writes a header; nothing for one that is written otherwise, or cannot be."""
    header = HEADERS.get(fold(name), name)
    return header if header not in ("Event", "Response", "Timestamp") and _KEY.fullmatch(header) else ""


def _first_line(folded: Fields, headers: set[str]) -> str | None:
    for kind in ("event", "response"):
        name = _one(folded.get(kind))
        if name:
            return f"{kind.capitalize()}: {_EVENTS.get(fold(name), name)}"
    if headers.isdisjoint(_OF_EVENTS):
        return None
    names = [name for key in _NAMES if (name := _one(folded.get(key)))]
    known = (_EVENTS.get(fold(name)) for name in names)
    told = next((name for name in known if name is not None), names[0] if names else None)
    return None if told is None else f"Event: {told}"


def _one(value: Any) -> str:
    """Return a value as text, of a list its first; nothing for an object and for none."""
    return next(_texts(value), "") if not isinstance(value, dict) else ""


def _texts(value: Any, variables: bool = False, depth: int = 0) -> Iterator[str]:
    """Give the values of a header: one, or several of a list. ``variables``: those of an object are ``name=value``."""
    if isinstance(value, str):
        yield from value.splitlines() if variables else (value,)
    elif isinstance(value, list | dict):
        named = value.items() if isinstance(value, dict) else ((None, each) for each in value)
        for name, each in named if depth < MAX_DEPTH and (variables or isinstance(value, list)) else ():
            texts = _texts(each, variables, depth + 1)
            yield from texts if name is None or isinstance(each, dict) else (f"{name}={text}" for text in texts)
    elif value is not None:
        yield str(value)


def _seconds(text: str) -> str | None:
    """Return a time as AMI writes it, seconds since 1970, None when it is none.

    It may count a fraction of a second, or be written as ISO 8601; then it is UTC if it names no zone.
    """
    try:
        at = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
            return f"{(moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp():.6f}"
        except (ValueError, OverflowError):
            return None
    if not at >= _FIRST_S:  # counted from something else, or no number
        return None
    divisor = next((divisor for least, divisor in _FRACTIONS if at >= least), None)
    return text if divisor is None else f"{at / divisor:.6f}"

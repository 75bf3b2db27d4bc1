"""A record without the numbers and names of people: the same record, but for those. Pure.

How one number is hidden is handed in; here is where numbers stand. A field that holds a number is hidden whole; other
remote text loses every piece that looks like one; what is kept word for word (Call-IDs, accounts) loses the numbers
that the record holds elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeVar

from asterisk_sip.calls.model import Q850, Attempt, Caller, CallRecord, Evidence, Finding, LadderLine, SipStatus

Kind = Literal["number", "name", "channel", "text", "known", "part"]
Part = TypeVar("Part")

HIDDEN_NAME = "***"

SAID_OF_NOBODY = frozenset(
    ("unknown", "anonymous", "unavailable", "private", "restricted", "withheld", "asterisk", "invalid", "fax", "failed")
)
"""Words that stand where a number or a name would, when there is none; and extensions the dialplan has by itself."""

KINDS: dict[type, dict[str, Kind]] = {
    CallRecord: {
        "caller": "part",
        "dialled": "number",
        "context": "known",
        "exten": "number",
        "account": "known",
        "sip": "part",
        "evidence": "part",
        "q850": "part",
        "attempts": "part",
        "sip_call_id": "known",
        "ladder": "part",
    },
    Caller: {"number": "number", "name": "name", "endpoint": "text"},
    Attempt: {
        "channel": "channel",
        "endpoint": "text",
        "dialled": "number",
        "sip_call_id": "known",
        "forward": "number",
        "sip": "part",
        "evidence": "part",
        "q850": "part",
        "remote_reason": "text",
        "early_reason": "text",
        "remote_warning": "text",
        "ladder": "part",
    },
    SipStatus: {"phrase": "text"},
    Evidence: {"losers": "part"},
    Finding: {"phrase": "text"},
    Q850: {"text": "text"},
    LadderLine: {"line": "text", "reason": "text"},
}
"""Where a number or a name may stand. What is not named here stays: ids, times, words of the catalogue, the contact
that a blocked call names (it is there to be called)."""

_LEAST_IN_TEXT = 5
"""A run of fewer digits in a text is a code, a port or a year."""

_PHONE = re.compile(r"\+?[\d\s()./-]*\d[\d\s()./-]*", re.ASCII)
_HOST = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?", re.ASCII)
_DIGIT = re.compile(r"\d", re.ASCII)
_OTHER_THAN_DIGITS = re.compile(r"\D", re.ASCII)
_SUFFIX = re.compile(r"-[0-9a-fA-F]{8}(?:;[12])?(?:<.*)?$")
"""What Asterisk puts behind the peer in a channel's name: a counter, the half of a Local channel, a mark."""

_TEXT = re.compile(
    r"""
    (?P<stays>
        (?<![\w.]) (?:[\w-]+-)? [12]\d{9}\.\d+ (?!\d)                           # a uniqueid, a time
        | [0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}
        | (?<![\d.]) \d{1,3}(?:\.\d{1,3}){3} (?![\d.])                          # an address
        | \d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*
    )
    | " (?P<name> [^"<>]* ) " (?= \s*< )
    | (?P<scheme> \b(?:sips?|tel): ) (?P<user> [+\d][\d.()-]* ) (?= [@;>\s] | $ )
    | (?: (?<![^/]) (?P<address> \+?\d+ ) (?= @ | -\w+$ | $ ) )               # Local/5550100@ctx, i1/5550100-1
    | (?P<spelled> (?<![\w.:]) (?: \+ | \(?0 ) \d* (?: [\ ()/-]{1,2} \d+ ){1,6} )  # +49 30 123456, (030) 12 34 56
    | (?P<run> \+?\d{5,} )
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)


class Privacy:
    """Hides numbers with more than ``short_digits`` digits by ``hide``, which takes one as it is spelled."""

    def __init__(self, hide: Callable[[str], str], short_digits: int) -> None:
        self._hide = hide
        self._short = short_digits

    def private(self, record: CallRecord) -> CallRecord:
        """Return the record as it may be written."""
        return self._part(record, {digits: self._hide(digits) for digits in self._numbers_of(record)})

    def number(self, text: str) -> str:
        """Hide a number, or what else stands where one would."""
        return self._one(text) if _PHONE.fullmatch(text) and not _HOST.fullmatch(text) else self.text(text)

    def name(self, text: str) -> str:
        """Hide a name. One that says that there is none stays."""
        if _PHONE.fullmatch(text):
            return self._one(text)
        return text if text.strip("<>").lower() in {"", *SAID_OF_NOBODY} else HIDDEN_NAME

    def channel(self, text: str) -> str:
        """Hide the number in a channel's name: ``Local/5550100@out-00000001;1``, ``DAHDI/i1/5550100-1``."""
        suffix = _SUFFIX.search(text)
        end = len(text) if suffix is None else suffix.start()
        return self.text(text[:end]) + text[end:]

    def text(self, text: str) -> str:
        """Hide what looks like a number in any text. Addresses of hosts, uniqueids and times stay."""
        return _TEXT.sub(self._piece, text) if _DIGIT.search(text) else text

    def _piece(self, match: re.Match[str]) -> str:
        kind, text = match.lastgroup, match[0]
        if kind == "stays":
            return text
        if kind == "name":
            return f'"{self.name(match["name"])}"'
        if kind == "user":
            return match["scheme"] + self.number(match["user"])
        if kind != "address" and _count(text) < _LEAST_IN_TEXT:
            return text
        return self._one(text)

    def _one(self, text: str) -> str:
        return self._hide(text) if _count(text) > self._short else text

    def _part(self, part: Part, known: dict[str, str]) -> Part:
        changes = {}
        for field, kind in KINDS.get(type(part), {}).items():
            value = getattr(part, field)
            if value is not None and value != ():
                changes[field] = self._value(kind, value, known)
        return replace(part, **changes) if changes else part  # type: ignore[type-var]  # KINDS has dataclasses only

    def _value(self, kind: Kind, value: Any, known: dict[str, str]) -> Any:
        if isinstance(value, tuple):
            return tuple(self._value(kind, item, known) for item in value)
        if kind == "part":
            return self._part(value, known)
        if kind == "known":
            for digits, hidden in known.items():
                value = value.replace(digits, hidden)
            return value
        return getattr(self, kind)(value)

    def _numbers_of(self, record: CallRecord) -> list[str]:
        """Return the digits of the numbers that a record's own fields hold, the longest first."""
        fields = [record.caller.number, record.dialled, record.exten]
        fields += [text for attempt in record.attempts for text in (attempt.dialled, attempt.forward)]
        numbers = {_digits(text) for text in fields if text and _PHONE.fullmatch(text) and not _HOST.fullmatch(text)}
        least = max(self._short + 1, _LEAST_IN_TEXT)
        return sorted((digits for digits in numbers if len(digits) >= least), key=lambda digits: (-len(digits), digits))


def _digits(text: str) -> str:
    return _OTHER_THAN_DIGITS.sub("", text)


def _count(text: str) -> int:
    return len(_digits(text))

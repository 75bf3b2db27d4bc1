"""SIP messages to what the core wants of them. Pure.

Grammar: RFC 3261 section 25, read generously: lines may end in LF alone, the empty line at the end may be missing,
names of headers may be short (section 7.3.3), values may be folded or repeated, text need not be UTF-8.
"""

from __future__ import annotations

import re

from asterisk_sip.calls.sip_seen import Party, SipMessage, host_of, user_of

MAX_HEADERS = 256
MAX_VALUES = 32
MAX_VALUE = 1_024
MAX_PHRASE = 8_192
MAX_CALL_ID = 512

_SHORT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
}
_WANTED = frozenset(
    (
        *("via", "from", "to", "call-id", "cseq", "reason", "warning", "retry-after", "call-info", "contact"),
        *("user-agent", "server", "p-asserted-identity", "remote-party-id", "authorization", "proxy-authorization"),
    )
)
_METHOD = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,64}")
_STATUS_LINE = re.compile(r"SIP/2\.0 +([1-6]\d\d)(?: (.*))?", re.DOTALL | re.IGNORECASE)
_CSEQ = re.compile(r"(\d{1,10})[ \t]+(\S{1,64})")
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|<[^>]*>?|[,;]|[^",;<]+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PERCENT = re.compile(r"%([2-7][0-9A-Fa-f])")
_DIGITS = re.compile(r"\d{1,9}")

Headers = dict[str, list[str]]


class MessageError(ValueError):
    """What should be a SIP message is none. Its text never holds what the message held."""


def parse(data: bytes) -> SipMessage:
    """Return what a SIP message says of a call. Raises MessageError, and nothing else, whatever the bytes are."""
    first, headers, cut = _lines(data)
    call_id = _first(headers, "call-id")
    cseq = _CSEQ.match(_first(headers, "cseq"))
    if not call_id or len(call_id) > MAX_CALL_ID or cseq is None:
        raise MessageError("a message without a usable Call-ID and CSeq")
    method, uri, status, phrase = _start(first)
    agent = _first(headers, "user-agent" if status is None else "server") or None
    asserted = _first(headers, "p-asserted-identity") or _first(headers, "remote-party-id")
    return SipMessage(
        method or cseq[2].upper(),
        call_id,
        int(cseq[1]),
        uri,
        status,
        phrase,
        _party(_first(headers, "from")),
        _party(_first(headers, "to")),
        _party(asserted) if asserted else None,
        _parameter(_first(headers, "via"), "branch"),
        agent[:MAX_VALUE] if agent else None,
        _all(headers, "reason"),
        _all(headers, "warning"),
        _seconds(_first(headers, "retry-after")),
        _all(headers, "call-info"),
        _all(headers, "contact"),
        "authorization" in headers or "proxy-authorization" in headers,
        cut,
    )


def split_values(text: str) -> list[str]:
    """Return the values of a header that holds several, told apart by commas outside quotes and brackets."""
    return _split(text, ",")


def _lines(data: bytes) -> tuple[str, Headers, bool]:
    """Return the first line, the wanted headers by name, and whether there were too many to read."""
    head = data.lstrip(b"\r\n").replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    first, *rest = head.decode("utf-8", "backslashreplace").split("\n", MAX_HEADERS + 1)
    cut = len(rest) > MAX_HEADERS
    headers: Headers = {}
    values: list[str] = []
    for line in rest[:MAX_HEADERS]:
        if line[:1] in (" ", "\t"):
            if values:
                values[-1] = f"{values[-1]} {line.strip()}"[: MAX_VALUE * MAX_VALUES]
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        name = _SHORT.get(name, name)
        values = headers.setdefault(name, []) if colon and name in _WANTED else []
        values.append(value.strip())
    return first, headers, cut


def _start(line: str) -> tuple[str, str, int | None, str]:
    """Return method, URI, status and phrase of a start line: of a response the first two are empty."""
    answer = _STATUS_LINE.fullmatch(line)
    if answer is not None:
        return "", "", int(answer[1]), (answer[2] or "")[:MAX_PHRASE]
    method, _, rest = line.partition(" ")
    uri, _, version = rest.strip().rpartition(" ")
    if version.upper() != "SIP/2.0" or not _METHOD.fullmatch(method):
        raise MessageError("neither a SIP request nor a response")
    return method, uri.strip()[:MAX_VALUE], None, ""


def _first(headers: Headers, name: str) -> str:
    values = headers.get(name)
    return values[0] if values else ""


def _all(headers: Headers, name: str) -> tuple[str, ...]:
    """Return every value of a header, also of those that share a line; at most ``MAX_VALUES``, none too long."""
    found: list[str] = []
    for value in headers.get(name, ()):
        found += [one[:MAX_VALUE] for one in split_values(value) if one]
        if len(found) >= MAX_VALUES:
            break
    return tuple(found[:MAX_VALUES])


def _split(text: str, separator: str) -> list[str]:
    parts: list[list[str]] = [[]]
    for piece in _PIECE.findall(text):
        if piece == separator:
            parts.append([])
        else:
            parts[-1].append(piece)
    return ["".join(part).strip() for part in parts]


def _parameter(value: str, name: str) -> str | None:
    """Return a ``;name=value`` parameter of a header's first value."""
    for part in _split(_split(value[: MAX_VALUE * 4], ",")[0], ";")[1:]:
        key, equals, found = part.partition("=")
        if equals and key.strip().lower() == name:
            return found.strip().strip('"')[:MAX_VALUE]
    return None


def _party(value: str) -> Party:
    """Read ``"Display" <uri>;tag=x``, ``Display <uri>`` or ``uri;tag=x`` (RFC 3261 section 20.10)."""
    value = value[: MAX_VALUE * 4]
    quoted = _QUOTED.match(value)
    display = _ESCAPED.sub(r"\1", quoted[1]) if quoted else None
    rest = value[quoted.end() :] if quoted else value
    before, bracket, after = rest.partition("<")
    if not bracket:
        uri, _, parameters = rest.strip().partition(";")
    else:
        uri, _, parameters = after.partition(">")
        display = display if quoted else before.strip() or None
    user = _PERCENT.sub(lambda match: chr(int(match[1], 16)), user_of(uri.strip()))
    tag = _parameter(f";{parameters}", "tag")
    return Party(user[:MAX_VALUE], host_of(uri.strip())[:MAX_VALUE], display[:MAX_VALUE] if display else None, tag)


def _seconds(value: str) -> int | None:
    """Return the seconds of Retry-After (RFC 3261 section 20.33), whose comment and parameters do not matter."""
    digits = _DIGITS.match(value)
    return int(digits[0]) if digits else None

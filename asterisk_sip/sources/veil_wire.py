"""What a journal may not know: secrets never, numbers and names not if so wished. Pure.

A veil stands before the tape of one door. It takes what the door received, and gives what may be written.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from asterisk_sip.sources import masks_wire
from asterisk_sip.sources.ami_frame_wire import BANNER
from asterisk_sip.sources.pseudonyms_wire import Pseudonyms

HIDDEN = "***"
MAX_LINE_BYTES = 1 << 20

_NAMES = (
    r"[\w-]*(?:secret|password|passwd|authorization|authenticate|authentication-info|authresponse|md5cred)"
    r"|key|challenge|receivedchallenge|receivedhash|expectedresponse"
)
"""Headers and JSON keys whose values are secrets, or prove that one knows a secret (RFC 3261 section 22; AMI's Login;
the security events of main/security_events.c)."""

_NAME = re.compile(_NAMES, re.IGNORECASE)
_LINE = re.compile(rb"^(%s)[ \t]*:[^\r\n]*" % _NAMES.encode(), re.IGNORECASE | re.MULTILINE)
_IN_JSON = re.compile(rb'"(?:%s)"' % _NAMES.encode(), re.IGNORECASE)
_TRACES = (b"secret", b"passw", b"auth", b"md5cred", b"key:", b"challenge", b"hash", b"expectedresp")
"""One of these is in every such name: without any, nothing needs to be looked at closely."""

_PASSWORD = re.compile(rb"(?<![\w.+*#-])((?:sips?:)?(?!sips?:)[^\s:@/,&\"<]+):[^\s@/,&\"<>]+@", re.IGNORECASE)
"""``608:secret@acme``: what follows the number in a dial string, or the user of a SIP URI, is a password."""

_MAYBE_PASSWORD = re.compile(rb":[^\s@/,&\"<>]+@")

_HEP = b"HEP3"
_CHUNK = struct.Struct("!HHH")
_HEP_PASSWORD, _HEP_PAYLOAD, _HEP_PACKED = 14, 15, 16
_MAX_PAYLOAD_BYTES = 1 << 16

Masker = Callable[[str], str]


class Veil(Protocol):
    """Takes what one door receives, in order; gives what the journal may know of it."""

    def feed(self, data: bytes) -> bytes:
        """Take one read, or one message; return what may be written now, which may be nothing."""

    def reset(self) -> None:
        """Forget what was begun: the connection is over."""


def hidden_lines(data: bytes) -> bytes:
    """Return lines of ``Key: value`` without the secrets in them."""
    lowered = data.lower()
    if any(trace in lowered for trace in _TRACES):
        data = _LINE.sub(rb"\1: ***", data)
    if _MAYBE_PASSWORD.search(data) is not None:
        lines = data.split(b"\n")
        data = b"\n".join(_PASSWORD.sub(rb"\1:***@", line) if b"@" in line else line for line in lines)
    return data


class LineVeil:
    """For AMI: a stream of lines, cut anywhere. A line is held back until it is whole."""

    def __init__(self, mask: Masker | None = None) -> None:
        self._mask = mask
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take one read; return the lines that are whole."""
        if data.startswith(BANNER):
            self._rest = b""  # a new connection; the one before ended within a line
        head, end, self._rest = (self._rest + data).rpartition(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:  # no line of Asterisk: nobody will miss it
            self._rest = b""
        lines = hidden_lines(head + end)
        return lines if self._mask is None else _masked(self._mask, lines)

    def reset(self) -> None:
        """Forget the line that was begun."""
        self._rest = b""


class JsonVeil:
    """For ARI and AGI: lines with a JSON object each. What is no JSON is left out."""

    def __init__(self, mask: Callable[[Any], Any] | None = None) -> None:
        self._mask = mask
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take one read; return the lines that are whole."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = b""
        return b"".join(map(self._line, lines))

    def _line(self, line: bytes) -> bytes:
        if self._mask is None and _IN_JSON.search(line) is None:
            return line + b"\n"
        try:
            value = _hidden(json.loads(line))
        except (ValueError, RecursionError):
            return b""
        value = value if self._mask is None else self._mask(value)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"

    def reset(self) -> None:
        """Forget the line that was begun."""
        self._rest = b""


class HepVeil:
    """For HEP: one datagram a message. What is no HEP (version 3) is left out, and so is its password."""

    def __init__(self, mask: Masker | None = None) -> None:
        self._mask = mask

    def feed(self, data: bytes) -> bytes:
        """Take one datagram; return it as it may be written."""
        chunks = []
        at = len(_HEP) + 2
        while data.startswith(_HEP) and at + _CHUNK.size <= len(data):
            vendor, kind, size = _CHUNK.unpack_from(data, at)
            if size < _CHUNK.size or at + size > len(data):
                return b""
            content = data[at + _CHUNK.size : at + size]
            at += size
            if vendor == 0 and kind == _HEP_PASSWORD:
                continue
            if vendor == 0 and kind in (_HEP_PAYLOAD, _HEP_PACKED):
                content = self._payload(content if kind == _HEP_PAYLOAD else _unpacked(content))
                kind = _HEP_PAYLOAD
            chunks.append(_CHUNK.pack(vendor, kind, _CHUNK.size + len(content)) + content)
        body = b"".join(chunks)
        return _HEP + struct.pack("!H", len(_HEP) + 2 + len(body)) + body if body else b""

    def _payload(self, content: bytes) -> bytes:
        text = hidden_lines(content)
        return text if self._mask is None else _masked(self._mask, text)

    def reset(self) -> None:
        """Forget nothing: datagrams are whole."""


def _unpacked(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, _MAX_PAYLOAD_BYTES)
    except zlib.error:
        return b""


def _masked(mask: Masker, data: bytes) -> bytes:
    return mask(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: HIDDEN if _NAME.fullmatch(key) else _hidden(inner) for key, inner in value.items()}
    return [_hidden(inner) for inner in value] if isinstance(value, list) else value


def veil(source: str, key: bytes | None = None) -> Veil:
    """Return the veil for a door (``ami``, ``ari``, ``hep``, ``agi``). With a key, numbers and names become tokens."""
    pseudonyms = None if key is None else Pseudonyms(key)
    if source == "ami":
        return LineVeil(None if pseudonyms is None else masks_wire.line_mask(pseudonyms))
    if source == "hep":
        return HepVeil(None if pseudonyms is None else masks_wire.sip_mask(pseudonyms))
    return JsonVeil(None if pseudonyms is None else masks_wire.json_mask(pseudonyms))

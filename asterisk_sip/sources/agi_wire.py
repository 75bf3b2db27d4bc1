"""What Asterisk sends to a FastAGI server when a dialplan says ``AGI(agi://host/path,argument)``. Pure.

``agi_name: value`` lines and an empty one (Asterisk res/res_agi.c ``setup_env``). Nothing in them is escaped: a caller
whose number has an escaped line break (``sip:55%0A@...``) puts lines of his own into the middle (seen on 16.28 and
22.10.1). So only what stands where he cannot write is believed: the first lines, up to ``agi_uniqueid``, and the
arguments, which follow ``agi_threadid`` at the very end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_REQUEST_BYTES = 65_536

_SCRIPT = re.compile(rb"\Aagi_network: yes\nagi_network_script: ([^\n]*)\n")
_UNIQUEID = re.compile(rb"^agi_uniqueid: ([^\n]*)$", re.MULTILINE)
_END = b"\n\n"
_BEFORE_ARGUMENTS = b"\nagi_threadid: "
_ARGUMENT = re.compile(rb"\nagi_arg_1: ([^\n]*)\n")


@dataclass(frozen=True, slots=True)
class AgiRequest:
    """One call of our script. ``path`` is what stands behind the address in the URL, without a query."""

    path: str
    uniqueid: str
    argument: str


class NotAgiError(ValueError):
    """What came is not what Asterisk sends, or too much."""


class RequestReader:
    """Collects the bytes of one connection until the request is whole."""

    def __init__(self, max_bytes: int = MAX_REQUEST_BYTES) -> None:
        self._max_bytes = max_bytes
        self._data = bytearray()

    def feed(self, data: bytes) -> AgiRequest | None:
        """Take bytes; return the request once it is whole. Raises NotAgiError."""
        self._data += data
        if len(self._data) > self._max_bytes:
            raise NotAgiError("more than a request can hold")
        if not self._data.startswith(b"agi_network: yes\n"[: len(self._data)]):
            raise NotAgiError("no FastAGI request")
        if not self._data.endswith(_END):
            return None
        return self._read(bytes(self._data))

    def _read(self, data: bytes) -> AgiRequest | None:
        script, uniqueid = _SCRIPT.search(data), _UNIQUEID.search(data)
        if script is None or uniqueid is None:
            raise NotAgiError("no FastAGI request")
        before = data.rfind(_BEFORE_ARGUMENTS)
        if before < 0:
            return None  # an empty line of the caller's: the rest is still to come
        argument = _ARGUMENT.search(data, before)
        path, _, _query = _text(script[1]).partition("?")
        return AgiRequest(path, _text(uniqueid[1]), _text(argument[1]) if argument is not None else "")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")

"""The journal's format: frames to bytes and back. Pure.

A file begins with one line that says what it is; then comes frame after frame:

    asterisk-sip journal 1 1795479851.842310: @time pbx source kind bytes crc32, a line end, raw bytes, a line end
    @1795479851.842310 pbx1 ami data 512 1c291ca3
    <512 bytes as they came>

A file ends wherever its writer ended; a reader passes over what is no whole frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, cast
from zlib import crc32

MAGIC = b"asterisk-sip journal "
MAX_FRAME_BYTES = 1 << 22

Kind = Literal["run", "file", "data", "up", "down", "lost"]

_FIRST_LINE = MAGIC + b"1 %.6f: @time pbx source kind bytes crc32, a line end, raw bytes, a line end\n"
_FIRST = re.compile(rb"asterisk-sip journal 1 (\d{1,11}\.\d{6}):[^\n]{0,200}\n")
_HEADER = re.compile(
    rb"@(\d{1,11}\.\d{6}) ([A-Za-z0-9][A-Za-z0-9._-]{0,63}) ([a-z]{1,16}) (run|file|data|up|down|lost) (\d{1,7})"
    rb" ([0-9a-f]{8})\n"
)
_LONGEST_LINE = 256
_LINE_END = 10
_STARTS = b"@a"
_NEXT = re.compile(rb"\n(?=[@a])")


class Frame(NamedTuple):
    """One piece of what was received through one door of one PBX, or news of that door. ``at``: seconds since 1970.

    ``run``: the program begins to write, with this door. ``file``: it goes on in this file, the so-manieth of its run;
    ``data`` is that number, and Asterisk's version behind a blank if it is known. ``data``: bytes as one read, or one
    message, gave them. ``up``: events are heard from now on; ``data`` is Asterisk's version if it told. ``down``:
    nothing is heard any more; ``data`` is the reason. ``lost``: the journal has a hole here; ``data`` says why.
    """

    at: float
    pbx: str
    source: str
    kind: Kind
    data: bytes = b""


def first_line(now: float) -> bytes:
    """Return the line that a file begins with; ``now`` is when it was begun."""
    return _FIRST_LINE % now


def is_journal(head: bytes) -> bool:
    """Return whether a file that begins so is a journal, or a part of one."""
    return head.startswith(MAGIC) or _HEADER.match(head) is not None


def encode(frame: Frame) -> bytes:
    """Return a frame as it stands in the file; more data than one frame may hold as several."""
    data = frame.data
    head = f"@{frame.at:.6f} {frame.pbx} {frame.source} {frame.kind} ".encode()
    pieces = [data[at : at + MAX_FRAME_BYTES] for at in range(0, len(data), MAX_FRAME_BYTES)] or [b""]
    return b"".join(b"%s%d %08x\n%s\n" % (head, len(piece), crc32(piece), piece) for piece in pieces)


class Parser:
    """Cuts a journal into its frames, however the reads fall. Memory is bounded by the largest frame.

    What is no whole frame (a write that a crash cut off, a damaged part) is passed over up to the next frame; each such
    place is counted in ``torn``, its bytes in ``skipped_bytes``.
    """

    __slots__ = ("_rest", "_tearing", "skipped_bytes", "torn")

    def __init__(self) -> None:
        self._rest = b""
        self._tearing = False
        self.torn = 0
        self.skipped_bytes = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes; return the frames that are now whole, in order."""
        return list(self._cut(self._rest + data, final=False))

    def finish(self) -> list[Frame]:
        """Say that no more bytes come; return the whole frames that stood behind a torn one."""
        return list(self._cut(self._rest, final=True))

    def _cut(self, data: bytes, *, final: bool) -> Iterator[Frame]:
        at = 0
        while at < len(data):
            frame, end = _read(data, at)
            if end == _SHORT and not final:
                break
            if end < 0:
                end = self._tear(data, at, final=final)
            elif frame is not None:
                self._tearing = False
                yield frame
            at = end
        self._rest = data[at:]

    def _tear(self, data: bytes, at: int, *, final: bool) -> int:
        """Return where the next frame may begin, as none begins at ``at``."""
        self.torn += not self._tearing
        self._tearing = True
        match = _NEXT.search(data, at)
        end = match.end() if match is not None else len(data)
        if match is None and not final and end - at > 1 and data.endswith(b"\n"):
            end -= 1  # this may be the line end before a frame that is still to come
        self.skipped_bytes += end - at
        return end


_SHORT, _TORN = -1, -2


def _read(data: bytes, at: int) -> tuple[Frame | None, int]:
    """Return what begins at a place and where it ends: a frame, or nothing (a first line, an empty line).

    The end is `_SHORT` when more bytes are needed to know, `_TORN` when there is nothing of a journal.
    """
    header = _HEADER.match(data, at)
    if header is not None and int(header[5]) <= MAX_FRAME_BYTES:
        return _frame(data, header)
    if data.startswith(b"\n", at):
        return None, at + 1
    first = _FIRST.match(data, at)
    if first is not None:
        return None, first.end()
    cut_short = len(data) - at < _LONGEST_LINE and data.find(b"\n", at) < 0 and data[at] in _STARTS
    return None, _SHORT if cut_short else _TORN


def _frame(data: bytes, header: re.Match[bytes]) -> tuple[Frame | None, int]:
    start = header.end()
    end = start + int(header[5])
    if len(data) <= end:
        return None, _SHORT
    content = data[start:end]
    if data[end] != _LINE_END or crc32(content) != int(header[6], 16):
        return None, _TORN
    kind = cast("Kind", header[4].decode())
    return Frame(float(header[1]), header[2].decode(), header[3].decode(), kind, content), end + 1

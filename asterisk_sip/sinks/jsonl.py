"""Records as lines of JSON in a file that is rotated by size and age."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from asterisk_sip.errors import TransientSinkError
from asterisk_sip.sinks.base import Delivery, Kind
from asterisk_sip.sinks.whole_lines import append

_TAIL_BYTES = 1 << 16
_ENDED_AT = re.compile(rb'"ended_at":\s?"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"')


@dataclass(frozen=True, slots=True)
class JsonlSettings:
    """Where to write, when to begin a new file, how many old ones to keep (0: all).

    ``fsync``: ``always`` writes every batch through to the disk before it counts as delivered, ``never`` leaves that to
    the operating system (a power cut may then lose some seconds here; the store has them).
    """

    path: Path
    wants: frozenset[Kind] = frozenset({"failure"})
    max_mb: int = 100
    max_hours: int = 24
    keep_files: int = 14
    fsync: Literal["always", "never"] = "always"


class JsonlSink:
    """Appends one line a record. A line that may have been written before says ``"repeated":true``."""

    at_most = 500

    def __init__(self, settings: JsonlSettings) -> None:
        self.wants = settings.wants
        self._settings = settings
        self._fd: int | None = None
        self._size = 0
        self._began_at = 0.0

    async def open(self) -> None:
        """Open the file to append to it; half a line that a crash left is cut off. Raises TransientSinkError."""
        await asyncio.to_thread(self._mapped, self._open)

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Append the lines of a batch, all or none. Raises TransientSinkError when the disk does not take them."""
        lines = "".join(line(delivery) for delivery in deliveries).encode()
        await asyncio.to_thread(self._mapped, lambda: self._append(lines))

    async def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, None
        if fd is not None:
            await asyncio.to_thread(os.close, fd)

    def _mapped(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            raise TransientSinkError(f"{self._settings.path}: {error.strerror or error}") from error

    def _open(self) -> None:
        path = self._settings.path
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        self._fd = fd
        self._size = _without_torn_line(fd)
        self._began_at = _begun_at(fd) if self._size else time.time()

    def _append(self, lines: bytes) -> None:
        if self._is_due(len(lines)):
            self._rotate()
        if self._fd is None:
            self._open()
        fd = self._fd
        assert fd is not None  # noqa: S101  _open() made it
        append(fd, lines, self._size, through=self._settings.fsync == "always")
        self._size += len(lines)

    def _is_due(self, more: int) -> bool:
        settings = self._settings
        too_long = self._size + more > settings.max_mb * 1_000_000
        return bool(self._size) and (too_long or time.time() - self._began_at >= settings.max_hours * 3600)

    def _rotate(self) -> None:
        path = self._settings.path
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path.rename(path.with_name(f"{path.stem}-{stamp}{path.suffix}"))
        self._size = 0
        old = sorted(path.parent.glob(f"{path.stem}-????????T????????????{path.suffix}"))
        for each in old[: -self._settings.keep_files] if self._settings.keep_files else ():
            each.unlink(missing_ok=True)


def line(delivery: Delivery) -> str:
    """Return a delivery as its line: the record's JSON, a gap's as ``{"gap": ...}``, and a mark if it is repeated."""
    text = f'{{"gap":{delivery.text}}}' if delivery.kind == "gap" else delivery.text
    return f'{text[:-1]},"repeated":true}}\n' if delivery.repeated else f"{text}\n"


def _without_torn_line(fd: int) -> int:
    """Cut off what stands behind the last line end; return the size that is left."""
    size = os.fstat(fd).st_size
    end = size
    while end:
        begin = max(0, end - _TAIL_BYTES)
        found = os.pread(fd, end - begin, begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    if end != size:
        os.ftruncate(fd, end)
    return end


def _begun_at(fd: int) -> float:
    """Return when a file that is gone on with was begun: when its first call ended."""
    first = os.pread(fd, _TAIL_BYTES, 0).partition(b"\n")[0]
    match = _ENDED_AT.search(first)
    return time.time() if match is None else datetime.fromisoformat(match[1].decode()).timestamp()

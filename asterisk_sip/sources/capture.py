"""A journal in one file, of what the doors receive while somebody watches: no store, no calls, no rotation."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import SourceError
from asterisk_sip.sources.journal import Tape
from asterisk_sip.sources.journal_wire import Frame, Kind, encode, first_line
from asterisk_sip.sources.veil_wire import Veil, veil


class Capture:
    """Writes one file, gzipped when its name ends in ``.gz``. ``key``: numbers and names are replaced by its tokens.

    ``trouble`` is what the disk has against it: nothing is written from then on.
    """

    def __init__(self, path: Path, now: float, key: bytes | None = None) -> None:
        """Begin the file. Raises SourceError, also when there is one already."""
        self._path = path
        self._key = key
        self.bytes = 0
        self.doors: dict[str, str] = {}  # by "pbx door": up, or why it is not
        self.heard = False  # whether any door was ever up
        self.trouble: str | None = None
        try:
            self._raw = path.open("xb")
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}") from error
        path.chmod(0o600)
        packed = path.name.endswith(".gz")
        self._file = cast("IO[bytes]", gzip.GzipFile(path.name, "wb", 6, self._raw)) if packed else self._raw
        self._write(first_line(now))

    def veil(self, source: str) -> Veil:
        """Return what takes secrets, and if wanted numbers and names, out of what one door receives."""
        return veil(source, self._key)

    def put(self, tape: Tape, at: float, kind: Kind, data: bytes) -> None:
        """Write a frame."""
        if kind == "data":
            data = tape.veil.feed(data)
            if not data:
                return
        elif kind in ("up", "down"):
            self.heard |= kind == "up"
            self.doors[f"{tape.pbx} {tape.source}"] = "up" if kind == "up" else data.decode("utf-8", "replace")
            tape.veil.reset()
        self._write(encode(Frame(at, tape.pbx, tape.source, kind, data)))

    def _write(self, data: bytes) -> None:
        if self.trouble is not None:
            return
        try:
            self._file.write(data)
            self.bytes += len(data)
        except OSError as error:
            self.trouble = error.strerror or str(error)

    def close(self) -> None:
        """End the file. Raises SourceError when it is not whole."""
        try:
            self._file.close()
            self._raw.close()
        except OSError as error:
            self.trouble = self.trouble or error.strerror or str(error)
        if self.trouble is not None:
            raise SourceError(f"{self._path}: {self.trouble}; what is in it is cut off")


class CaptureDesk:
    """Where the doors of a PBX lead to: the file."""

    def __init__(self, capture: Capture, pbx: str, now: float) -> None:
        self._capture = capture
        self._pbx = pbx
        self._now = now
        self.relist: list[Callable[[], None]] = []

    def door(self, name: str) -> Ear:
        """Return the listener for one of the PBX's sources."""
        tape = Tape(self._capture, self._pbx, name)
        self._capture.put(tape, self._now, "run", b"")
        self._capture.doors[f"{self._pbx} {name}"] = "not heard yet"
        return Ear(tape)

    def read_gaps_from(self, *_: Any) -> None:
        """Do nothing: a recording has no gaps to fill."""


class Ear:
    """The listener of one source: what it receives goes on the tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def link_up(self, version: str | None) -> None:
        """Hear that the source listens now."""
        self._tape.up(time.time(), version)

    def link_down(self, reason: str) -> None:
        """Hear that it does not listen any more."""
        self._tape.down(time.time(), reason)

    def raw(self, data: bytes) -> None:
        """Take what came."""
        self._tape.data(data)

    def heard(self, events: list[ev.Event]) -> None:
        """Do nothing: the bytes tell it all."""

    def lost(self, count: int, reason: str) -> None:
        """Do nothing: the bytes are on the tape."""

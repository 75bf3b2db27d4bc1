"""The journal as it is written: what the doors of all PBXs receive, to files of a folder. Never in the daemon's way.

The doors only put bytes into a buffer; a thread of its own empties it. When the disk is full or the folder cannot be
written, the journal stops, says so once, and tries again later; what came meanwhile is counted and told in it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from asterisk_sip.sources.journal_files import Folder
from asterisk_sip.sources.journal_wire import Frame, Kind, encode
from asterisk_sip.sources.veil_wire import Veil, veil

MAX_WAITING_BYTES = 32 << 20
GATHER_S = 0.05
RETRY_S = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """Where the journal is kept and how large it may get. ``key``: numbers and names are replaced by its tokens."""

    folder: Path
    max_file_bytes: int = 64 << 20
    max_total_bytes: int = 1 << 30
    key: bytes | None = field(default=None, repr=False)


class Writer(Protocol):
    """What a tape's frames are written by."""

    def veil(self, source: str) -> Veil:
        """Return what takes secrets, and if wanted numbers and names, out of what one door receives."""

    def put(self, tape: Tape, at: float, kind: Kind, data: bytes) -> None:
        """Take a frame."""


class Tape:
    """The journal of one door of one PBX. Its methods return at once and raise nothing."""

    def __init__(self, journal: Writer, pbx: str, source: str) -> None:
        self._journal = journal
        self.pbx = pbx
        self.source = source
        self.version = ""
        self.veil: Veil = journal.veil(source)
        self.lost = 0  # frames that are not in the journal since it last could tell so

    def data(self, data: bytes) -> None:
        """Take what one read gave, or one message."""
        self._journal.put(self, time.time(), "data", data)

    def up(self, at: float, version: str | None) -> None:
        """Hear that the door is heard from a time on."""
        self._journal.put(self, at, "up", (version or "").encode())

    def down(self, at: float, reason: str) -> None:
        """Hear that the door is not heard from a time on."""
        self._journal.put(self, at, "down", reason.encode("utf-8", "backslashreplace"))


class Journal:
    """Writes the tapes of all doors. ``start`` it before the doors open, ``stop`` it when they are closed."""

    def __init__(self, settings: JournalSettings) -> None:
        self._settings = settings
        self._tapes: list[Tape] = []
        self._waiting: deque[tuple[Tape, float, Kind, bytes]] = deque()
        self._waiting_bytes = 0
        self._full = threading.Lock()  # over the count of what waits: two threads change it
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._folder = Folder(settings.folder, settings.max_file_bytes, settings.max_total_bytes)
        self._trouble = ""
        self._again_at = 0.0
        self._veil_told = False
        self.frames = 0
        self.dropped = 0
        self.written_bytes = 0

    def veil(self, source: str) -> Veil:
        """Return what takes secrets, and if wanted numbers and names, out of what one door receives."""
        return veil(source, self._settings.key)

    def tape(self, pbx: str, source: str) -> Tape:
        """Return the tape for a door (``ami``, ``ari``, ``hep``, ``agi``) of a PBX."""
        tape = Tape(self, pbx, source)
        self._tapes.append(tape)
        return tape

    def put(self, tape: Tape, at: float, kind: Kind, data: bytes) -> None:
        """Take a frame; one that finds the buffer full is dropped and counted."""
        with self._full:
            if self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
                tape.lost += 1
                self.dropped += 1
                return
            self._waiting_bytes += len(data)
            self._waiting.append((tape, at, kind, data))
        self._wake.set()

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, close the file and end. Waits for the thread: not to be called from an event loop."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    # what follows runs in the thread

    def _run(self) -> None:
        self._guarded(self._folder.claim)  # a folder that cannot be used is told at once, not with the first call
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(GATHER_S)  # what comes close together is written together
            self._wake.clear()
            self._empty()
        self._empty()
        for work in (self._folder.close, self._folder.release):
            try:
                work()
            except OSError as error:
                self._failed(error.strerror or str(error))

    def _empty(self) -> None:
        frames = []
        while self._waiting:
            frames.append(self._waiting.popleft())
        if not frames:
            return
        taken = sum(len(data) for *_, data in frames)
        with self._full:
            self._waiting_bytes -= taken
        if time.monotonic() < self._again_at or not self._guarded(lambda: self._write(frames)):
            self._count_lost(frames)

    def _count_lost(self, frames: list[tuple[Tape, float, Kind, bytes]]) -> None:
        for tape, _, kind, data in frames:
            if kind == "up":
                tape.version = data.decode("utf-8", "replace")
            tape.lost += 1
        self.dropped += len(frames)

    def _write(self, frames: list[tuple[Tape, float, Kind, bytes]]) -> None:
        if not self._folder.is_open:
            self._open()
        out = []
        for tape, at, kind, data in frames:
            if tape.lost:
                out.append(encode(self._hole(tape, at)))
            out.append(self._frame(tape, at, kind, data))
        self.written_bytes += self._folder.append(b"".join(out))
        self.frames += len(out)
        if self._folder.is_full:
            self._folder.close()

    def _frame(self, tape: Tape, at: float, kind: Kind, data: bytes) -> bytes:
        if kind == "up":
            tape.version = data.decode("utf-8", "replace")
        elif kind == "down":
            tape.veil.reset()
        elif kind == "data":
            data = self._veiled(tape, data)
            if not data:
                return b""
        return encode(Frame(at, tape.pbx, tape.source, kind, data))

    def _veiled(self, tape: Tape, data: bytes) -> bytes:
        try:
            return tape.veil.feed(data)
        except Exception:  # what cannot be veiled is not written; the journal goes on
            tape.veil.reset()
            tape.lost += 1
            self.dropped += 1
            if not self._veil_told:
                log.exception("a frame is left out of the journal (told once)", pbx=tape.pbx, door=tape.source)
            self._veil_told = True
            return b""

    def _hole(self, tape: Tape, at: float) -> Frame:
        reason = f"{tape.lost} frames are not here: {self._trouble or 'more came than could be written'}"
        tape.lost = 0
        tape.veil.reset()
        return Frame(at, tape.pbx, tape.source, "lost", reason.encode())

    def _open(self) -> None:
        """Open the next file; it tells of each door what the files before it told."""
        now = time.time()
        number = self._folder.open(now)
        kind: Kind = "run" if number == 1 else "file"
        data = b"" if number == 1 else str(number).encode()
        for tape in self._tapes:
            told = data + f" {tape.version}".encode() if tape.version else data
            self._folder.append(encode(Frame(now, tape.pbx, tape.source, kind, told)))

    def _guarded(self, work: Callable[[], object]) -> bool:
        """Do some work; what the disk has against it stops the journal for a while. Return whether it was done."""
        try:
            work()
        except OSError as error:
            self._failed(error.strerror or str(error))
            return False
        if self._trouble:
            log.info("the journal goes on", folder=str(self._settings.folder), frames_lost=self.dropped)
            self._trouble = ""
        return True

    def _failed(self, reason: str) -> None:
        self._again_at = time.monotonic() + RETRY_S
        self._folder.abandon()
        if not self._trouble:
            log.error("no journal is written", folder=str(self._settings.folder), reason=reason)
        self._trouble = reason

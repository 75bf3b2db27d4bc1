"""A recording as a door: raw AMI bytes from files, plain or gzipped, to the calls that ended in them."""

from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from asterisk_sip.calls import enrich, state
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.switchboard import Switchboard
from asterisk_sip.errors import SourceError
from asterisk_sip.sources import ami_wire

CHUNK_BYTES = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"
STDIN = Path("-")


class Replay:
    """Reads recordings and yields a record for every call that ended, in the order in which they ended.

    A file that begins with AMI's banner is a recording of its own; one that does not goes on where the last stopped
    (a recording cut into pieces). ``unfinished`` counts the calls still open at the end of their recording,
    ``unreadable`` the messages that could not be read. The same files give the same records, whenever they are read.
    """

    def __init__(self, around: enrich.Surroundings, limits: Limits | None = None) -> None:
        self._around = around
        self._fixed_version = around.version
        self._limits = limits or Limits()
        self._start()
        self.unfinished = 0
        self.unreadable = 0
        self.events = 0

    def _start(self) -> None:
        self._board = Switchboard(self._limits)
        self._reader = ami_wire.Reader(ami_wire.RecordedClock())

    def read(self, paths: Iterable[Path], progress: Callable[[int], None] | None = None) -> Iterator[CallRecord]:
        """Yield the records of some files. ``progress`` hears how many bytes were read. Raises SourceError."""
        for number, path in enumerate(paths):
            for chunk_number, chunk in enumerate(_chunks(path)):
                if chunk_number == 0 and number > 0 and chunk.startswith(ami_wire.BANNER):
                    self._finish()
                    self._start()
                yield from self._feed(chunk)
                if progress is not None:
                    progress(len(chunk))
        self._finish()

    def _feed(self, chunk: bytes) -> Iterator[CallRecord]:
        reader = self._reader
        for event in reader.feed(chunk):
            self.events += 1
            ended = self._board.feed(event, event.at)
            for call in ended:
                yield self._record(call)
        reader.responses.clear()

    def _record(self, call: state.Call) -> CallRecord:
        version = self._fixed_version or self._reader.version or ami_wire.release_of_banner(self._reader.framer.banner)
        if version != self._around.version:
            self._around = replace(self._around, version=version)
        return enrich.record(call, self._around)

    @property
    def banner(self) -> str | None:
        """AMI's first line in the last recording: empty when it had none, None when there was nothing to read."""
        return self._reader.framer.banner

    def _finish(self) -> None:
        self.unfinished += len(self._board.correlator)
        self.unreadable += self._reader.unreadable + self._reader.framer.oversized


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with _open(path) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{path}: {reason}") from error


@contextlib.contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        if file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
            with gzip.open(file) as stream:
                yield cast("IO[bytes]", stream)
        else:
            yield file

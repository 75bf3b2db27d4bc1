"""The files of a journal: one that is written, older ones packed, the oldest removed when there is no room for more."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import os
import queue
import re
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import structlog

from asterisk_sip.sources.journal_wire import first_line

SUFFIX = ".journal"
PACKED = ".journal.gz"
_PART = ".part"
_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.journal(?:\.gz)?")
_LOCK = ".lock"
_COPY_BYTES = 1 << 18
_PACK_LEVEL = 6
PACK_WAIT_S = 5.0

log = structlog.get_logger(__name__)


def files_of(folder: Path) -> list[Path]:
    """Return the files of a journal, the oldest first; of a file that is packed and plain, the plain one.

    Raises OSError.
    """
    found = {path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)}
    return [folder / name for name in sorted(found) if name.removesuffix(".gz") == name or name[:-3] not in found]


class Folder:
    """A folder with a journal in it, of one writer at a time. Its methods raise OSError."""

    def __init__(self, path: Path, max_file_bytes: int, max_total_bytes: int) -> None:
        self._path = path
        self._max_file_bytes = max_file_bytes
        self._max_total_bytes = max_total_bytes
        self._file: IO[bytes] | None = None
        self._name = Path()
        self._size = 0
        self._number = 0
        self._lock: int | None = None
        self._packer = Packer()

    @property
    def is_open(self) -> bool:
        """Whether a file is being written."""
        return self._file is not None

    @property
    def is_full(self) -> bool:
        """Whether the file is as large as one may get."""
        return self._size >= self._max_file_bytes

    def claim(self) -> None:
        """Make the folder and take it for this writer; what an earlier one left half packed is removed."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = _locked(self._path / _LOCK)
            for part in self._path.glob("*" + _PART):
                part.unlink(missing_ok=True)

    def open(self, now: float) -> int:
        """Begin a file; return its number, which counts from 1. Older files are packed or removed."""
        self.claim()
        self._make_room()
        name = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S.%fZ") + SUFFIX
        self._name = self._path / name
        handle = os.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(handle, "wb", buffering=0)
        self._size = 0
        self._number += 1
        self.append(first_line(now))
        self._packer.pack([path for path in files_of(self._path) if path.name.endswith(SUFFIX) and path != self._name])
        return self._number

    def append(self, data: bytes) -> int:
        """Write some bytes; return how many. What was written survives the end of the program, however it ends."""
        if self._file is None:
            raise OSError(errno.EBADF, "no file is open")
        view = memoryview(data)
        while view:
            written = self._file.write(view) or 0
            view = view[written:]
        self._size += len(data)
        return len(data)

    def abandon(self) -> None:
        """Let go of the file as it is; the next `open` begins another."""
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = None

    def close(self) -> None:
        """Close the file: it is whole, and is packed when another is begun."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def release(self) -> None:
        """Wait for what is being packed, and let another writer in."""
        self._packer.finish()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _make_room(self) -> None:
        """Remove the oldest files, so that there is room for a whole new one."""
        files = files_of(self._path)
        sizes = [path.stat().st_size for path in files]
        too_much = sum(sizes) - (self._max_total_bytes - self._max_file_bytes)
        for path, size in zip(files, sizes, strict=True):
            if too_much <= 0:
                break
            path.unlink(missing_ok=True)
            too_much -= size


class Packer:
    """Packs closed files, one after the other, in a thread of its own that ends when there is nothing to do."""

    def __init__(self) -> None:
        self._todo: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._known: set[Path] = set()
        self._thread: threading.Thread | None = None

    def pack(self, paths: list[Path]) -> None:
        """Pack some files, soon."""
        for path in paths:
            if path not in self._known:
                self._known.add(path)
                self._todo.put(path)
        if self._known and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="journal-packer", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait a moment for what is being packed; what is not done by then is begun anew by the next writer."""
        if self._thread is not None:
            self._todo.put(None)
            self._thread.join(PACK_WAIT_S)
            self._thread = None

    def _run(self) -> None:
        while (path := self._todo.get()) is not None:
            try:
                _pack(path)
            except OSError as error:
                log.warning("a file of the journal stays as it is", path=str(path), reason=error.strerror or str(error))
            self._known.discard(path)


def _pack(path: Path) -> None:
    """Replace a file by its packed self; at no moment is there none, or only a part of one."""
    packed = path.with_suffix(PACKED)
    part = packed.with_suffix(packed.suffix + _PART)
    try:
        with path.open("rb") as plain, part.open("wb") as raw:
            os.fchmod(raw.fileno(), 0o600)
            with gzip.GzipFile(path.name, "wb", _PACK_LEVEL, raw) as stream:
                shutil.copyfileobj(plain, stream, _COPY_BYTES)
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(packed)
        path.unlink()
    except FileNotFoundError:
        part.unlink(missing_ok=True)  # the oldest files went to make room, this one among them
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _locked(path: Path) -> int:
    """Take the folder for this writer; return what holds it. Raises OSError when another has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise OSError(error.errno, "another process writes a journal there") from error
    return handle

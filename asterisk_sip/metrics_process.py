"""What this process uses itself, read so that the hardened unit of systemd allows it: of /proc only its own part."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

_OWN = Path("/proc/self")
_START_TIME = 19
"""Which field behind the name, counted from 0, of /proc/PID/stat tells when the process began (proc(5): 22)."""


@dataclass(frozen=True, slots=True)
class Own:
    """CPU time since the start, resident memory, open files and how many there may be, the start (since 1970).

    Without /proc, as in a bare chroot, memory and files are None, and the start is when this module was first read.
    """

    cpu_s: float
    memory_bytes: int | None
    open_files: int | None
    most_files: int
    began_at: float


def own() -> Own:
    """Return what it uses now."""
    memory_bytes, files = None, None
    with contextlib.suppress(OSError):
        pages = int((_OWN / "statm").read_text(encoding="ascii").split()[1])
        memory_bytes, files = pages * resource.getpagesize(), sum(1 for _ in (_OWN / "fd").iterdir())
    return Own(
        cpu_s=time.process_time(),
        memory_bytes=memory_bytes,
        open_files=files,
        most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        began_at=_BEGAN_AT,
    )


def _began_at() -> float:
    try:
        ticks = int((_OWN / "stat").read_bytes().rpartition(b")")[2].split()[_START_TIME])
    except OSError:
        return time.time()
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s


_BEGAN_AT = _began_at()

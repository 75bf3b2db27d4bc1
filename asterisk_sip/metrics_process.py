"""What this process uses itself, read so that the hardened unit of systemd allows it: of /proc only its own part."""

from __future__ import annotations

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
    """CPU time since the start, resident memory, open files and how many there may be, the start (since 1970)."""

    cpu_s: float
    memory_bytes: int
    open_files: int
    most_files: int
    began_at: float


def own() -> Own:
    """Return what it uses now."""
    pages = int((_OWN / "statm").read_text(encoding="ascii").split()[1])
    files = sum(1 for _ in (_OWN / "fd").iterdir())
    return Own(
        cpu_s=time.process_time(),
        memory_bytes=pages * resource.getpagesize(),
        open_files=files,
        most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        began_at=_BEGAN_AT,
    )


def _began_at() -> float:
    ticks = int((_OWN / "stat").read_bytes().rpartition(b")")[2].split()[_START_TIME])
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s


_BEGAN_AT = _began_at()

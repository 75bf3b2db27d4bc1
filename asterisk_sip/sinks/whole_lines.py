"""Appends to a file all of what is given or nothing: half a line would spoil the one that comes behind it."""

from __future__ import annotations

import os


def append(fd: int, lines: bytes, size: int, *, through: bool = True) -> None:
    """Write behind the ``size`` bytes that a file has; ``through`` to the disk. Raises OSError, and it is as it was."""
    try:
        view = memoryview(lines)
        while view:
            view = view[os.write(fd, view) :]
        if through:
            os.fsync(fd)
    except OSError:
        os.ftruncate(fd, size)
        raise

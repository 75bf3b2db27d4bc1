"""The copy of an SQLite file that is made before its schema changes, so that the program before can be gone back to."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from asterisk_sip.errors import StoreError

KEPT = 1
"""How many copies stay. Each is as large as the file, and holds numbers that a later purge does not reach."""

_SPARE_BYTES = 16 * 1024 * 1024


def name_of(path: Path, revision: str) -> Path:
    """Return where the copy of a file of this schema lies: beside it, such as ``calls.db.schema-0001``."""
    return path.with_name(f"{path.name}.schema-{revision}")


def keep(path: Path, revision: str) -> Path:
    """Copy the file, as it is after the last commit, and delete older copies. Durable when it returns.

    The caller holds the lock of writers, so nothing is written meanwhile. Raises StoreError when there is no room for
    the copy, sqlite3.Error or OSError when the disk fails; no part of a copy is left then.
    """
    target = name_of(path, revision)
    needed, free = path.stat().st_size + _wal_bytes(path), shutil.disk_usage(path.parent).free
    if free < needed + _SPARE_BYTES:
        raise StoreError(
            f"{path}: its schema is older, and before it is changed the file is copied to {target.name}: that takes"
            f" {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free. Make room, or move calls away to another disk"
        )
    unfinished = target.with_name(f"{target.name}.part")
    with _removed_on_failure(unfinished):
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, path.stat().st_mode & 0o777))
        source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(unfinished)) as copy:
            source.backup(copy)
        _to_disk(unfinished)
        unfinished.replace(target)
        _to_disk(path.parent)
    _prune(path)
    return target


def copies(path: Path) -> list[Path]:
    """Return the copies of a file, the newest schema first."""
    prefix = f"{path.name}.schema-"
    return sorted((each for each in path.parent.iterdir() if _is_copy(each.name, prefix)), reverse=True)


def _is_copy(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name.removeprefix(prefix).isdecimal()


def _prune(path: Path) -> None:
    for old in copies(path)[KEPT:]:
        old.unlink(missing_ok=True)


def _wal_bytes(path: Path) -> int:
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size if log.exists() else 0


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

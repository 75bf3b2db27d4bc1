"""One SQLite file: how it is opened, which schema it has, and what its errors mean."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from asterisk_sip.errors import StoreError, TookTooLongError

from . import sqlite_backup
from .base import MissingStoreError
from .schema import REVISIONS, VERSION_TABLE

_BUSY_S = 10.0
"""How long to wait for another process that is writing."""

_STEPS = 100_000
"""So many steps of SQLite's machine, about two milliseconds, between two looks at the clock."""

_WAL_KEPT_BYTES = 64 * 1024 * 1024

_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it can only be read: look at the permissions of the file and of its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: look at the permissions of the file and of its folder",
    sqlite3.SQLITE_PERM: "it cannot be opened: look at the permissions of the file and of its folder",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore a copy, or move it away to begin a new one",
    sqlite3.SQLITE_BUSY: "another program keeps it locked",
    sqlite3.SQLITE_INTERRUPT: "the answer would have taken too long",
    sqlite3.SQLITE_IOERR: "the disk gives errors: see the kernel's log",
}


def size_bytes(path: Path) -> int:
    """Return what the file takes with its write-ahead log. Raises StoreError."""
    with errors_of(path):
        total = path.stat().st_size
        with contextlib.suppress(FileNotFoundError):
            total += path.with_name(f"{path.name}-wal").stat().st_size
        return total


def create(path: Path) -> None:
    """Make the file when there is none, readable for its group but not for others: it holds who called whom."""
    with errors_of(path), contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640))


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open for writing: write-ahead log, so that others read meanwhile; a commit is on the disk when it returns.

    Raises sqlite3.Error, and StoreError where the file system cannot do that.
    """
    connection = _connect(path, "mode=rw")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file: what is deleted can be given back
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        connection.close()
        raise StoreError(f"{path}: its file system cannot hold SQLite's write-ahead log; use a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: it says who called whom
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open for reading what this process writes. Raises sqlite3.Error."""
    return _reading(_connect(path, "mode=ro"))


def connect_to_visit(path: Path) -> sqlite3.Connection:
    """Open for one question, leaving nothing behind. Raises sqlite3.Error.

    While somebody writes, SQLite needs the write-ahead log beside the file. Nobody does when there is none: then the
    file is read as one that does not change, else SQLite would make a log owned by the visitor, which the daemon could
    not write to, or fail where the visitor may not make it.
    """
    written_to = (path.parent / f"{path.name}-wal").exists()  # also of what is no file, which is told next
    return _reading(_connect(path, "mode=ro" if written_to else "mode=ro&immutable=1"))


def check_schema(connection: Connection, path: Path) -> bool:
    """Return whether the schema is the current one, False when it is older or there is none yet.

    Raises StoreError when it is newer than this program, or when the file belongs to another program.
    """
    tables = _tables(connection)
    if not tables:
        return False
    if VERSION_TABLE not in tables or "calls" not in tables:
        raise StoreError(f"{path}: this is the database of another program; name a file of its own for the calls")
    revision = revision_of(connection)
    if revision not in REVISIONS:
        raise StoreError(
            f"{path}: written by a newer asterisk-sip (its schema is {revision}, this program knows up to"
            f" {REVISIONS[-1]}); update asterisk-sip"
        )
    return bool(revision == REVISIONS[-1])


def revision_of(connection: Connection) -> str | None:
    """Return the schema of a file of ours, None when it has no tables yet."""
    if not _tables(connection):
        return None
    return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608  # a constant


def bring_up_to_date(connection: Connection, path: Path) -> None:
    """Make or migrate the tables, unless they are current. In one transaction: a crash leaves the schema as it was.

    Before tables are migrated, the file is copied beside itself, see ``sqlite_backup``. Raises StoreError, also when
    there is no room for the copy.
    """
    current = check_schema(connection, path)
    connection.rollback()  # ends what reading began
    if current:
        return
    from .migrations import migrate  # noqa: PLC0415  # alembic takes longer to load than all the rest

    with immediate(connection):
        if check_schema(connection, path):  # another process was first
            return
        before = revision_of(connection)
        if before is not None:
            sqlite_backup.keep(path, before)
        migrate(connection, REVISIONS[-1])


def check_readable(connection: Connection, path: Path) -> None:
    """Raise StoreError when the calls cannot be read with the current schema, MissingStoreError when there is none."""
    if check_schema(connection, path):
        return
    if connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar():
        raise StoreError(
            f"{path}: written by an older asterisk-sip; start the daemon once, it brings the file up to date"
        )
    raise MissingStoreError(f"{path}: nothing has been written there yet")


@contextlib.contextmanager
def immediate(connection: Connection) -> Iterator[None]:
    """Run a transaction that is alone in writing from its first statement on: commits, or rolls back on any error."""
    with connection.begin():
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Do the same on the driver's own connection: every call takes this road, and SQLAlchemy's toll is not small."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after some errors SQLite has rolled back by itself
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def until(deadline: float, connection: Connection, path: Path) -> Iterator[None]:
    """Stop what is asked of a connection at a time of the monotonic clock. Raises TookTooLongError when it is past.

    SQLite itself has no such bound; it asks from time to time whether to go on.
    """
    if deadline == math.inf:
        yield
        return
    driver: Any = connection.connection.driver_connection
    if time.monotonic() >= deadline:
        raise TookTooLongError(f"{path}: {_REASONS[sqlite3.SQLITE_INTERRUPT]}")
    driver.set_progress_handler(lambda: time.monotonic() >= deadline, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


@contextlib.contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn the errors of the driver and of the file system into StoreError, which names the file and the reason."""
    try:
        yield
    except DBAPIError as error:
        raise _error(path, error.orig) from error
    except (sqlite3.Error, OSError) as error:
        raise _error(path, error) from error


def _tables(connection: Connection) -> set[str]:
    return set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())


def _reading(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA case_sensitive_like = ON")  # as LIKE is in the other engines
    return connection


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=_BUSY_S,
        isolation_level=None,  # transactions begin where this program says so
        check_same_thread=False,  # a connection is used by one thread at a time, not always by the same
    )


def _error(path: Path, error: BaseException | None) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte says what, the rest where
    if isinstance(error, OSError) or code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}:
        misplaced = _misplaced(path)
        if misplaced is not None:
            return StoreError(f"{path}: {misplaced}")
    if isinstance(error, OSError):
        return StoreError(f"{path}: {error.strerror or error}")
    if code == sqlite3.SQLITE_CANTOPEN and not os.path.lexists(path):
        return MissingStoreError(f"{path}: there is no such file yet")
    if code == sqlite3.SQLITE_CANTOPEN and os.access(path, os.R_OK) and not os.access(path.parent, os.W_OK):
        code = sqlite3.SQLITE_READONLY  # the write-ahead log could not be made beside it
    kind = TookTooLongError if code == sqlite3.SQLITE_INTERRUPT else StoreError
    return kind(f"{path}: {_REASONS.get(code, str(error))}")


def _misplaced(path: Path) -> str | None:
    """Return what is wrong with the path itself, if anything can be seen."""
    try:
        if path.is_dir():
            return "it is a folder; name a file"
        if not path.parent.is_dir():
            return "its folder does not exist"
    except OSError:  # not even that may be asked
        pass
    return None

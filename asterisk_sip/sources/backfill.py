"""Reads Asterisk's channel event log (CEL) where it is kept: the rows of a time that nobody listened to.

Three back ends: cel_sqlite3_custom's SQLite file, a table in PostgreSQL (cel_pgsql, cel_odbc), cel_custom's CSV file.
Asterisk must be able to write all the while. SQLite is read a page at a time, the newest first: a reader's lock makes
the writer wait, and 16.28 and 22.10.1 lose the row when that lasts longer than ``busy_timeout`` (1 s; measured).
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from asterisk_sip.errors import LinkLostError, WireError
from asterisk_sip.sources.cel_wire import CSV_COLUMNS, REQUIRED, Row, column, read_row

VISIBLE_AFTER_S = 2.0
"""Wait so long before reading: a row was in the file 7 to 12 ms after its event, 330 ms at most (40 calls/s)."""

LOOK_BACK_S = 10.0
"""Rows from so long before a gap are read with it: what dialled whom is told when a call begins."""

MAX_ROWS = 200_000
PAGE_ROWS = 500
BLOCK_BYTES = 1 << 16
CONNECT_TIMEOUT_S = 10.0
QUERY_TIMEOUT_S = 60.0
DISORDER_S = 5.0
"""Rows are written nearly in the order of their times; reading goes on until one is so much older than wanted."""

_PAST_EVERY_ROW = 1 << 62
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")


@dataclass(frozen=True, slots=True)
class CelSettings:
    """Where one Asterisk keeps its CEL. ``path`` for sqlite and csv, ``url`` and ``password`` for postgresql."""

    kind: Literal["sqlite", "postgresql", "csv"]
    path: Path | None = None
    url: str | None = None
    password: str | None = None
    table: str = "cel"

    def __repr__(self) -> str:
        """Leave the password out, and the url as it may hold one."""
        return f"CelSettings({self.kind}, {self.place})"

    @property
    def place(self) -> str:
        """The file or the server, for texts: without user and password."""
        if self.path is not None:
            return str(self.path)
        with contextlib.suppress(ArgumentError, ValueError):
            url = make_url(self.url or "")
            return f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"
        return "?"


async def read_rows(settings: CelSettings, since: float, until: float) -> list[Row]:
    """Return the rows with times from ``since`` to ``until`` (seconds since 1970) in the order of writing.

    At most ``MAX_ROWS``, the newest. Raises SourceError: LinkLostError when the file or server cannot be read now,
    WireError when it is no CEL or lacks a column that is needed.
    """
    if settings.kind == "postgresql":
        return await _read_postgresql(settings, since, until)
    read = _read_sqlite if settings.kind == "sqlite" else _read_csv
    return await asyncio.to_thread(read, settings, since, until)


async def newest_rows(settings: CelSettings) -> list[Row]:
    """Return some hundreds of rows, the newest last; none when there is none yet. Raises as ``read_rows`` does."""
    if settings.kind == "postgresql":
        rows = await _ask_postgresql(settings, f"ORDER BY eventtime DESC LIMIT {PAGE_ROWS}")
    else:
        pages = _sqlite_pages if settings.kind == "sqlite" else _csv_pages
        rows = await asyncio.to_thread(lambda: next(pages(settings), []))
    return rows[::-1]


def _read_sqlite(settings: CelSettings, since: float, until: float) -> list[Row]:
    return _gather(_sqlite_pages(settings), since, until)


def _read_csv(settings: CelSettings, since: float, until: float) -> list[Row]:
    return _gather(_csv_pages(settings), since, until)


def _gather(pages: Iterable[list[Row]], since: float, until: float) -> list[Row]:
    """Take pages of rows, the newest first, until they are older than wanted."""
    found: list[Row] = []
    for page in pages:
        found += (row for row in page if since <= row.at <= until)
        if len(found) >= MAX_ROWS or all(row.at < since - DISORDER_S for row in page):
            break
    return found[:MAX_ROWS][::-1]


# SQLite


def _sqlite_pages(settings: CelSettings) -> Iterator[list[Row]]:
    path = settings.path
    if path is None or not path.exists():
        raise LinkLostError(f"no file {path}")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as base:
            names = [column(name) for _, name, *_ in base.execute(f"PRAGMA table_info({_quoted(settings.table)})")]
            _demand(names, f"table {settings.table} of {path}")
            query = f"SELECT rowid, * FROM {_quoted(settings.table)} WHERE rowid < ? ORDER BY rowid DESC LIMIT ?"  # noqa: S608  the name is quoted
            last = _PAST_EVERY_ROW
            while True:
                page = base.execute(query, (last, PAGE_ROWS)).fetchall()  # one read transaction, over when it returns
                if not page:
                    return
                last = page[-1][0]
                yield _rows(dict(zip(names, values, strict=True)) for _, *values in page)
    except sqlite3.Error as error:
        raise LinkLostError(f"{path} cannot be read: {error}") from error


def _quoted(table: str) -> str:
    """Quote a table's name, with its schema; raise WireError when it is none."""
    if not _NAME.fullmatch(table):
        raise WireError(f"{table!r} is no name of a table")
    return ".".join(f'"{part}"' for part in table.split("."))


def _demand(names: Iterable[str], where: str) -> None:
    missing = [name for name in REQUIRED if name not in set(names)]
    if len(missing) == len(REQUIRED):
        raise WireError(f"no {where}, or it holds no CEL")
    if missing:
        raise WireError(f"{where} has no column {', '.join(missing)}")


def _rows(read: Iterable[dict[str, object]]) -> list[Row]:
    return [row for values in read if (row := read_row(values)) is not None]


# CSV


def _csv_pages(settings: CelSettings) -> Iterator[list[Row]]:
    """Read blocks from the end; a line that the block cuts is read with the block before."""
    path = settings.path
    try:
        with (path or Path()).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            rest = b""
            while end > 0:
                begin = max(0, end - BLOCK_BYTES)
                file.seek(begin)
                block = file.read(end - begin) + rest
                end = begin
                cut = 0 if begin == 0 else block.find(b"\n") + 1
                rest, lines = block[:cut], block[cut:]
                if lines:
                    yield _csv_rows(lines)
                elif len(rest) > BLOCK_BYTES * 4:
                    raise WireError(f"{path} is no CSV file of cel_custom")
    except OSError as error:
        raise LinkLostError(f"{path} cannot be read: {error.strerror or error}") from error


def _csv_rows(lines: bytes) -> list[Row]:
    reader = csv.reader(io.StringIO(lines.decode("utf-8", "replace"), newline=""))
    try:
        read = [values for values in reader if len(values) >= len(CSV_COLUMNS)]
    except csv.Error as error:
        raise WireError(f"no CSV file of cel_custom: {error}") from error
    return _rows(dict(zip(CSV_COLUMNS, values, strict=False)) for values in read)[::-1]


# PostgreSQL


async def _read_postgresql(settings: CelSettings, since: float, until: float) -> list[Row]:
    # One literal fits every type of column: a timestamp without a zone, as both back ends write it, leaves ours out.
    begin, end = (datetime.fromtimestamp(at).astimezone().isoformat(sep=" ") for at in (since, until))
    where = f"WHERE eventtime BETWEEN '{begin}' AND '{end}' ORDER BY eventtime DESC LIMIT {MAX_ROWS}"
    return (await _ask_postgresql(settings, where))[::-1]


async def _ask_postgresql(settings: CelSettings, rest: str) -> list[Row]:
    try:
        import asyncpg  # noqa: PLC0415  an extra that few need
    except ImportError as error:
        raise LinkLostError("CEL in PostgreSQL needs asyncpg: install asterisk-sip[postgres]") from error
    query = f"SELECT * FROM {_quoted(settings.table)} {rest}"  # noqa: S608  a quoted name, and numbers of our own
    try:
        base = await asyncpg.connect(
            settings.url,
            password=settings.password,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={"application_name": "asterisk-sip", "default_transaction_read_only": "on"},
        )
        try:
            statement = await base.prepare(query, timeout=QUERY_TIMEOUT_S)
            names = [column(attribute.name) for attribute in statement.get_attributes()]
            _demand(names, f"table {settings.table}")
            read = await statement.fetch(timeout=QUERY_TIMEOUT_S)
        finally:
            await base.close(timeout=CONNECT_TIMEOUT_S)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise LinkLostError(f"{settings.place}: {str(error) or 'no answer in time'}") from error
    return _rows(dict(zip(names, record.values(), strict=True)) for record in read)

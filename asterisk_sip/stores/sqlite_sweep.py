"""Forgetting in the SQLite file: each step a short transaction, and a pause as long as the step before the next."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from . import rollups
from .base import microseconds
from .retention import DAY_US, Bounds, Swept

Answer = TypeVar("Answer")

SLICE = 100
"""So many calls are deleted in one transaction: 500 took 130 ms on a machine with two busy cores."""

_LIGHT_SLICE = 5_000  # of narrow rows
_LOOKED_AT = 50_000  # so many ids are looked at in one question
_LEAVES = 0.95  # of the size allowed, so that the next record does not begin the next sweep
_PAGES = 500

_OLDEST = "SELECT id, at_us FROM calls WHERE at_us < ? ORDER BY at_us, id LIMIT ?"
_GONE = "SELECT count(*) FROM outbox o WHERE o.text IS NULL AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.id = o.id)"
_FAR = (1 << 63) - 1


class Store(Protocol):
    """What a sweep needs of a store: a transaction of its own, and a question."""

    async def change(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Change something in one transaction of its own."""

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Ask something, beside the writer."""

    async def settle(self) -> bool:
        """Bring what is in the write-ahead log into the file; return whether all of it is."""


async def sweep(store: Store, bounds: Bounds) -> Swept:
    """Forget what is past its bounds. Ids that may come again stay, see `_safe_ids`."""
    swept = Swept()
    gone_before = await _count(store, _GONE)
    ids = await _safe_ids(store, bounds)
    if bounds.calls is not None:
        before = bounds.calls
        swept.calls += await _in_steps(store, lambda writer: forget_calls(writer, before, ids), SLICE)
        swept.open_calls += await _in_steps(store, lambda writer: _forget_open_calls(writer, before), _LIGHT_SLICE)
    if bounds.totals is not None:
        for kept in rollups.kept_by():
            swept.totals += await _forget_totals(store, bounds.totals, *kept)
    if bounds.gaps is not None:
        end = bounds.gaps
        swept.gaps += await _in_steps(store, lambda writer: _forget_gaps(writer, end), _LIGHT_SLICE)
    if ids is not None:
        swept.ids += await _forget_ids(store, ids)
    if bounds.size_bytes is not None:
        await _shrink(store, bounds.size_bytes, ids, swept)
    if swept.calls:
        swept.undelivered += await _count(store, _GONE) - gone_before
    return swept


def forget_calls(writer: sqlite3.Connection, before_us: int, ids_us: int | None) -> int:
    """Delete the oldest calls that ended before a time; return how many. Ids not older than ``ids_us`` are kept."""
    rows = writer.execute(_OLDEST, (before_us, SLICE)).fetchall()
    delete_calls(writer, [row for row in rows if ids_us is None or row[1] >= ids_us], rows)
    return len(rows)


def delete_calls(writer: sqlite3.Connection, kept_ids: list[Any], rows: list[Any]) -> None:
    """Delete calls with their attempts, given as (id, at_us). Of some the ids are kept: they do not come back."""
    writer.executemany("INSERT OR IGNORE INTO answered_ids (id, at_us) VALUES (?, ?)", kept_ids)
    writer.executemany("DELETE FROM calls WHERE id = ?", [row[:1] for row in rows])


async def _safe_ids(store: Store, bounds: Bounds) -> int | None:
    """Return until when ids may be forgotten: not those near a time that is still to be read in Asterisk's own log."""
    if bounds.ids is None:
        return None
    asked = "SELECT min(began_us) FROM gaps WHERE blind AND (ended_us IS NULL OR ended_us > ?)"
    day_ago = bounds.now - DAY_US
    begun = await store.read(lambda connection: connection.exec_driver_sql(asked, (day_ago,)).scalar())
    return bounds.ids if begun is None else min(bounds.ids, int(begun) - DAY_US)


async def _in_steps(store: Store, step: Callable[[sqlite3.Connection], int], full: int) -> int:
    """Take steps until one does less than a full one; return how much they did."""
    done = 0
    while True:
        did = await _paused(store.change(step))
        done += did
        if did < full:
            return done


async def _paused(work: Awaitable[Answer]) -> Answer:
    """Do something, then leave the writer to others for as long as it took."""
    began = time.monotonic()
    answer = await work
    await asyncio.sleep(time.monotonic() - began)
    return answer


def _forget_open_calls(writer: sqlite3.Connection, before_us: int) -> int:
    asked = "DELETE FROM open_calls WHERE rowid IN (SELECT rowid FROM open_calls WHERE seen_us < ? LIMIT ?)"
    return writer.execute(asked, (before_us, _LIGHT_SLICE)).rowcount


async def _forget_totals(store: Store, at_us: int, table: str, unit: str, counted: str | None) -> int:
    """Delete from a table of counts, along its key: a slice of minutes or hours at a time."""
    before = rollups.first_kept(unit, at_us)
    among = "" if counted is None else f"counted = '{counted}' AND "
    find = f"SELECT {unit} FROM {table} WHERE {among}{unit} < ? ORDER BY {unit} LIMIT 1 OFFSET ?"  # noqa: S608  # ours
    delete = f"DELETE FROM {table} WHERE {among}{unit} <= ?"  # noqa: S608  # ours

    def step(writer: sqlite3.Connection) -> int:
        last = writer.execute(find, (before, _LIGHT_SLICE)).fetchone()
        return writer.execute(delete, (before - 1 if last is None else last[0],)).rowcount

    return await _in_steps(store, step, 1)


def _forget_gaps(writer: sqlite3.Connection, before_us: int) -> int:
    asked = "DELETE FROM gaps WHERE id IN (SELECT id FROM gaps WHERE ended_us < ? LIMIT ?)"
    return writer.execute(asked, (before_us, _LIGHT_SLICE)).rowcount


async def _forget_ids(store: Store, before_us: int) -> int:
    """Walk through all ids in their order, beside the writer, and delete the old ones."""
    done, after = 0, ""
    while True:
        last = await store.read(lambda connection, after=after: _id_further_on(connection, after))  # type: ignore[misc]  # a lambda with a default
        old = await store.read(
            lambda connection, after=after, last=last: [  # type: ignore[misc]  # a lambda with a default
                (row[0],)
                for row in connection.exec_driver_sql(
                    "SELECT id FROM answered_ids WHERE id > ? AND id <= ? AND at_us < ?", (after, last, before_us)
                )
            ]
        )
        for start in range(0, len(old), _LIGHT_SLICE):
            some = old[start : start + _LIGHT_SLICE]
            await _paused(
                store.change(
                    lambda writer, some=some: writer.executemany(  # type: ignore[misc]  # a lambda with a default
                        "DELETE FROM answered_ids WHERE id = ?", some
                    )
                )
            )
        done += len(old)
        if last == _LAST_ID:
            return done
        after = last


_LAST_ID = "~"  # behind all ids, which are hex digits


def _id_further_on(connection: Connection, after: str) -> str:
    asked = "SELECT id FROM answered_ids WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?"
    found = connection.exec_driver_sql(asked, (after, _LOOKED_AT)).scalar()
    return str(found or _LAST_ID)


async def _shrink(store: Store, size_bytes: int, ids_us: int | None, swept: Swept) -> None:
    """Delete the oldest calls, or what the sinks have not taken if that is older, until the rest fits."""
    page_bytes = await _count(store, "PRAGMA page_size")
    allowed = size_bytes // page_bytes
    if await _used_pages(store) > allowed:
        while (over := await _used_pages(store) - int(allowed * _LEAVES)) > 0:
            calls, undelivered = await _paused(store.change(lambda writer: _forget_oldest(writer, ids_us)))
            if not calls and not undelivered:
                swept.over_bytes = max(0, over - (allowed - int(allowed * _LEAVES))) * page_bytes
                break
            swept.calls += calls
            swept.undelivered += undelivered
    if await _count(store, "PRAGMA page_count") > allowed:
        while await _count(store, "PRAGMA page_count") > allowed and await _paused(store.change(_give_back)):
            pass
        await store.settle()


def _forget_oldest(writer: sqlite3.Connection, ids_us: int | None) -> tuple[int, int]:
    """Delete a slice of calls or of the outbox, whichever begins earlier; return how many of each."""
    call = writer.execute("SELECT at_us FROM calls ORDER BY at_us LIMIT 1").fetchone()
    text = writer.execute("SELECT text FROM outbox WHERE text IS NOT NULL ORDER BY position LIMIT 1").fetchone()
    if text is not None and (call is None or _ended_us(text[0]) < call[0]):
        asked = "DELETE FROM outbox WHERE position IN (SELECT position FROM outbox ORDER BY position LIMIT ?)"
        return 0, writer.execute(asked, (SLICE,)).rowcount
    return forget_calls(writer, _FAR, ids_us), 0


def _ended_us(text: str) -> int:
    ended_at = json.loads(text).get("ended_at")
    return 0 if ended_at is None else microseconds(datetime.fromisoformat(ended_at))


async def _used_pages(store: Store) -> int:
    return await _count(store, "PRAGMA page_count") - await _count(store, "PRAGMA freelist_count")


def _give_back(writer: sqlite3.Connection) -> bool:
    """Give free pages at the end of the file back; return whether there were any. Older files cannot."""
    before = writer.execute("PRAGMA page_count").fetchone()[0]
    for _ in range(_PAGES):
        writer.execute("PRAGMA incremental_vacuum(1)")  # whatever the number, the driver takes one step only
    return bool(writer.execute("PRAGMA page_count").fetchone()[0] < before)


async def _count(store: Store, question: str) -> int:
    return await store.read(lambda connection: int(connection.exec_driver_sql(question).scalar() or 0))

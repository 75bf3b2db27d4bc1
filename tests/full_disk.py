"""A daemon's pipeline on a disk of its own that becomes full, and has room again: run by ``on_a_small_disk``.

    python -m tests.full_disk FOLDER

mounts a small disk on FOLDER, which nobody else sees, and prints as JSON what happened.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.desk import Desk
from asterisk_sip.errors import StoreError
from asterisk_sip.pipeline import Pipeline
from asterisk_sip.sources.ami_wire import Reader, RecordedClock
from asterisk_sip.stores.base import CallQuery
from asterisk_sip.stores.sqlite import SqliteStore
from tests.ami_script import AmiScript
from tests.lab.wait import until

DISK = "24m"
FITS = 800
"""How many records may wait."""


def on_a_small_disk(folder: Path) -> dict[str, Any]:
    """Run this module where it may mount a disk, and return what it printed. Needs user namespaces, not root."""
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    command = [*namespace, sys.executable, "-m", "tests.full_disk", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


class Calls:
    """Calls that fail, as AMI tells of them, one after the other."""

    def __init__(self, desk: Desk, pipeline: Pipeline) -> None:
        self._script = AmiScript()
        self._reader = Reader(RecordedClock())
        self._reader.feed(self._script.greeting())
        self._desk = desk
        self._pipeline = pipeline

    async def fail(self, count: int) -> None:
        """Let calls fail, and wait until they were heard."""
        heard: list[ev.Event] = []
        for _ in range(count):
            del self._script.events[:]
            self._script.hangup(self._script.incoming(), 21)
            heard += self._reader.feed(b"".join(self._script.events))
        wanted = self._pipeline.counters.calls + count
        self._desk.door("ami").heard(heard)
        await until(lambda: self._pipeline.counters.calls == wanted, "the calls were heard")


async def run(folder: Path) -> dict[str, Any]:
    """Fill the disk under a pipeline, lose some, make room, and return what was told, counted and stored."""
    path = folder / "calls.db"
    store = SqliteStore(path)
    await store.open()
    pipeline = Pipeline(store, max_waiting_records=FITS)
    calls = Calls(await pipeline.add(Surroundings("pbx"), Limits()), pipeline)
    counters = pipeline.counters
    working = asyncio.create_task(pipeline.run())
    await calls.fail(50)
    await until(lambda: counters.records == 50, "they were written while there was room")
    fill(folder / "ballast")
    await whole(calls.fail, lambda: counters.lost_records > 0)
    (folder / "ballast").unlink()
    await until(lambda: counters.records + counters.lost_records == counters.calls, "what waited was written")
    await calls.fail(10)
    await until(lambda: counters.records + counters.lost_records == counters.calls, "and what came later")
    lost = counters.lost_records
    working.cancel()
    await asyncio.wait([working])
    await store.close()
    refused = await read_only(folder)
    stored = SqliteStore(path, readonly=True)
    await stored.open()
    records = await stored.calls(CallQuery(limit=1_000_000))
    await stored.close()
    return {
        "calls": counters.calls,
        "lost": lost,
        "counted": counters.records,
        "stored": len({record.id for record in records}),
        "read_only": refused,
    }


async def whole(fail: Callable[[int], Any], over: Callable[[], bool]) -> None:
    """Let calls fail until what waits for the full disk no longer fits into memory."""
    for _ in range(40):
        await fail(50)
        if over():
            return
    raise AssertionError("the disk never became full")


def fill(ballast: Path) -> None:
    """Write until there is no room for another byte."""
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


async def read_only(folder: Path) -> str:
    """Let the disk be one that can only be read, and return what is said of writing to it."""
    await asyncio.to_thread(mount, "-o", "remount,ro", str(folder))
    store = SqliteStore(folder / "calls.db")
    try:
        await store.open()
    except StoreError as error:
        return str(error)
    finally:
        await store.close()
    return ""


def mount(*arguments: str) -> None:
    """Mount a disk, or mount it otherwise."""
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    mount("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", sys.argv[1])
    os.chdir("/")
    with capture_logs() as logs:
        told = asyncio.run(run(Path(sys.argv[1])))
    told["logs"] = [{key: entry.get(key) for key in ("log_level", "event", "reason", "lost")} for entry in logs]
    sys.stdout.write(json.dumps(told))

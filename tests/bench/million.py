"""A million failed calls, one after the other through the whole program: memory must stay flat, the cost a call too.

Bytes go in as fast as records come out into SQLite, so nothing piles up that a PBX would not pile up.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asterisk_sip import demo
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.pipeline import Pipeline
from asterisk_sip.sources import ami_wire
from asterisk_sip.stores.sqlite import SqliteStore
from tests.bench.live import rss_mb
from tests.bench.recording import FULL
from tests.bench.stream import FIRST_ID, ROUND_S

CALLS = 1_000_000
STEPS = 10
PAUSE_S = 0.002
WAITING_AT_MOST = 2_000
"""So many calls may be fed and not yet written."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one tenth of the calls cost: CPU of the process, wall clock, and its memory afterwards."""

    calls: int
    cpu_s: float
    wall_s: float
    rss_mb: float


def rounds() -> Iterator[bytes]:
    """Give the recorded calls again and again, each time with ids and times of their own."""
    mask = tuple(b"\r\nPrivilege: %s,all\r\n" % name for name in (b"call", b"system", b"agent"))
    data = b"".join(
        demo.shifted(block, FIRST_ID + at_s, FIRST_ID) + ami_wire.END
        for at_s, block in demo.load(FULL.read_bytes()).messages
        if any(privilege in block for privilege in mask)
    )
    head = FIRST_ID // ROUND_S  # all ids and times of a round begin with these digits
    for number in range(FIRST_ID):
        yield data.replace(b": %d" % head, b": %d" % (head + number))


async def run(calls: int, database: Path) -> list[Step]:
    """Feed ``calls`` calls, and return what each tenth of them cost."""
    store = SqliteStore(database)
    await store.open()
    pipeline = Pipeline(store, clock=lambda: FIRST_ID)
    desk = await pipeline.add(Surroundings("bench", trunks=(TrunkRule(None, ("acme",)),)), Limits())
    door = desk.door("ami")
    reader = ami_wire.Reader(ami_wire.RecordedClock())
    working = asyncio.create_task(pipeline.run())
    steps: list[Step] = []
    cpu, wall, counted = time.process_time(), time.perf_counter(), 0
    for data in rounds():
        door.heard(reader.feed(data))
        await _caught_up(pipeline)
        written = pipeline.counters.records
        if written - counted >= calls // STEPS:
            cpu_now, wall_now = time.process_time(), time.perf_counter()
            steps.append(Step(written - counted, cpu_now - cpu, wall_now - wall, rss_mb(os.getpid())))
            cpu, wall, counted = cpu_now, wall_now, written
            if len(steps) == STEPS:
                break
    working.cancel()
    await asyncio.wait([working])
    await store.close()
    return steps


async def _caught_up(pipeline: Pipeline) -> None:
    counters = pipeline.counters
    while pipeline.inbox.wake.is_set() or counters.calls - counters.records > WAITING_AT_MOST:  # noqa: ASYNC110  # the counters tell nobody
        await asyncio.sleep(PAUSE_S)


def report(folder: Path, calls: int = CALLS) -> str:
    """Measure and return the table."""
    database = folder / "million.db"
    steps = asyncio.run(run(calls, database))
    size_gb = database.stat().st_size / 1e9
    lines = [
        f"{sum(step.calls for step in steps):,} failed calls from bytes to SQLite, in one process:",
        "",
        "| calls so far | CPU a call | memory |",
        "|---|---|---|",
    ]
    so_far = 0
    for step in steps:
        so_far += step.calls
        lines.append(f"| {so_far:,} | {step.cpu_s / step.calls * 1e6:.0f} us | {step.rss_mb:.1f} MB |")
    first, last = steps[0], steps[-1]
    ratio = (last.cpu_s / last.calls) / (first.cpu_s / first.calls)
    grown = last.rss_mb - first.rss_mb
    told = (
        f"The last tenth cost {ratio:.2f} times the first; memory grew by {grown:.1f} MB from the first tenth to the "
        f"last; the database holds {size_gb:.1f} GB."
    )
    return "\n".join([*lines, "", told])

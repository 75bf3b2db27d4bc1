"""Every page and every answer of the API over five million attempts of a week: how long each takes.

The store is filled once; in a folder that is kept it is found again. The pages are served by a process of their own, as
of the end of that week, and nothing is kept from one question for the next.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from asterisk_sip.stores.base import Batch, CallQuery, Gap, TotalsQuery
from asterisk_sip.stores.sqlite import SqliteStore
from tests.bench import week
from tests.bench.pages_asked import Address, Client, Taken, questions
from tests.call_records import BEGAN

TIMES = 20
MOST_MS = 300
"""The aim: so long at the 95th percentile."""

_COUNTED_BEFORE = 9
_LONG_ENOUGH_S = 10.0
_BATCH = 500


class Asked:
    """What the answers to one kind of question took."""

    def __init__(self, taken: list[Taken]) -> None:
        walls = sorted(each.wall_ms for each in taken)
        self.p50_ms, self.p95_ms = statistics.median(walls), walls[math.ceil(0.95 * len(walls)) - 1]
        self.cpu_ms = statistics.median(each.cpu_ms for each in taken)
        self.size = statistics.median(each.size for each in taken)
        self.refused = sum(not each.served for each in taken)


def report(folder: Path, attempts: int = week.ATTEMPTS, kept: Path | None = None) -> str:
    """Fill a store, unless the folder to keep has one of so many attempts; ask for everything, and return the table."""
    database = (kept or folder) / f"calls-{attempts}.db"
    if not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        unfinished = database.with_name("unfinished.db")
        for left in database.parent.glob("unfinished.db*"):
            left.unlink()
        asyncio.run(_filled(unfinished, attempts))
        unfinished.rename(database)
    held, ids = asyncio.run(_held(database))
    found: dict[str, Asked] = {}
    load = os.getloadavg()[0]
    with _serving(database) as client:
        client.get("/")
        for name, address in questions(client, ids).items():
            sys.stderr.write(f"{name}\n")
            found[name] = Asked(list(_taken(client, address)))
    return _text(found, held, database.stat().st_size / 1e9, load)


def _taken(client: Client, address: Address) -> Iterator[Taken]:
    """Ask again and again, less often what takes seconds."""
    left_s = _LONG_ENOUGH_S
    for number in range(TIMES):
        taken = client.measured(address(number))
        yield taken
        left_s -= taken.wall_ms / 1e3
        if left_s < 0:
            return


async def _filled(database: Path, attempts: int) -> None:
    store = SqliteStore(database)
    await store.open()
    calls = week.some_calls(week.calls_to_write(attempts), week.WRITTEN_S, 1)
    while batch := list(itertools.islice(calls, _BATCH)):
        await store.write(Batch(batch))
    gaps = [
        Gap(f"gap-{number}", f"pbx-{number % 2}", "ami", at, at + timedelta(minutes=3), "Asterisk restarted")
        for number in range(20)
        for at in [BEGAN + number * timedelta(hours=8)]
    ]
    await store.write(Batch(gaps=gaps, listened=dict.fromkeys(("pbx-0", "pbx-1"), week.UNTIL)))
    await store.close()
    await asyncio.to_thread(week.copy_in_sqlite, database, _COUNTED_BEFORE)


async def _held(database: Path) -> tuple[int, list[str]]:
    """Return how many attempts there are in the week, and the ids of some calls; bring an older file up to date."""
    store = SqliteStore(database)
    await store.open()
    (everything,) = await store.totals(TotalsQuery(BEGAN, week.UNTIL + timedelta(days=1), "attempts", ()))
    ids = [
        record.id
        for day in range(1, week.DAYS)
        for record in await store.calls(CallQuery(until=week.UNTIL - timedelta(days=day), limit=20))
    ]
    await store.close()
    return everything.total, ids


@contextmanager
def _serving(database: Path) -> Iterator[Client]:
    command = [sys.executable, "-m", "tests.bench.pages_server", str(database), week.UNTIL.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            with closing(Client(server.pid, int(server.stdout.readline()))) as client:
                yield client
        finally:
            server.terminate()


def _text(found: dict[str, Asked], attempts: int, size_gb: float, load: float) -> str:
    late = [name for name, asked in found.items() if asked.p95_ms > MOST_MS]
    frugal = sum(asked.cpu_ms <= MOST_MS for asked in found.values())
    lines = [
        (
            f"{attempts:,} attempts of {week.DAYS} days over {len(week.TRUNKS)} trunks in SQLite, {size_gb:.1f} GB;"
            f" each asked {TIMES} times, or for {_LONG_ENOUGH_S:.0f} s, with other parameters, as by a first reader;"
            f" the load of the machine was {load:.1f} before. {len(found) - len(late)} of {len(found)} are answered in"
            f" {MOST_MS} ms at p95; {frugal} take no more than that of CPU, of both threads that read."
        ),
        "",
        "| asked | p50 | p95 | CPU p50 | size |",
        "|---|---|---|---|---|",
    ]
    for name, asked in found.items():
        p95 = f"**{asked.p95_ms:.0f} ms**" if name in late else f"{asked.p95_ms:.0f} ms"
        refused = f"; {asked.refused} refused" if asked.refused else ""
        lines.append(
            f"| {name}{refused} | {asked.p50_ms:.0f} ms | {p95} | {asked.cpu_ms:.0f} ms | {asked.size / 1e3:,.0f} kB |"
        )
    return "\n".join(lines)

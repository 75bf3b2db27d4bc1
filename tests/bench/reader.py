"""One reader of the stream, in a process of its own: prints the events it saw, its CPU seconds and its memory."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import structlog
from panoramisk import Manager

from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.pipeline import Pipeline
from asterisk_sip.sources import ami, ami_protocol
from asterisk_sip.stores.sqlite import SqliteStore
from tests.bench.stream import FIRST_ID, LAST

MARK = LAST.split(b"\r\n", 1)[0]


class Ear:
    """Takes events and does nothing with them; hears of the last one as a listener, or as a journal."""

    def __init__(self) -> None:
        self.events = 0
        self.end = asyncio.Event()
        self._tail = b""

    def heard(self, events: list[ev.Event]) -> None:
        self.events += len(events)

    def link_up(self, version: str | None) -> None: ...

    def link_down(self, reason: str) -> None: ...

    def lost(self, count: int, reason: str) -> None: ...

    def up(self, at: float, version: str | None) -> None: ...

    def down(self, at: float, reason: str) -> None: ...

    def raw(self, data: bytes) -> None:
        self.data(data)

    def data(self, data: bytes) -> None:
        self._tail = self._tail[-len(MARK) :] + data
        if MARK in self._tail:
            self.end.set()


def settings(port: int) -> ami.AmiSettings:
    return ami.AmiSettings("127.0.0.1", port, "bench", "bench")


async def floor(port: int) -> int:
    """Read and split the bytes, nothing more: what any client must spend."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"Action: Login\r\nActionID: 1\r\n\r\n")
    count = 0
    rest = b""
    while True:
        blocks = (rest + await reader.read(1 << 16)).split(b"\r\n\r\n")
        rest = blocks.pop()
        count += len(blocks)
        if blocks and blocks[-1].startswith(MARK):
            writer.close()
            return count


async def panoramisk(port: int) -> int:
    """panoramisk alone, one callback that does nothing."""
    end = asyncio.Event()
    manager = Manager(
        loop=asyncio.get_running_loop(), host="127.0.0.1", port=port, username="bench", secret="bench", ping_delay=999
    )
    count = 0

    def callback(_manager: Any, event: Any) -> None:
        nonlocal count
        count += 1
        if event.event == "BenchmarkEnd":
            end.set()

    manager.register_event("*", callback)
    await manager.connect()
    await end.wait()
    return count


async def pyami_asterisk(port: int) -> int:
    """pyami_asterisk alone, one callback that does nothing (requirements/bench.txt)."""
    from pyami_asterisk import AMIClient  # noqa: PLC0415  # only the benchmark has it

    end = asyncio.Event()
    client = AMIClient(host="127.0.0.1", port=port, username="bench", secret="bench", ping_delay=0)
    count = 0

    def callback(event: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if event["Event"] == "BenchmarkEnd":
            end.set()

    client.register_event("*", callback)
    reading = asyncio.create_task(client.connect_ami())
    await end.wait()
    reading.cancel()
    return count


async def wire(port: int) -> int:
    """Our source: bytes to wanted events, parsed."""
    ear = Ear()
    source = asyncio.create_task(ami.AmiSource("bench", settings(port), ear).run())
    await ear.end.wait()
    source.cancel()
    await asyncio.wait([source])
    return ear.events


async def records(port: int) -> int:
    """The whole road: bytes to durable records in SQLite, every call kept. See `new_database`."""
    store = SqliteStore(Path(sys.argv[3]), keep="all")
    await store.open()
    pipeline = Pipeline(store, inbox_max_events=10_000_000, clock=lambda: FIRST_ID)  # no call is too old
    around = Surroundings("bench", trunks=(TrunkRule(None, ("acme", "globex", "initech")),))
    ear = Ear()
    desk = await pipeline.add(around, Limits())
    desk.tape_of = lambda _door: ear
    working = asyncio.create_task(pipeline.run())
    source = asyncio.create_task(ami.AmiSource("bench", settings(port), desk.door("ami")).run())
    await ear.end.wait()
    source.cancel()
    await asyncio.wait([source])
    working.cancel()
    await asyncio.wait([working])
    await store.close()
    return pipeline.counters.records


async def new_database(path: Path) -> None:
    """Make an empty database, as every start of the daemon but the first finds one."""
    store = SqliteStore(path)
    await store.open()
    await store.close()


READERS = {reader.__name__: reader for reader in (floor, panoramisk, pyami_asterisk, wire, records)}


def peak_mb() -> float:
    """Return the most memory this process ever had (proc(5), status); getrusage would tell that of its parent too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """``python -m tests.bench.reader NAME PORT [DATABASE]``."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    assert ami_protocol  # the reader under test is loaded before the clock starts
    began, cpu = time.perf_counter(), time.process_time()
    count = asyncio.run(READERS[sys.argv[1]](int(sys.argv[2])))
    result = {
        "count": count,
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - began,
        "rss_mb": peak_mb(),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

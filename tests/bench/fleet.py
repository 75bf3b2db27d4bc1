"""What a fleet sustains: records published to a cluster of three NATS servers, and collected into PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import nats

from asterisk_sip.calls.record_text import record_text
from asterisk_sip.nats_link import NatsSettings
from asterisk_sip.sinks.base import Delivery
from asterisk_sip.sinks.nats import NatsSink, NatsSinkSettings, StreamSettings
from tests.call_records import failed
from tests.companions import Program
from tests.nats_servers import NatsServers, nats_servers
from tests.postgres_server import PostgresServer, running

RECORDS = 30_000
PREPARED = 2_000
COLLECTOR = """
[collector]
servers = {servers}
durable = "{durable}"

[store]
url = "{url}"
"""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One part of the road: what it was, how long it took, CPU and the most memory of its processes."""

    what: str
    wall_s: float
    cpu_s: float
    peak_mb: float | None = None

    def row(self) -> str:
        """Return it as a row of the table."""
        memory = "" if self.peak_mb is None else f"{self.peak_mb:.0f} MB"
        return f"| {self.what} | {RECORDS / self.wall_s:,.0f} | {self.cpu_s / RECORDS * 1e6:.0f} us | {memory} |"


async def publish(servers: NatsServers) -> Run:
    """Publish all records, as a companion does that was cut off for a while."""
    sink = NatsSink(NatsSinkSettings(NatsSettings(servers.addresses), stream=StreamSettings(create=True)))
    await sink.open()
    wall_s = cpu_s = 0.0
    for first in range(0, RECORDS, PREPARED):
        records = [failed(number) for number in range(first, first + PREPARED)]
        waiting = [Delivery(1, "failure", record.id, record_text(record)) for record in records]
        began_at, cpu_at = time.perf_counter(), time.process_time()
        while waiting:
            await sink.write(waiting[: sink.at_most])
            del waiting[: sink.at_most]
        wall_s += time.perf_counter() - began_at
        cpu_s += time.process_time() - cpu_at
    await sink.close()
    return Run("published to three replicas by one companion", wall_s, cpu_s)


async def collect(servers: NatsServers, postgres: PostgresServer, folder: Path, count: int) -> Run:
    """Collect all records with so many collectors into a new database."""
    url = await postgres.database()
    config = COLLECTOR.format(servers=json.dumps(servers.addresses), durable=f"bench{count}", url=url)
    given = {"ASTERISK_SIP_STORE_PASSWORD": postgres.password}
    programs = [Program(folder, config, f"{count}-{number}", **given) for number in range(count)]
    for program in programs:
        await program.start()
    for program in programs:
        await program.says("collecting")
    began_at = time.perf_counter()
    had = found = await stored(postgres, url)
    while found < RECORDS:
        await asyncio.sleep(0.1)
        found = await stored(postgres, url)
    wall_s = (time.perf_counter() - began_at) * RECORDS / (found - had)
    cpu_s = sum(cpu_of(program.pid) for program in programs)
    peak_mb = max(program.peak_mb for program in programs)
    for program in programs:
        await program.stop()
    what = "collected into PostgreSQL by one collector" if count == 1 else f"by {count} collectors"
    return Run(what, wall_s, cpu_s, peak_mb)


async def stored(postgres: PostgresServer, url: str) -> int:
    """Return how many calls are in a database."""
    [row] = await postgres.run("SELECT position FROM writing", url)
    return int(row["position"])


def cpu_of(pid: int) -> float:
    """Return the CPU a process used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def size_of(servers: NatsServers) -> float:
    """Return how many bytes a record takes in the stream."""
    client = await nats.connect(f"nats://{servers.addresses[0]}")
    try:
        state = (await client.jetstream().stream_info("asterisk-sip")).state
        return state.bytes / state.messages
    finally:
        await client.close()


async def measure(servers: NatsServers, postgres: PostgresServer, folder: Path) -> str:
    """Run every part and return the table."""
    runs = [await publish(servers)]
    runs += [await collect(servers, postgres, folder, count) for count in (1, 2)]
    return "\n".join(
        [
            f"{RECORDS:,} calls of one attempt, {await size_of(servers):,.0f} bytes each in the stream of each server.",
            "",
            "| what | records a second | CPU a record | peak memory of one |",
            "|---|---|---|---|",
            *(run.row() for run in runs),
        ]
    )


def report(folder: Path) -> str:
    """Start what is needed, measure, and return the table."""
    with nats_servers(3) as servers, running() as postgres:
        return asyncio.run(measure(servers, postgres, folder))

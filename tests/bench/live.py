"""The daemon beside a real Asterisk 22: its CPU as a share of Asterisk's for the same calls, and how late it is."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import statistics
import sys
import time
from datetime import datetime
from pathlib import Path

from tests.lab.asterisk import Asterisk
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions
from tests.lab.wait import until

CALLS_PER_SECOND = 40
SECONDS = 20
STATUSES = ("486", "503", "404", "608")
CONFIG = """
[[pbx]]
name = "bench"
[pbx.ami]
host = "{host}"
port = {port}
username = "{user}"
[[trunk]]
name = "acme"
endpoints = ["acme"]
[store]
path = "live.db"
[log]
format = "json"
"""


def cpu_s(pid: int) -> float:
    """Return the CPU seconds a process has used so far (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measure(folder: Path) -> str:
    """Place the calls, and return what it cost as lines of a table."""
    with Asterisk(PbxOptions()) as pbx:
        async with Lab(pbx) as lab:
            config, log = folder / "live.toml", folder / "live.log"
            user = pbx.companion
            config.write_text(CONFIG.format(host=pbx.host, port=pbx.ports.ami, user=user.name))
            command = [sys.executable, "-m", "asterisk_sip", "run", "--config", str(config)]
            environ = {**os.environ, "ASTERISK_SIP_AMI_SECRET": user.secret}
            with log.open("wb") as stderr:
                daemon = await asyncio.create_subprocess_exec(*command, stderr=stderr, env=environ)
            try:
                await until(lambda: "listening" in log.read_text(), "the daemon to listen")
                return await _calls(lab, daemon.pid, folder / "live.db")
            finally:
                daemon.terminate()
                await daemon.wait()


async def _calls(lab: Lab, daemon: int, database: Path) -> str:
    asterisk = lab.pbx.pid
    assert asterisk is not None
    count = CALLS_PER_SECOND * SECONDS
    before = cpu_s(asterisk), cpu_s(daemon)
    watcher = asyncio.create_task(asyncio.to_thread(_lateness, database, count))
    await lab.caller.burst([f"trunk.acme.{STATUSES[n % len(STATUSES)]}" for n in range(count)], CALLS_PER_SECOND)
    late = await watcher
    theirs, ours = cpu_s(asterisk) - before[0], cpu_s(daemon) - before[1]
    quantiles = statistics.quantiles(late, n=100)
    return "\n".join(
        [
            f"{count} refused calls at {CALLS_PER_SECOND} a second through a real Asterisk 22, the line active:",
            "",
            "| what | figure |",
            "|---|---|",
            f"| calls made, calls recorded | {count}, {len(late)} |",
            f"| CPU of Asterisk a call | {theirs / count * 1e3:.1f} ms |",
            f"| CPU of the daemon a call | {ours / count * 1e3:.2f} ms, {ours / theirs:.0%} of Asterisk's |",
            f"| from hangup to the durable record | p50 {quantiles[49]:.0f} ms, p99 {quantiles[98]:.0f} ms |",
            f"| memory of the daemon | {rss_mb(daemon):.0f} MB |",
        ]
    )


def _lateness(database: Path, count: int) -> list[float]:
    """Watch the database from outside; return how many ms after its end each call was first seen there."""
    late: list[float] = []
    position = 0
    deadline = time.time() + SECONDS + 30
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as reader:
        while len(late) < count and time.time() < deadline:
            query = "select position, record from calls where position > ? order by position"
            rows = reader.execute(query, [position]).fetchall()
            for _, record in rows:
                ended_at = datetime.fromisoformat(json.loads(record)["ended_at"])
                late.append((time.time() - ended_at.timestamp()) * 1e3)
            position = rows[-1][0] if rows else position
            time.sleep(0.001)
    return late


def report(folder: Path) -> str:
    """Measure and return the table."""
    return asyncio.run(measure(folder))

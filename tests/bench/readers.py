"""Who reads AMI at which cost: every reader of ``reader.py`` in a process of its own, on the same streams, in turn."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench import reader, stream

EVENTS = 200_000
ROUNDS = 5
SENTENCES = {
    "floor": "read and split the bytes, nothing more",
    "panoramisk": "panoramisk alone, one callback that does nothing",
    "pyami_asterisk": "pyami_asterisk alone, one callback that does nothing",
    "wire": "asterisk-sip: bytes to wanted events, parsed",
    "records": "asterisk-sip: bytes to durable records in SQLite",
}
STREAMS = {
    "all": "as a user hears them who reads everything: calls that all fail, CEL and CDR included",
    "call,system,agent": "as asterisk-sip asks for them: an office's calls, answered ones too",
}

Runs = dict[str, list[dict[str, Any]]]


def report(folder: Path) -> str:
    """Measure on every stream, and return the tables."""
    return "\n\n".join(_table(mask, *measure(mask, folder)) for mask in stream.RECORDINGS)


def measure(mask: str, folder: Path) -> tuple[int, Runs]:
    """Run every reader ``ROUNDS`` times, in turn; return how many events there were and what each run took."""
    data = folder / "stream.ami"
    events = stream.write(mask, EVENTS, data)
    names = [name for name in SENTENCES if name != "pyami_asterisk" or importlib.util.find_spec(name)]
    runs: Runs = {name: [] for name in names}
    with subprocess.Popen([sys.executable, "-m", "tests.bench.stream", str(data)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        port = server.stdout.readline().decode().strip()
        try:
            for number in range(ROUNDS):
                for name in names:
                    sys.stderr.write(f"{mask}, round {number + 1} of {ROUNDS}: {SENTENCES[name]}\n")
                    database = folder / f"{number}.db"
                    asyncio.run(reader.new_database(database))
                    command = [sys.executable, "-m", "tests.bench.reader", name, port, str(database)]
                    runs[name].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
                    database.unlink()
        finally:
            server.terminate()
    return events, runs


def _table(mask: str, events: int, runs: Runs) -> str:
    """Return the table: CPU an event, and how many times panoramisk's rate that is. The best run of each counts."""
    cpu = {name: min(run["cpu_s"] for run in of_reader) for name, of_reader in runs.items()}
    lines = [
        f"`EventMask: {mask}`, {STREAMS[mask]}.",
        f"{events:,} events over TCP; the best of {ROUNDS} runs in turn, CPU of the reading process.",
        "",
        "| reader | CPU an event | x panoramisk's rate | peak memory |",
        "|---|---|---|---|",
    ]
    for name, of_reader in runs.items():
        memory = max(run["rss_mb"] for run in of_reader)
        rate = cpu["panoramisk"] / cpu[name]
        lines.append(f"| {SENTENCES[name]} | {cpu[name] / events * 1e6:.2f} us | {rate:.1f} | {memory:.0f} MB |")
    calls = runs["records"][0]["count"]
    wanted = runs["wire"][0]["count"]
    each = events / calls
    told = (
        f"{wanted / events:.0%} of the events are wanted. {calls:,} calls were recorded, {each:.0f} events each, for "
        f"{cpu['records'] / calls * 1e6:.0f} us of CPU a call, all of it."
    )
    return "\n".join([*lines, "", told])

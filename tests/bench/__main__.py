"""``make bench``: one run, every figure as a ratio to another of the same run."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import live, reader, stream

ROOT = Path(__file__).parents[2]
EVENTS = 200_000
ROUNDS = 3
READERS = ("floor", "panoramisk", "wire", "records")
SENTENCES = {
    "floor": "read and split the bytes, nothing more",
    "panoramisk": "panoramisk alone, one callback that does nothing",
    "wire": "asterisk-sip: bytes to wanted events, parsed",
    "records": "asterisk-sip: bytes to durable records in SQLite",
}


def measure(mask: str, folder: Path) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Run every reader ``ROUNDS`` times, in turn; return how many events there were and what each run took."""
    data = folder / "stream.ami"
    events = stream.write(mask, EVENTS, data)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in READERS}
    with subprocess.Popen([sys.executable, "-m", "tests.bench.stream", str(data)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        port = server.stdout.readline().decode().strip()
        try:
            for number in range(ROUNDS):
                for name in READERS:
                    sys.stderr.write(f"round {number + 1} of {ROUNDS}: {SENTENCES[name]}\n")
                    database = folder / f"{mask[:4]}{number}.db"
                    asyncio.run(reader.new_database(database))
                    command = [sys.executable, "-m", "tests.bench.reader", name, port, str(database)]
                    results[name].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
        finally:
            server.terminate()
    return events, results


def report(mask: str, events: int, results: dict[str, list[dict[str, Any]]]) -> str:
    """Return the table: CPU an event, and how many times panoramisk's rate that is."""
    cpu = {name: statistics.median(run["cpu_s"] for run in runs) for name, runs in results.items()}
    lines = [
        (
            f"{events:,} AMI events of real calls over TCP as `EventMask: {mask}` gives them; "
            f"median of {ROUNDS} runs in turn, CPU of the reading process."
        ),
        "",
        "| reader | CPU an event | x panoramisk's rate | peak memory |",
        "|---|---|---|---|",
    ]
    for name in READERS:
        memory = max(run["rss_mb"] for run in results[name])
        rate = cpu["panoramisk"] / cpu[name]
        lines.append(f"| {SENTENCES[name]} | {cpu[name] / events * 1e6:.1f} us | {rate:.1f} | {memory:.0f} MB |")
    calls = results["records"][0]["count"]
    lines += ["", f"{calls} calls were recorded: {cpu['records'] / calls * 1e6:.0f} us of CPU a call, all of it."]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        for mask in stream.RECORDINGS:
            sys.stdout.write(report(mask, *measure(mask, Path(folder))) + "\n\n")
        sys.stderr.write("live calls through a real Asterisk\n")
        sys.stdout.write(live.report(Path(folder)) + "\n")


if __name__ == "__main__":
    main()

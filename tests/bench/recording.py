"""Records what the benchmark reads: calls through a real Asterisk 22 as an AMI user hears them who reads everything.

``python -m tests.bench.recording`` makes ``data/full.ami.gz`` anew: every call fails, at 40 calls a second, with CEL
and CDR events and the line of the README in manager.conf.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import tempfile
from pathlib import Path

from tests.lab.ami import Recorder
from tests.lab.asterisk import Asterisk
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions
from tests.lab.wait import until

FULL = Path(__file__).parent / "data" / "full.ami.gz"
CALLS = 300
CALLS_PER_SECOND = 40
STATUSES = ("486", "503", "404", "608", "480", "403")


async def record(path: Path) -> None:
    """Place the calls, and write every byte that a user with ``read = all`` receives meanwhile."""
    with Asterisk(PbxOptions(cel_events=True, cdr_events=True)) as pbx:
        async with Lab(pbx) as lab, Recorder(pbx.host, pbx.ports.ami, path) as recorder:
            await recorder.connect(pbx.lab.name, pbx.lab.secret, events="on")
            await recorder.action("CoreSettings")
            extens = [f"trunk.acme.{STATUSES[number % len(STATUSES)]}" for number in range(CALLS)]
            await lab.caller.burst(extens, CALLS_PER_SECOND)
            await lab.idle()
            await until(lambda: recorder.quiet, "every channel gone")


def main() -> None:
    """Make the recording anew."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "full.ami"
        asyncio.run(record(path))
        data = path.read_bytes()
    FULL.parent.mkdir(exist_ok=True)
    FULL.write_bytes(gzip.compress(data, 9, mtime=0))
    sys.stdout.write(f"{len(data):,} bytes, {FULL.stat().st_size:,} gzipped: {FULL}\n")


if __name__ == "__main__":
    main()

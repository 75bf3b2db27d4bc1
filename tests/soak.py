"""A long run beside a real Asterisk: ``python -m tests.soak [--minutes 10] [--per-second 40] [--release 22]``.

``--keep FOLDER`` leaves the journal and the store there, to see why a call was told as it was; the journal costs CPU.

Places a mixture of calls at a steady rate and then asks the store: every call is there once, each with the outcome and
the code that the far end was told to give. Prints calls, CPU and memory; exit status 1 when anything is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.bench.live import cpu_s, rss_mb
from tests.e2e import Companion
from tests.lab.asterisk import Asterisk
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions
from tests.lab.sip_script import Reply, Script

# what is dialled -> outcome and SIP code of the record
EXPECTED: dict[str, tuple[str, int | None]] = {
    "486": ("failed", 486),
    "503": ("failed", 503),
    "608": ("failed", 608),
    "404": ("failed", 404),
    "200": ("answered", 200),
    "trunk.acme.rings": ("failed", 480),
    "trunk.acme.talks": ("answered", 200),
    "failover.503.200": ("rescued", 200),
    "failover.503.486": ("failed", 486),
    "fork.20.486.503": ("failed", 486),
    "local.608": ("failed", 608),
    "local.failover.503.200": ("rescued", 200),
    "asked.bob.BUSY": ("failed", 200),
    "busy": ("failed", 486),
    "hangup.21": ("failed", 403),
}
SETTLES_S = 60.0
JOURNAL = '[journal]\nfolder = "journal"\nmax_total_mb = 16_384'


def teach(lab: Lab) -> None:
    """Teach the far ends what is not a plain status."""
    lab.acme.scripts["rings"] = Script((Reply(180), Reply(480, after_s=0.8)))
    lab.acme.scripts["talks"] = Script((Reply(180), Reply(200, after_s=0.3)), bye_after_s=1.0)
    lab.phones.scripts["bob"] = Script((Reply(180), Reply(200)))


async def soak(pbx: Asterisk, folder: Path, minutes: float, per_second: float, more: str = "") -> bool:
    """Run; tell; return whether every call was recorded as it was. ``more`` is added to the configuration."""
    async with Lab(pbx) as lab, Companion(folder, pbx, more) as companion:
        teach(lab)
        assert companion.pid is not None
        assert pbx.pid is not None
        before = cpu_s(companion.pid), cpu_s(pbx.pid)
        extens = list(itertools.islice(itertools.cycle(EXPECTED), int(minutes * 60 * per_second)))
        began, memory = time.monotonic(), []
        calling = asyncio.create_task(lab.caller.burst(extens, per_second, bye_after_s=0.5))
        while not calling.done():
            await asyncio.wait((calling,), timeout=10)
            memory.append(rss_mb(companion.pid))
        made = Counter(outcome.exten for outcome in await calling)
        await lab.idle(SETTLES_S)
        await companion.recorded(made.total(), SETTLES_S)
        records = await companion.calls()
        told = Counter((each["dialled"], each["outcome"], each["sip"]["code"]) for each in records)
        wanted = Counter({(exten, *EXPECTED[exten]): count for exten, count in made.items()})
        took_s = time.monotonic() - began
        partial = sum(each["partial"] for each in records)
        twice = len(records) - len({each["linkedid"] for each in records})
        say(f"Asterisk {pbx.options.release}, {took_s:.0f} s, {made.total() / took_s:.1f} calls/s")
        say(f"calls made {made.total()}, recorded {len(records)}, partial {partial}, twice {twice}")
        say(f"gaps {len(companion.gaps())}, still in flight {companion.in_flight()}")
        ours, theirs = cpu_s(companion.pid) - before[0], cpu_s(pbx.pid) - before[1]
        say(f"CPU: companion {ours:.1f} s, Asterisk {theirs:.1f} s ({ours / theirs:.1%})")
        say(f"memory of the companion: {memory[0]:.0f} MB after 10 s, {memory[-1]:.0f} MB at the end")
        for key, count in sorted((wanted - told).items(), key=str):
            say(f"  missing {count} of {key}")
        for key, count in sorted((told - wanted).items(), key=str):
            say(f"  unexpected {count} of {key}")
        return told == wanted and not partial and not twice and not companion.gaps()


def say(text: str) -> None:
    """Write a line to the person at the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Do what the command line says; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--per-second", type=float, default=40.0)
    parser.add_argument("--release", choices=("22", "16"), default="22")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    more = JOURNAL if asked.keep else ""
    with tempfile.TemporaryDirectory() as passing, Asterisk(PbxOptions(asked.release)) as pbx:
        folder = asked.keep or Path(passing)
        return 0 if asyncio.run(soak(pbx, folder, asked.minutes, asked.per_second, more)) else 1


if __name__ == "__main__":
    sys.exit(main())

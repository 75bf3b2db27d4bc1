"""What judging alerts costs: 1,000 records a second over 10,000 trunks, and remote parties who invent new groups.

The records come as lines of JSON, as the daemon reads them from its spool; reading them is part of the figure, and so
is saving what the engine knows once a minute. Time is that of the records: CPU is compared with it.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asterisk_sip.alerts.engine import Engine
from asterisk_sip.alerts.model import Kind, Rule
from asterisk_sip.calls.model import isoformat
from tests.alert_calls import T0, call

PER_SECOND = 1_000
GROUPS = 10_000
WINDOW_S = 300
SECONDS = 400
SAVE_EVERY_S = 60

_BY_TRUNK: dict[str, Any] = {"group_by": ("trunk",), "window_s": WINDOW_S}
RULES = (
    Rule("share of 503", Kind.SHARE, 0.5, 0.2, filter={"code": (503,)}, min_samples=20, **_BY_TRUNK),
    Rule("many failures", Kind.COUNT, 100, 50, filter={"not.code": (200,)}, **_BY_TRUNK),
    Rule("ASR", Kind.RATIO, 0.3, 0.4, "below", ratio="asr", counted="attempts", min_samples=30, **_BY_TRUNK),
)
_WORD = "of-this-call"


def report(_folder: Path) -> str:
    """Measure in processes of their own, and return the table."""
    rows = [_measured(*case) for case in (("1", "known"), ("3", "known"), ("3", "invented"))]
    lines = [
        f"{PER_SECOND:,} records a second for {SECONDS} s of their own time, a third failed; windows of {WINDOW_S} s:",
        "",
        "| rules, groups | CPU of one core | of it reading JSON | memory above an idle engine | changes told |",
        "|---|---|---|---|---|",
    ]
    return "\n".join(lines + rows)


def _measured(rules: str, groups: str) -> str:
    command = [sys.executable, "-m", "tests.bench.alerts", rules, groups]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(rules: int, groups: str) -> str:
    """Run one case, and return its row of the table."""
    texts = [json.dumps(call(0, code, _WORD, number=10**7)) for code in (200, 200, 503)]
    before_mb = _peak_mb()
    reading_s = _cpu_of(texts, Engine(()))
    engine = Engine(RULES[:rules])
    cpu_s, changes = 0.0, 0
    for second in range(SECONDS):
        lines = list(_lines(texts, second, groups))
        began = time.process_time()
        for line in lines:
            changes += len(engine.feed(json.loads(line)))
        changes += len(engine.tick(T0 + second))
        if second % SAVE_EVERY_S == SAVE_EVERY_S - 1:
            engine.dump()
        cpu_s += time.process_time() - began
    memory_mb = _peak_mb() - before_mb
    named = f"{GROUPS:,} trunks" if groups == "known" else f"a new group with every record, {engine.groups:,} kept"
    return (
        f"| {rules}, {named} | {cpu_s / SECONDS * 100:.1f} % | {reading_s / SECONDS * 100:.1f} % | {memory_mb:.0f} MB |"
        f" {changes} |"
    )


def _lines(texts: list[str], second: int, groups: str) -> Iterator[str]:
    chance = random.Random(second)
    for number in range(PER_SECOND):
        at = isoformat(datetime.fromtimestamp(T0 + second + number / PER_SECOND, UTC))
        serial = second * PER_SECOND + number
        trunk = f"trunk-{chance.randrange(GROUPS)}" if groups == "known" else f"invented-{serial}"
        text = texts[number % 3].replace(_WORD, trunk).replace("00989680", f"{serial:08x}")
        yield text.replace("2026-11-01T12:00:00.000000Z", at)


def _cpu_of(texts: list[str], engine: Engine) -> float:
    """Return what reading alone takes of all records: an engine without rules."""
    lines = [line for second in range(20) for line in _lines(texts, second, "known")]
    began = time.process_time()
    for line in lines:
        engine.feed(json.loads(line))
    return (time.process_time() - began) * SECONDS / 20


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.stdout.write(main(int(sys.argv[1]), sys.argv[2]) + "\n")

"""``make bench``: every figure as a ratio to another of the same run, printed and written to its page in docs/.

``python -m tests.bench [readers] [live] [million] [fleet] [store] [alerts]``; without a name the first two, about five
minutes. ``million`` is ten minutes and four gigabytes of disk; ``fleet`` is a minute, and needs what the tests need;
``alerts`` is five minutes; ``store`` needs what the tests need and twelve gigabytes, for a quarter of an hour.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import alerts, fleet, live, million, page, readers, store

ROOT = Path(__file__).parents[2]
BENCHMARKS: dict[str, Callable[[Path], str]] = {
    "readers": readers.report,
    "live": live.report,
    "million": million.report,
    "fleet": fleet.report,
    "store": store.report,
    "alerts": alerts.report,
}
USUAL = ("readers", "live")


def main() -> None:
    """Measure what is asked for, print it, and put it on the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(BENCHMARKS))
    parser.add_argument("--attempts", type=int, default=store.ATTEMPTS, help="how many `store` is filled with")
    arguments = parser.parse_args()
    names = arguments.names or USUAL
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    os.chdir(ROOT)
    benchmarks = BENCHMARKS | {"store": partial(store.report, attempts=arguments.attempts)}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            figures = benchmarks[name](Path(folder))
        sys.stdout.write(f"{figures}\n\n")
        page.put(name, figures)


if __name__ == "__main__":
    main()

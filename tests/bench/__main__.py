"""``make bench``: every figure as a ratio to another of the same run, printed and written to its page in docs/.

``python -m tests.bench [readers] [live] [million] [fleet] [store] [pages] [alerts]``; without a name the first two, in
five minutes. ``million`` is ten minutes and four gigabytes of disk; ``fleet`` is a minute, and needs what the tests
need; ``alerts`` is five minutes; ``store`` needs what the tests need and twelve gigabytes, for a quarter of an hour;
``pages`` fills a file of twelve gigabytes and asks for three minutes: with ``--keep FOLDER`` the file stays there.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import alerts, fleet, live, million, page, pages, readers, store, week

ROOT = Path(__file__).parents[2]
BENCHMARKS: dict[str, Callable[[Path], str]] = {
    "readers": readers.report,
    "live": live.report,
    "million": million.report,
    "fleet": fleet.report,
    "store": store.report,
    "pages": pages.report,
    "alerts": alerts.report,
}
USUAL = ("readers", "live")


def main() -> None:
    """Measure what is asked for, print it, and put it on the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(BENCHMARKS))
    parser.add_argument(
        "--attempts", type=int, default=week.ATTEMPTS, help="how many `store` and `pages` are filled with"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where `pages` keeps its store for the next time")
    arguments = parser.parse_args()
    names = arguments.names or USUAL
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    os.chdir(ROOT)
    benchmarks = BENCHMARKS | {
        "store": partial(store.report, attempts=arguments.attempts),
        "pages": partial(pages.report, attempts=arguments.attempts, kept=arguments.keep),
    }
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            figures = benchmarks[name](Path(folder))
        sys.stdout.write(f"{figures}\n\n")
        page.put(name, figures)


if __name__ == "__main__":
    main()

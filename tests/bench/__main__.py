"""``make bench``: every figure as a ratio to another of the same run, printed and written to its page in docs/.

``python -m tests.bench [readers] [live] [million] [fleet]``; without a name the first two, about five minutes.
``million`` is ten minutes and four gigabytes of disk; ``fleet`` is a minute, and needs what the tests need.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import fleet, live, million, page, readers

ROOT = Path(__file__).parents[2]
BENCHMARKS: dict[str, Callable[[Path], str]] = {
    "readers": readers.report,
    "live": live.report,
    "million": million.report,
    "fleet": fleet.report,
}
USUAL = ("readers", "live")


def main() -> None:
    """Measure what is asked for, print it, and put it on the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(BENCHMARKS))
    names = parser.parse_args().names or USUAL
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    os.chdir(ROOT)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            figures = BENCHMARKS[name](Path(folder))
        sys.stdout.write(f"{figures}\n\n")
        page.put(name, figures)


if __name__ == "__main__":
    main()

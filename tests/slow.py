"""Which tests `make check` leaves out, and `make test` does not: those of ``tests/slow.txt``.

A test stands there when all its cases together take more than `LONG_S` of CPU. ``python -m tests.slow`` measures them
all and writes the file anew: a few minutes, on a machine that may be busy with other things.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

LISTED = Path(__file__).with_name("slow.txt")
LONG_S = 0.3
ALWAYS = ("tests/test_house.py", "tests/test_cases.py::test_a_recording_gives_exactly_the_expected_records")
"""What `make check` is there for, however long it takes."""
UNIT = "not lab and not postgres and not clickhouse and not browser and not mounts and not roots"


def listed() -> frozenset[str]:
    """Return the tests, as ``tests/test_x.py::Class::test_name``."""
    return frozenset(LISTED.read_text().splitlines())


def name_of(nodeid: str) -> str:
    """Return a test without its case."""
    return nodeid.partition("[")[0]


class Watch:
    """A plugin that adds up the CPU of each test, with that of the programs it started."""

    def __init__(self) -> None:
        self.taken_s: defaultdict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Measure one test with its fixtures."""
        before = sum(os.times()[:4])
        result = yield
        self.taken_s[name_of(item.nodeid)] += sum(os.times()[:4]) - before
        return result  # what a wrapper gives back


def write(taken_s: dict[str, float]) -> None:
    """Write the list."""
    slow = (name for name in sorted(taken_s) if taken_s[name] > LONG_S and not name.startswith(ALWAYS))
    LISTED.write_text("".join(f"{name}\n" for name in slow))


if __name__ == "__main__":
    watch = Watch()
    code = pytest.main(["-q", "-m", UNIT, "-p", "no:cacheprovider"], plugins=[watch])
    if code == 0:
        write(watch.taken_s)
    sys.exit(code)

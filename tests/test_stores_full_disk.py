"""A full disk, a real one: said once, nothing lost that fits into memory, the rest counted, and it mends by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from .full_disk import FITS, on_a_small_disk


@pytest.mark.mounts
def test_a_full_disk_loses_only_what_memory_cannot_hold_and_says_so_once(tmp_path: Path) -> None:
    told = on_a_small_disk(tmp_path)
    assert told["stored"] == told["counted"]
    assert told["stored"] + told["lost"] == told["calls"]
    assert told["lost"] > 0
    assert told["stored"] >= FITS + 50 + 10  # what was written before, what waited, and what came after
    full, again = (entry for entry in told["logs"] if "clock" not in entry["event"])  # the script has its own
    assert (full["log_level"], full["reason"]) == ("error", f"{tmp_path}/calls.db: the disk is full")
    assert (again["event"], again["lost"]) == ("the store takes records again", told["lost"])
    # The records were counted on the same disk, by then one that can only be read.
    assert told["read_only"].startswith(f"{tmp_path}/calls.db: it can only be read")

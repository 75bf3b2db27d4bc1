"""The truth tables in tests/facts: parsed out of the standards and the Asterisk source, measured on a real PBX."""

from __future__ import annotations

import csv
import re
from pathlib import Path

FACTS = Path(__file__).parent / "facts"

# Each column of the Asterisk tables, the driver it is about, and the versions that a PBX of that column may name.
COLUMNS: dict[str, tuple[str, tuple[str | None, ...]]] = {
    "chan_sip_16_18_20": ("sip", ("16.28.0", "18.26.4", "20.19.0", None)),
    "pjsip_16": ("pjsip", ("16.28.0", "16.30.1", "Asterisk 16.28.0~dfsg-0+deb11u4")),
    "pjsip_18": ("pjsip", ("18.0.0", "18.26.4")),
    "pjsip_20_before_20.19": ("pjsip", ("20.0.0", "20.18.0", "20.18.2", "20.9.3")),
    "pjsip_20.19_on": ("pjsip", ("20.19.0", "20.20.1")),
    "pjsip_21": ("pjsip", ("21.0.0", "21.12.3")),
    "pjsip_22_before_22.9": ("pjsip", ("22.0.0", "22.8.2", "22.1.0")),
    "pjsip_22.9_on": ("pjsip", ("22.9.0", "22.10.1", "22.10.1~dfsg+~cs6.15.60671435-1", "GIT-22-0a1b2c3d")),
    "pjsip_23_before_23.3": ("pjsip", ("23.0.0", "23.2.1")),
    "pjsip_23.3_on_and_master": ("pjsip", ("23.3.0", "23.4.1", "24.0.0", "GIT-master-1a2b3c4", None)),
    "certified_18.9_20.7_22.8": (
        "pjsip",
        ("certified/18.9-cert12", "certified/20.7-cert5", "certified/22.8-cert4", "certified-22.8-cert1", "22.8-cert4"),
    ),
}


def facts(name: str) -> list[dict[str, str]]:
    """Return the rows of a truth table."""
    with (FACTS / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def number(text: str) -> int | None:
    """Return the number at the start of a cell, None for a cell that says none."""
    found = re.match(r"\d+", text)
    return int(found[0]) if found else None


def versions(row: dict[str, str]) -> list[tuple[str, str | None, str]]:
    """Return (driver, version, cell) for every version column of a row of an Asterisk table."""
    cells = []
    for column, (driver, releases) in COLUMNS.items():
        key = column if column in row else f"chan_{column}"
        cells += [(driver, release, row[key]) for release in releases]
    return cells

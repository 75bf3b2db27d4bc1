"""What a check finds: remarks, each with the lines that would change it, and the evidence that each door gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from asterisk_sip.calls.model import Grade
from asterisk_sip.config_files import shipped


class Level(StrEnum):
    """How good or bad a finding is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing found, and the lines to add (``file``, ``lines``) that would change it."""

    level: Level
    text: str
    file: str | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one door tells of the SIP status on this PBX. ``grade`` is None while that is not known, or not in use."""

    door: str
    in_use: bool
    grade: Grade | None
    tells: str


@dataclass(slots=True)
class Report:
    """What was found at one PBX."""

    pbx: str
    remarks: list[Remark] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def problems(self) -> int:
        """How many problems there are."""
        return sum(remark.level is Level.PROBLEM for remark in self.remarks)


def remark_with(level: Level, text: str, file: str, section: str, *keys: str) -> Remark:
    """Return a remark with lines of the file of that name in ``configs/asterisk``: those of a section with these keys.

    All of the section when none is given.
    """
    return Remark(level, text, f"{file} [{section}]", lines_of(file, section, *keys))


def lines_of(file: str, section: str, *keys: str) -> tuple[str, ...]:
    """Return the settings of a section of a file in ``configs/asterisk`` as ``key = value``, those with these keys."""
    text = shipped(f"asterisk/{file}").read_text("utf-8")
    return tuple(
        f"{key} = {value}" for where, key, value in settings_of(text) if where == section and (not keys or key in keys)
    )


def settings_of(text: str) -> Iterator[tuple[str, str, str]]:
    """Read an Asterisk configuration file as (section, key, value); section names in small letters."""
    section = ""
    for raw in text.splitlines():
        line = re.sub(r"(?<!\\);.*", "", raw).strip()
        if line.startswith("["):
            section = line[1:].partition("]")[0].lower()
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            yield section, key.strip(), value.removeprefix(">").strip()


def has_includes(text: str) -> bool:
    """Whether an Asterisk configuration file includes others, which may hold more."""
    return any(line.lstrip().startswith("#") for line in text.splitlines())

"""What a check finds: remarks, each with the lines that would change it, and the evidence that each door gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from asterisk_sip.calls.model import Grade
from asterisk_sip.check_files import lines_of


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

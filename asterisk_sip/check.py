"""Looks at a PBX through every door as the daemon will, and says what is missing and which exact lines to add."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from asterisk_sip.check_agi import AGI_TELLS, look_at_agi
from asterisk_sip.check_ami import look_at_ami
from asterisk_sip.check_ari import look_at_ari, look_at_outbound_ari
from asterisk_sip.check_cel import CEL_TELLS, look_at_cel
from asterisk_sip.check_hep import HEP_TELLS, look_at_hep
from asterisk_sip.check_line import THE_LINE
from asterisk_sip.check_remark import Evidence, Level, Remark, Report
from asterisk_sip.config import AgiConfig, AriConfig, HepConfig
from asterisk_sip.sources.ami import AmiSettings
from asterisk_sip.sources.ari import AriSettings
from asterisk_sip.sources.backfill import CelSettings

__all__ = ["THE_LINE", "Doors", "Level", "Remark", "Report", "look_at", "to_json"]

NOT_IN_USE = {
    "AMI": "each call and attempt as it happens, and with the line the status received (configs/asterisk/manager.conf)",
    "ARI": "what AMI tells, over HTTP, and the SIP Call-ID of each leg, by which HEP joins (configs/asterisk/ari.conf)",
    "AGI": f"{AGI_TELLS} (configs/asterisk/extensions.conf)",
    "HEP": f"{HEP_TELLS} (hep.conf)",
    "CEL": f"{CEL_TELLS} (configs/asterisk/cel.conf)",
}
"""What each door would tell that is not in the configuration."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The doors of one PBX that are configured. ``running``: the daemon listens to it now, on the same store."""

    pbx: str
    ami: AmiSettings | None = None
    ari: AriSettings | AriConfig | None = None  # the configuration itself when Asterisk connects to us
    agi: AgiConfig | None = None
    hep: HepConfig | None = None
    cel: CelSettings | None = None
    running: bool = False


async def look_at(doors: Doors, wait_s: float) -> Report:
    """Look through all doors at once, for ``wait_s`` seconds where something has to pass by. Raises nothing.

    Nothing is changed or placed; what the daemon holds is left alone.
    """
    looks: list[Awaitable[tuple[list[Remark], list[Evidence]]]] = []
    if doors.ami is not None:
        looks.append(look_at_ami(doors.ami, wait_s))
    if isinstance(doors.ari, AriSettings):
        looks.append(look_at_ari(doors.ari, wait_s))
    elif doors.ari is not None:
        looks.append(look_at_outbound_ari(doors.ari, wait_s, running=doors.running))
    if doors.agi is not None:
        looks.append(_one(look_at_agi(doors.pbx, doors.agi, wait_s, running=doors.running)))
    if doors.hep is not None:
        looks.append(_one(look_at_hep(doors.hep, wait_s, running=doors.running)))
    if doors.cel is not None:
        looks.append(_one(look_at_cel(doors.cel)))
    report = Report(doors.pbx)
    for remarks, evidence in await asyncio.gather(*looks):
        report.remarks += remarks
        report.evidence += evidence
    known = {each.door for each in report.evidence}
    report.evidence += [Evidence(door, False, None, tells) for door, tells in NOT_IN_USE.items() if door not in known]
    report.evidence.sort(key=lambda each: not each.in_use)
    return report


async def _one(look: Awaitable[tuple[list[Remark], Evidence]]) -> tuple[list[Remark], list[Evidence]]:
    remarks, evidence = await look
    return remarks, [evidence]


def to_json(report: Report) -> dict[str, Any]:
    """Return a report as plain data for scripts."""
    return {
        "pbx": report.pbx,
        "problems": report.problems,
        "remarks": [
            {"level": each.level.value, "text": each.text, "file": each.file, "lines": list(each.lines)}
            for each in report.remarks
        ],
        "evidence": [
            {"door": each.door, "in_use": each.in_use, "grade": each.grade and each.grade.value, "tells": each.tells}
            for each in report.evidence
        ],
    }

"""Looks at the log that Asterisk keeps of its channels (CEL): readable, with the columns and events that are needed."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from asterisk_sip.calls.model import Grade
from asterisk_sip.check_remark import Evidence, Level, Remark, remark_with
from asterisk_sip.errors import SourceError
from asterisk_sip.sources.backfill import CelSettings, newest_rows
from asterisk_sip.sources.cel_wire import NEEDED, Row

CEL_TELLS = "calls that ended while this program was not listening, with their Q.850 cause"
_CONF = {
    "sqlite": ("cel_sqlite3_custom.conf", "master"),
    "postgresql": ("cel.conf", "general"),
    "csv": ("cel.conf", "general"),
}
_ENOUGH = 100  # so many rows show every kind of event that is tracked


async def look_at_cel(settings: CelSettings) -> tuple[list[Remark], Evidence]:
    """Read the newest rows and return what was found. Raises nothing."""
    try:
        rows = await newest_rows(settings)
    except SourceError as error:
        text = f"CEL cannot be read: {error}. Calls that end while this program does not listen stay untold."
        unused = Evidence("CEL", True, None, "nothing, as it is")
        return [remark_with(Level.PROBLEM, text, *_CONF[settings.kind])], unused
    evidence = Evidence("CEL", True, Grade.CANDIDATES, CEL_TELLS)
    if not rows:
        text = f"CEL: {settings.place} can be read but holds nothing yet. Is CEL on?"
        return [remark_with(Level.NOTE, text, "cel.conf", "general")], evidence
    at = datetime.fromtimestamp(rows[-1].at, UTC).astimezone()
    remarks = [Remark(Level.OK, f"CEL: {settings.place} can be read, its newest event is of {at:%Y-%m-%d %H:%M:%S}")]
    return [*remarks, *_about_clock(rows), *_about_events(rows)], evidence


def _about_clock(rows: list[Row]) -> list[Remark]:
    ahead_s = rows[-1].at - time.time()
    if ahead_s < 60:
        return []
    text = (
        f"The newest event of CEL lies {ahead_s / 60:.0f} minutes ahead: its times are in another zone, or a clock is "
        "wrong. Calls will not be found. Take out dateformat in cel.conf, so that times are seconds since 1970."
    )
    return [Remark(Level.PROBLEM, text)]


def _about_events(rows: list[Row]) -> list[Remark]:
    kinds = {row.kind for row in rows}
    if len(rows) < _ENOUGH or kinds.issuperset(NEEDED):
        return []
    missing = ", ".join(kind for kind in NEEDED if kind not in kinds)
    bad = not {"CHAN_START", "HANGUP"} <= kinds
    text = f"No {missing} among the newest {len(rows)} events of CEL: calls are told without what those tell."
    return [remark_with(Level.PROBLEM if bad else Level.NOTE, text, "cel.conf", "general")]

"""Gaps as a person sees them in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asterisk_sip.stores.base import Gap
from asterisk_sip.stores.completeness import unheard

from .render_console import console as terminal
from .render_plain import plain

_BLIND = "calls may be missing"
_COVERED = "another door told of the calls"
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def print_gaps(gaps: Sequence[Gap], since: datetime, until: datetime, console: Console | None = None) -> None:
    """Print a table of gaps in the given order and, below it, how complete the window is for each PBX."""
    console = console or terminal()
    if not gaps:
        console.print(f"No gap is recorded in this time ({lasted(until - since)}).")
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for title in ("Began", "Lasted", "PBX", "Door", "Why", "What it means"):
        table.add_column(title, no_wrap=title != "Why")
    for gap in gaps:
        table.add_row(
            Text(gap.began_at.astimezone().strftime("%d %b %H:%M:%S"), "dim"),
            "still" if gap.ended_at is None else lasted(gap.ended_at - gap.began_at),
            plain(gap.pbx),
            plain(gap.source),
            Text(plain(gap.reason)),
            Text(_BLIND, "yellow") if gap.blind else Text(_COVERED, "dim"),
        )
    console.print(table)
    for line in told_completeness(gaps, since, until):
        console.print(Text(line))


def told_completeness(gaps: Iterable[Gap], since: datetime, until: datetime) -> list[str]:
    """Return one line for each PBX that was not heard all the time: for how long, and what share was heard."""
    window = until - since
    return [
        f"{plain(pbx)}: not heard for {lasted(missed)} of {lasted(window)}, {_share(missed, window)} % complete"
        for pbx, missed in sorted(unheard(gaps, since, until).items())
    ]


def _share(missed: timedelta, window: timedelta) -> str:
    """Return the heard share in percent, never rounded up to 100."""
    return f"{min(99.99, 100 * (1 - missed / window)):.2f}"


def lasted(time: timedelta) -> str:
    """Return a length of time for a person: ``2 d 3 h``, ``4 min 5 s``, ``0.3 s``."""
    seconds = time.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s"
    parts = []
    for unit, size in _UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number:.0f} {unit}")
    if seconds >= 1:
        parts.append(f"{seconds:.0f} s")
    return " ".join(parts[:2])

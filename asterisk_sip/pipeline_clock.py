"""Notices clocks that are wrong: our own when it is set, that of a PBX when it is far from ours. Each is told once."""

from __future__ import annotations

import structlog

log = structlog.get_logger(__name__)

SET_S = 5.0
"""The clock was set when it and the time that passed differ by so much at one look; slewing is far slower."""

APART_S = 60.0
"""A PBX whose clock differs by so much puts calls into the wrong minute, next to those of others."""


class Clocks:
    """Compares at each look. Times are seconds since 1970, ``ticks`` those of a clock that nobody sets."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._apart: set[str] = set()

    def own(self, now: float, ticks: float) -> None:
        """Look at our own clock."""
        offset = now - ticks
        if self._offset is not None and abs(offset - self._offset) >= SET_S:
            by_s = round(offset - self._offset, 1)
            log.warning("the clock of this machine was set; times before and after do not fit together", by_s=by_s)
        self._offset = offset

    def pbx(self, name: str, ahead_s: float) -> None:
        """Look at the clock of a PBX, as its newest event showed it."""
        if name in self._apart:
            if abs(ahead_s) < APART_S / 2:
                self._apart.discard(name)
                log.info("the clocks agree again", pbx=name)
        elif abs(ahead_s) >= APART_S:
            self._apart.add(name)
            log.warning("the clock of the PBX is not ours; records have its times", pbx=name, ahead_s=round(ahead_s, 1))

"""How often a target is spoken to: what comes together is told together, and never more than a rate. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asterisk_sip.alerts.model import Change, Severity, State


@dataclass(frozen=True, slots=True)
class Manners:
    """How a target wants to be spoken to.

    What comes within ``group_wait_s`` is told at once; the next notice comes ``group_interval_s`` later, unless
    something critical fires. ``group_max`` changes at most are in one. ``per_minute`` notices on average, ``burst`` of
    them at once. After ``expire_s`` seconds a notice that was not taken is put aside; of more than ``queue_max`` that
    wait the oldest are not told, only how many they were.
    """

    group_wait_s: float = 1.0
    group_interval_s: float = 30.0
    group_max: int = 50
    per_minute: float = 20.0
    burst: int = 10
    expire_s: float = 86_400.0
    queue_max: int = 10_000


class Bucket:
    """A token bucket. Time is an argument: seconds of any clock that only goes forward."""

    def __init__(self, per_minute: float, burst: int) -> None:
        self._per_s = per_minute / 60
        self._burst = float(burst)
        self._tokens = self._burst
        self._filled_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Return in how many seconds there is a token; 0 when there is one now."""
        self._fill(now_s)
        return max(0.0, (1.0 - self._tokens) / self._per_s)

    def take(self, now_s: float) -> None:
        """Take a token; one that is not there yet is owed."""
        self._fill(now_s)
        self._tokens -= 1.0

    def _fill(self, now_s: float) -> None:
        if self._filled_s is not None and now_s > self._filled_s:
            self._tokens = min(self._burst, self._tokens + (now_s - self._filled_s) * self._per_s)
        self._filled_s = max(now_s, self._filled_s or now_s)


def group_wait_s(changes: Sequence[Change], waited_s: float, quiet_s: float, manners: Manners) -> float:
    """Return for how many more seconds changes wait for others to be told with them.

    ``waited_s``: how long the first of them waits already, ``quiet_s``: how long ago the last notice was. Records that
    match a hook wait for nobody.
    """
    if not changes or len(changes) >= manners.group_max or any(each.state is State.HOOK for each in changes):
        return 0.0
    urgent = any(each.state is State.FIRED and each.severity is Severity.CRITICAL for each in changes)
    of_interval = 0.0 if urgent else manners.group_interval_s - quiet_s
    return max(0.0, manners.group_wait_s - waited_s, of_interval)

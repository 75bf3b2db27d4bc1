"""When a change is only recorded and not told: quiet hours of a rule, silences of an operator. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from .model import QuietHours, Rule


@dataclass(frozen=True, slots=True)
class Silenced:
    """Rules whose names fit a pattern are silent until a time, in seconds since 1970; ``why`` is the operator's."""

    rule: str
    until: float
    why: str


@dataclass(frozen=True, slots=True)
class Muted:
    """Why nothing is told, and until when, in seconds since 1970."""

    why: str
    until: int


class Silences:
    """What is silent now. Quiet hours come with the rules, silences from operators."""

    def __init__(self) -> None:
        self._silenced: tuple[Silenced, ...] = ()

    def replace(self, silenced: Iterable[Silenced]) -> bool:
        """Take all silences that last; return whether they are others than before."""
        before, self._silenced = self._silenced, tuple(silenced)
        return before != self._silenced

    def muted(self, rule: Rule, at: int) -> Muted | None:
        """Return why a rule tells nothing at a time, None when it does."""
        found = [
            Muted(f"silenced: {each.why}", int(each.until) + 1)
            for each in self._silenced
            if each.until > at and fnmatchcase(rule.name, each.rule)
        ]
        end = None if rule.quiet is None else quiet_until(rule.quiet, at)
        if end is not None:
            found.append(Muted("quiet hours", end))
        return max(found, key=lambda muted: muted.until, default=None)


def quiet_until(quiet: QuietHours, at: int) -> int | None:
    """Return when the quiet hours that a time lies in end, None when it lies in none. A day of 23 hours has its own."""
    here = datetime.fromtimestamp(at, UTC).astimezone(quiet.zone)
    clock = here.time().replace(tzinfo=None)
    over_midnight = quiet.begin >= quiet.end
    within = clock >= quiet.begin or clock < quiet.end if over_midnight else quiet.begin <= clock < quiet.end
    if not within:
        return None
    day = here.date() + timedelta(days=over_midnight and clock >= quiet.begin)
    end = datetime.combine(day, quiet.end, quiet.zone).astimezone(UTC)
    return max(at + 1, int(end.timestamp()))

"""What a rule compares with its threshold: one number for each kind, with what it was computed from. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from asterisk_sip.calls.delays import percentile_ms

from .engine_group import Group, Part
from .engine_window import HOUR_S
from .model import Kind, Rule


class Judged(NamedTuple):
    """A number to compare. ``enough``: there were as many as the rule asks for. No value: there is nothing to judge."""

    value: float | None
    numerator: int | None = None
    denominator: int | None = None
    enough: bool = True


NOTHING = Judged(None, enough=False)

Valuer = Callable[[Rule, Group, Part, int, float], Judged]
"""Takes the rule, the group, its part, the end of the window, and since when the rule has learned what is usual."""


def _count(rule: Rule, _group: Group, part: Part, _end: int, _known_from: float) -> Judged:
    count = part.matching.total
    return Judged(float(count), count, enough=count >= rule.min_samples)


def _rate(rule: Rule, _group: Group, part: Part, _end: int, _known_from: float) -> Judged:
    count = part.matching.total
    return Judged(count * 60 / rule.window_s, count, enough=count >= rule.min_samples)


def _share(rule: Rule, group: Group, part: Part, _end: int, _known_from: float) -> Judged:
    among = group.among.total if group.among is not None else 0
    if not among:
        return NOTHING
    count = part.matching.total
    return Judged(count / among, count, among, enough=among >= rule.min_samples)


def _pdd(rule: Rule, group: Group, _part: Part, _end: int, _known_from: float) -> Judged:
    delays = group.delays
    if delays is None or not delays.total:
        return NOTHING
    enough = delays.total >= rule.min_samples
    return Judged(percentile_ms(delays.counts, rule.percentile), None, delays.total, enough)


def _consecutive(_rule: Rule, _group: Group, part: Part, _end: int, _known_from: float) -> Judged:
    return Judged(float(part.run), part.run)


def _burst(rule: Rule, group: Group, part: Part, end: int, known_from: float) -> Judged:
    """So many times what is usual: the median of this hour in past weeks, scaled to the window."""
    usual = None if group.seasons is None else group.seasons.usual(end - 1, known_from)
    if usual is None:
        return NOTHING
    expected = max(usual * rule.window_s / HOUR_S, rule.expected)
    count = part.matching.total
    return Judged(count / expected, count, round(expected), count >= rule.min_samples)


def _silence(rule: Rule, group: Group, part: Part, end: int, known_from: float) -> Judged:
    """How many there were, where as many as the rule says are usual."""
    usual = None if group.seasons is None else group.seasons.usual(end - 1, known_from)
    expected = 0.0 if usual is None else usual * rule.window_s / HOUR_S
    count = part.matching.total
    return Judged(float(count), count, round(expected), expected >= rule.expected)


VALUES: dict[Kind, Valuer] = {
    Kind.COUNT: _count,
    Kind.RATE: _rate,
    Kind.SHARE: _share,
    Kind.RATIO: _share,
    Kind.PDD: _pdd,
    Kind.CONSECUTIVE: _consecutive,
    Kind.NEW_CODE: _count,
    Kind.BURST: _burst,
    Kind.SILENCE: _silence,
}

UNITS = {
    Kind.RATE: "per_minute",
    Kind.SHARE: "share",
    Kind.RATIO: "share",
    Kind.PDD: "ms",
    Kind.CONSECUTIVE: "in_a_row",
    Kind.BURST: "times",
    Kind.GAP: "s",
    Kind.SINK: "s",
}
"""The unit of each kind; the others count calls or attempts."""


def holds(rule: Rule, judged: Judged, *, firing: bool) -> bool:
    """Return whether the condition holds: past the threshold; of an alert that fires, not yet past ``clear``.

    What fires is compared also when there are fewer than the rule asks for: an alert needs a reason to end, too. A
    silence ends when calls come, or at an hour that has none.
    """
    if judged.value is None or not (judged.enough or (firing and rule.kind is not Kind.SILENCE)):
        return False
    bound = rule.clear if firing else rule.threshold
    if rule.kind is Kind.SILENCE:
        return judged.value <= bound
    return judged.value < bound if rule.when == "below" else judged.value >= bound

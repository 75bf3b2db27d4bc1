"""Makes what is told out of what was judged. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from asterisk_sip.calls.model import isoformat

from .engine_value import UNITS, Judged
from .model import Change, Kind, Rule, State
from .rules_fields import canonical

_ALIKE = ("code", "class", "trunk", "endpoint", "outcome", "disposition", "fault", "country", "pbx")
_OF_CALLS = {name: name for name in _ALIKE} | {"caller.number": "number", "dialled": "number"}
_OF_ATTEMPTS = {
    "code": "attempt_code",
    "trunk": "trunk",
    "endpoint": "endpoint",
    "outcome": "outcome",
    "pbx": "pbx",
    "caller.number": "number",
}
"""Fields that calls can be asked by, of their own or of any attempt, and the parameter of each; see ``web.api``."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a change is about: the alert, its group, when it began, and what was judged at the end of a second."""

    alert_id: str
    group: dict[str, str]
    since: float
    at: int
    judged: Judged
    samples: tuple[str, ...] = ()
    completeness: float = 1.0
    detail: str | None = None


def change(rule: Rule, state: State, seen: Seen, muted: str | None = None) -> Change:
    """Return the change that a group of a rule fired or cleared; what was judged is the window before that second."""
    begin, end = _utc(seen.at - rule.window_s), _utc(seen.at)
    return Change(
        id=f"{seen.alert_id}-{state}",
        alert_id=seen.alert_id,
        rule=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        state=state,
        group=seen.group,
        since=_utc(seen.since),
        at=end,
        value=seen.judged.value,
        threshold=rule.threshold,
        clear=rule.clear,
        when=rule.when,
        unit=UNITS.get(rule.kind, rule.counted),
        numerator=seen.judged.numerator,
        denominator=seen.judged.denominator,
        window_since=begin,
        window_until=end,
        query=query(rule, seen.group, begin, end),
        samples=seen.samples,
        completeness=seen.completeness,
        detail=seen.detail,
        targets=rule.targets,
        muted=muted,
    )


def hook(rule: Rule, alert_id: str, group: dict[str, str], record_id: str, at: float) -> Change:
    """Return the change that one record of a hook makes."""
    when = _utc(at)
    return Change(
        id=f"{alert_id}-{State.HOOK}",
        alert_id=alert_id,
        rule=rule.name,
        kind=Kind.HOOK,
        severity=rule.severity,
        state=State.HOOK,
        group=group,
        since=when,
        at=when,
        value=None,
        threshold=rule.threshold,
        clear=rule.clear,
        when=rule.when,
        unit=rule.counted,
        numerator=None,
        denominator=None,
        window_since=when,
        window_until=when,
        query=query(rule, group, _utc(int(at)), _utc(int(at) + 1)),
        samples=(record_id,),
        targets=rule.targets,
    )


def query(rule: Rule, group: dict[str, str], since: datetime, until: datetime) -> dict[str, str]:
    """Return the parameters that find the records of a group: its time, and what can be asked for of its filter.

    What cannot be asked for is left out: then more calls are found, and never one too few.
    """
    asked = {"since": isoformat(since), "until": isoformat(until), "outcome": "any"}
    names = _OF_ATTEMPTS if rule.counted == "attempts" else _OF_CALLS
    for field, values in rule.filter.items():
        name = names.get(canonical(field))
        if name is not None and len(values) == 1:
            asked[name] = str(values[0])
    asked.update((names[field], value) for field, value in group.items() if field in names)
    return asked


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)

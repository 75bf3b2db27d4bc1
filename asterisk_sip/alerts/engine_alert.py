"""From a number to an alert: fires, clears, waits, keeps silent. One group of one rule at one second. Pure."""

from __future__ import annotations

from typing import NamedTuple

from . import engine_told
from .engine_group import Firing, Group, Part
from .engine_heard import Heard
from .engine_mute import Silences
from .engine_value import Judged, holds
from .engine_watch import Watch
from .model import Change, Kind, State, alert_id

_COUNTS = (Kind.COUNT, Kind.RATE, Kind.BURST, Kind.NEW_CODE)
"""Kinds without a denominator: a time that was not listened to looks to them like a quiet one."""

_SEES_ENOUGH = (Kind.CONSECUTIVE, Kind.SILENCE)
"""Kinds that end by a call that was seen."""

_GAPPED_AGAIN_S = 5


class Verdict(NamedTuple):
    """What is to be told of a group, and when to look at it again."""

    change: Change | None = None
    again_at: int | None = None


class _Place(NamedTuple):
    """A group at the end of a second, and its number."""

    group: Group
    part: Part
    end: int
    judged: Judged


class Alerting:
    """Judges the groups of one rule. ``heard`` knows the gaps, ``silences`` what is not told now."""

    def __init__(self, watch: Watch, heard: Heard, silences: Silences) -> None:
        self.watch = watch
        self.rule = watch.rule
        self._heard = heard
        self._silences = silences

    def look(self, group: Group, part: Part, end: int) -> Verdict:
        """Judge a group at the end of a second."""
        if part.firing is not None and end < part.firing.known_at:
            return Verdict(None, part.firing.known_at)
        judged = self.watch.judge(group, part, end)
        if part.firing is None and not holds(self.rule, judged, firing=False):  # nearly always
            part.over_since = None
            return Verdict(None, self.watch.again_at(group, part, end))
        place = _Place(group, part, end, judged)
        return self._of_quiet(place) if part.firing is None else self._of_firing(place, part.firing)

    def _of_quiet(self, place: _Place) -> Verdict:
        rule, part, end = self.rule, place.part, place.end
        if rule.kind is Kind.SILENCE and not (self._completeness(place) >= 1.0 and self._known_since(end)):
            part.over_since = None
            soon = end + max(_GAPPED_AGAIN_S, rule.window_s // 20)
            return Verdict(again_at=_earliest(soon, self.watch.again_at(place.group, part, end)))
        if part.over_since is None:
            part.over_since = end
        wait_until = part.over_since + rule.for_s
        if part.cleared_at is not None:
            wait_until = max(wait_until, part.cleared_at + rule.cooldown_s)
        if end < wait_until:
            return Verdict(again_at=_earliest(wait_until, self.watch.again_at(place.group, part, end)))
        began, part.over_since = part.over_since, None
        muted = self._silences.muted(rule, end)
        part.firing = Firing(alert_id(rule.name, self._named(place), began), began, told=muted is None)
        why, until = (None, None) if muted is None else (muted.why, muted.until)
        return Verdict(self._change(State.FIRED, place, part.firing, why), self._again(place, until))

    def _of_firing(self, place: _Place, firing: Firing) -> Verdict:
        if holds(self.rule, place.judged, firing=True) or not self._may_clear(place):
            if firing.told:
                return Verdict(again_at=self._again(place))
            muted = self._silences.muted(self.rule, place.end)
            if muted is not None:
                return Verdict(again_at=self._again(place, muted.until))
            firing.told = True
            return Verdict(self._change(State.FIRED, place, firing), self._again(place))
        place.part.firing, place.part.cleared_at = None, place.end
        untold = None if firing.told else "its firing was not told"
        return Verdict(
            self._change(State.CLEARED, place, firing, untold),
            self.watch.again_at(place.group, place.part, place.end),
        )

    def _may_clear(self, place: _Place) -> bool:
        """Return whether enough was seen to say that it is over."""
        kind = self.rule.kind
        if kind in _SEES_ENOUGH or (kind not in _COUNTS and place.judged.value is not None and place.judged.enough):
            return True
        return self._completeness(place) >= 1.0

    def _again(self, place: _Place, unmuted_at: int | None = None) -> int | None:
        """Return when to look again at what fires. While a gap is in the window, its end has to be waited for."""
        gapped = place.end + _GAPPED_AGAIN_S if self._completeness(place) < 1.0 else None
        return _earliest(unmuted_at, gapped, self.watch.again_at(place.group, place.part, place.end))

    def _known_since(self, end: int) -> bool:
        known_from = self.watch.known_from
        return known_from is not None and known_from <= end - self.rule.window_s

    def _named(self, place: _Place) -> dict[str, str]:
        return self.watch.grouping.named(place.group.route, place.part.result)

    def _completeness(self, place: _Place) -> float:
        pbx = self._named(place).get("pbx")
        return self._heard.completeness(place.end - self.rule.window_s, place.end, pbx)

    def _change(self, state: State, place: _Place, firing: Firing, muted: str | None = None) -> Change:
        seen = engine_told.Seen(
            firing.alert_id,
            self._named(place),
            firing.since,
            place.end,
            place.judged,
            samples=tuple(record for at, record in reversed(place.part.samples) if self._is_of(firing, place.part, at)),
            completeness=self._completeness(place),
        )
        return engine_told.change(self.rule, state, seen, muted)

    def _is_of(self, firing: Firing, part: Part, at: float) -> bool:
        """Return whether a sample is of this alert, and not of an earlier one."""
        return self.rule.kind in _SEES_ENOUGH or part.matching.holds(at, firing.since)


def _earliest(*times: int | None) -> int | None:
    return min((each for each in times if each is not None), default=None)

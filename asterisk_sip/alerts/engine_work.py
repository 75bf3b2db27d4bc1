"""The rules at work, each as the engine sees it: takes records or troubles, and is asked second by second. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from . import engine_told
from .engine_alert import Alerting
from .engine_group import Firing
from .engine_heard import Heard
from .engine_mute import Silences
from .engine_watch import Watch
from .model import Change, Rule, alert_id
from .rules_fields import Json
from .rules_match import Grouping, predicate

Wake = Callable[[int], None]
"""Asks to be looked at when a second ends."""


class Worker(Protocol):
    """A rule at work."""

    rule: Rule

    def take(self, at: float, call: Json, attempt: Json | None) -> None:
        """Count a call, or an attempt of it."""

    def work(self, end: int) -> list[Change]:
        """Judge what changed up to the end of a second."""

    def dump(self) -> str:
        """Return what it knows as JSON."""

    def load(self, data: dict[str, Any]) -> None:
        """Take what ``dump`` gave. Raises KeyError, TypeError or ValueError when it is none."""

    def adopt(self, change: Change) -> None:
        """Take up an alert that was told of and that it does not know: it ends as any other."""

    def stir(self) -> None:
        """Look again at what fires and was not told."""


class Counting:
    """A rule over records."""

    def __init__(self, rule: Rule, heard: Heard, silences: Silences, wake: Wake) -> None:
        self.rule = rule
        self.watch = Watch(rule)
        self.take = self.watch.take
        self.dump = self.watch.dump
        self._alerting = Alerting(self.watch, heard, silences)
        self._wake = wake

    def work(self, end: int) -> list[Change]:
        """Judge the groups that changed."""
        watch, changes = self.watch, []
        for group in watch.at_work(end):
            for part in group.parts.values():
                verdict = self._alerting.look(group, part, end)
                if verdict.change is not None:
                    changes.append(verdict.change)
                if verdict.again_at is not None:
                    again_at = max(end + 1, verdict.again_at)
                    watch.calendar.setdefault(again_at, {})[group.route] = None
                    self._wake(again_at)
            watch.tidy(group, end)
        return changes

    def load(self, data: dict[str, Any]) -> None:
        """Take what ``dump`` gave."""
        self.watch.load(data)
        for at in self.watch.calendar:
            self._wake(at)

    def adopt(self, change: Change) -> None:
        """Take up an alert, unless it is known."""
        grouping = self.watch.grouping
        if set(change.group) != {*grouping.route_names, *grouping.result_names}:
            return
        route = tuple(change.group[name] for name in grouping.route_names)
        part = self.watch.adopt(route, tuple(change.group[name] for name in grouping.result_names))
        if part is not None and part.firing is None:
            known_at, told = int(change.at.timestamp()), change.muted is None
            part.firing = Firing(change.alert_id, int(change.since.timestamp()), told, known_at)
            part.over_since = None  # that was before it fired
            self.watch.calendar.setdefault(known_at + 1, {})[route] = None
            self._wake(known_at + 1)

    def stir(self) -> None:
        """Look again at what fires and was not told."""
        for route, group in self.watch.groups.items():
            if any(part.firing and not part.firing.told for part in group.parts.values()):
                self.watch.due[route] = None
                self._wake(0)


class Hooking:
    """A plain hook: each record that fits is a change of its own, at once."""

    def __init__(self, rule: Rule, silences: Silences) -> None:
        self.rule = rule
        self._grouping = Grouping(rule)
        self._fits = predicate(rule.filter)
        self._silences = silences
        self._found: list[Change] = []

    def take(self, at: float, call: Json, attempt: Json | None) -> None:
        """Make a change of a record that fits, if it is told now."""
        if not self._fits(call, attempt) or self._silences.muted(self.rule, int(at)) is not None:
            return
        route, result = self._grouping.route(call, attempt), self._grouping.result(call, attempt)
        named = self._grouping.named(route, result) if route is not None and result is not None else {}
        seq = "" if attempt is None else f".{attempt['seq']}"
        found = alert_id(self.rule.name, {**named, "record": call["id"] + seq}, 0.0)
        self._found.append(engine_told.hook(self.rule, found, named, call["id"], at))

    def found(self) -> list[Change]:
        """Return what fitted since it was asked last."""
        found, self._found = self._found, []
        return found

    def work(self, _end: int) -> list[Change]:
        """Return nothing: a hook waits for no second to end."""
        return []

    def dump(self) -> str:
        """Return nothing: it knows nothing."""
        return "{}"

    def load(self, data: dict[str, Any]) -> None:
        """Take nothing."""

    def adopt(self, change: Change) -> None:
        """Take up nothing: it has no alerts that last."""

    def stir(self) -> None:
        """Do nothing: what was not told at once is not told."""

"""What the engine knows of one group of a rule. Plain data, and the same as JSON. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import astuple, dataclass, field
from typing import Any

from .engine_window import Delays, Seasons, Window
from .model import Kind, Rule
from .rules_match import Key

SAMPLES = 3


@dataclass(slots=True)
class Firing:
    """An alert that fires: its id, when its condition began, and whether that was told or only recorded.

    One that was told of before a crash is known to fire at ``known_at``: what is judged again before then says nothing.
    """

    alert_id: str
    since: int
    told: bool
    known_at: int = 0


@dataclass(slots=True)
class Part:
    """One group as it is told: of a rule that tells codes apart, one code of one trunk, say.

    ``over_since`` is when the condition began to hold, ``cleared_at`` when the last alert ended.
    """

    result: Key
    matching: Window
    samples: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    run: int = 0
    over_since: int | None = None
    cleared_at: int | None = None
    firing: Firing | None = None

    def fires_at(self, at: float) -> bool:
        """Return whether an alert of it fired at a time: one that was told of before a crash not before it did."""
        return self.firing is not None and at >= self.firing.known_at

    def idle(self) -> bool:
        """Return whether nothing would be lost if it were forgotten, a time of rest after an alert aside."""
        return not (self.matching.total or self.run or self.firing or self.over_since is not None)


@dataclass(slots=True)
class Group:
    """What shares its route: a trunk, say. ``among`` counts what shares are shares of."""

    route: Key
    among: Window | None
    delays: Delays | None
    seasons: Seasons | None
    parts: dict[Key, Part] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def firing(self) -> bool:
        """Return whether an alert of it fires."""
        return any(part.firing for part in self.parts.values())


def new_group(rule: Rule, route: Key) -> Group:
    """Return a group that nothing is known of."""
    among = Window(rule.window_s) if rule.kind in (Kind.SHARE, Kind.RATIO) else None
    delays = Delays(rule.window_s) if rule.kind is Kind.PDD else None
    seasons = Seasons(rule.weeks) if rule.kind in (Kind.BURST, Kind.SILENCE) else None
    return Group(route, among, delays, seasons)


def dump(group: Group) -> list[Any]:
    """Return a group as plain data."""
    parts = [
        [
            list(part.result),
            part.matching.dump(),
            [list(sample) for sample in part.samples],
            part.run,
            part.over_since,
            part.cleared_at,
            None if part.firing is None else list(astuple(part.firing)),
        ]
        for part in group.parts.values()
    ]
    counts = [None if each is None else each.dump() for each in (group.among, group.delays, group.seasons)]
    return [list(group.route), parts, sorted(group.seen), *counts]


def load(rule: Rule, data: list[Any]) -> Group:
    """Rebuild a group from what `dump` gave. Raises KeyError, TypeError or ValueError when it is none."""
    route, parts, seen, *counts = data
    group = new_group(rule, tuple(route))
    group.seen.update(seen)
    for own, saved in zip((group.among, group.delays, group.seasons), counts, strict=True):
        if own is not None and saved is not None:
            own.load(saved)
    for result, matching, samples, run, over_since, cleared_at, firing in parts:
        part = group.parts[tuple(result)] = Part(tuple(result), Window(rule.window_s))
        part.matching.load(matching)
        part.samples.extend((float(at), str(record)) for at, record in samples)
        part.run, part.over_since, part.cleared_at = int(run), over_since, cleared_at
        part.firing = None if firing is None else Firing(*firing)
    return group

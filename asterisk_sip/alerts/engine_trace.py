"""The number of one group over time, as its rule judges it: for a chart. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .engine_watch import Watch
from .model import Kind, Rule
from .rules_fields import Json, ended_s

TRACED = frozenset(Kind) - {Kind.GAP, Kind.SINK, Kind.HOOK, Kind.BURST, Kind.SILENCE, Kind.NEW_CODE}
"""Kinds whose number follows from the records of the window alone."""

_FROM_NOTHING = (Kind.COUNT, Kind.RATE, Kind.CONSECUTIVE)
"""Kinds that count: where there is nothing, that is their number."""


def trace(
    rule: Rule, group: dict[str, str], calls: Iterable[Json], seconds: Iterable[int]
) -> Iterator[tuple[int, float | None]]:
    """Give the number at each of some seconds, in their order; None where there is nothing to judge.

    ``calls`` are those that ended before the last second and no more than a window before the first, in the order they
    ended.
    """
    watch = Watch(rule)
    route = tuple(group.get(name, "") for name in watch.grouping.route_names)
    result = tuple(group.get(name, "") for name in watch.grouping.result_names)
    coming = iter(calls)
    call = next(coming, None)
    for second in seconds:
        while call is not None and (at := ended_s(call)) < second:
            for attempt in (None,) if rule.counted == "calls" else call["attempts"]:
                watch.take(at, call, attempt)
            call = next(coming, None)
        found = watch.groups.get(route)
        part = None if found is None else found.parts.get(result)
        if found is None or part is None:
            yield second, 0.0 if rule.kind in _FROM_NOTHING else None
            continue
        for counts in (found.among, found.delays, part.matching):
            if counts is not None:
                counts.forget(second)
        yield second, watch.judge(found, part, second).value

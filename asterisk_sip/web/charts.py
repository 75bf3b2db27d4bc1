"""Charts as plain numbers, for the SVG of a template and for the script that replaces it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

CLASSES = (1, 2, 3, 4, 5, 6, 0)
"""The classes of SIP status in the order they are stacked; 0 is unknown."""

WIDTH, HEIGHT = 100, 150
"""Across in per cent, so that a chart is as wide as there is room; down in pixels."""

ACROSS = 1000
"""How wide the box of a line is, whatever room there is for it."""

_TICKS = 6
_MINUTE = timedelta(minutes=1)
_STEPS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 120, 360, 1440, 10_080))
_MOST_BARS = 100


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar: the calls of one class in one step, and where it is drawn."""

    class_: int
    count: int
    since: datetime
    until: datetime
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of stacked bars. ``totals`` has each class that occurs, ``most`` is the highest bar.

    ``uncounted``: how much of it, in per cent from its beginning, was not counted.
    """

    since: datetime
    step: timedelta
    pieces: Sequence[Piece]
    totals: Mapping[int, int]
    most: int
    ticks: Sequence[tuple[float, datetime]]
    data: Mapping[str, Any]
    uncounted: float = 0.0

    @property
    def short(self) -> bool:
        """Whether the hour alone tells its bars apart."""
        return self.step < timedelta(hours=1)

    @property
    def total(self) -> int:
        """How many calls there are in all."""
        return sum(self.totals.values())


def step_for(length: timedelta) -> timedelta:
    """Return how long a step is, so that a time has neither too many nor too few."""
    weeks = -(length // (-_MOST_BARS * _STEPS[-1]))
    return next((step for step in _STEPS if length / step <= _MOST_BARS), weeks * _STEPS[-1])


def floored(at: datetime, step: timedelta) -> datetime:
    """Return the beginning of the step that a time is in; steps begin with the day in UTC."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + (at - day) // step * step


def bars(
    counts: Iterable[tuple[datetime, int, int]],
    since: datetime,
    until: datetime,
    step: timedelta,
    counted_from: datetime | None = None,
) -> Bars:
    """Return the bars of (time, SIP code, count) in a window; steps begin as `floored` has them, the outer are cut.

    ``counted_from`` is since when was counted, None for all of it.
    """
    stacked: defaultdict[int, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    totals: defaultdict[int, int] = defaultdict(int)
    begin = floored(since, step)
    number = max(1, -((begin - until) // step))
    for at, code, count in counts:
        stacked[min(number - 1, (at - begin) // step)][code // 100] += count
        totals[code // 100] += count
    most = max((sum(stack.values()) for stack in stacked.values()), default=0)
    seen = [class_ for class_ in CLASSES if totals[class_]]
    return Bars(
        since=since,
        step=step,
        pieces=_pieces(stacked, most, since, until, step),
        totals={class_: totals[class_] for class_ in seen},
        most=most,
        ticks=_ticks(since, until),
        data={
            "since": begin.timestamp(),
            "first": since.timestamp(),
            "until": until.timestamp(),
            "step": step.total_seconds(),
            "counted": None if counted_from is None else counted_from.timestamp(),
            "series": [[class_, [stacked[at][class_] for at in range(number)]] for class_ in seen],
        },
        uncounted=round(WIDTH * ((counted_from - since) / (until - since)), 2) if counted_from else 0.0,
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A number over time: a path in a box of 1000 by HEIGHT, and where threshold and ``clear`` lie in it.

    ``most`` is the value at its top.
    """

    path: str
    threshold: float
    clear: float
    most: float
    since: datetime
    until: datetime
    ticks: Sequence[tuple[float, datetime]]


def line(values: Sequence[tuple[datetime, float | None]], threshold: float, clear: float) -> Line:
    """Return the line of (time, value) in even steps, broken where there is no value; there is at least one time."""
    most = max([threshold * 1.25, clear, *(value for _, value in values if value is not None)]) or 1.0
    since, until = values[0][0], values[-1][0]
    path = sparkline([value for _, value in values], 0, most, ACROSS, HEIGHT)
    down = [round(HEIGHT - 1 - level / most * (HEIGHT - 2), 1) for level in (threshold, clear)]
    return Line(path, down[0], down[1], most, since, until, _ticks(since, until))


def sparkline(values: Sequence[float | None], low: float, high: float, width: float = 96, height: float = 20) -> str:
    """Return the path of a line through values between two bounds; it is broken where there is none."""
    across = width / max(1, len(values) - 1)
    path: list[str] = []
    pen = "M"
    for number, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        share = (min(high, max(low, value)) - low) / (high - low) if high > low else 0.5
        path.append(f"{pen}{number * across:.1f} {height - 1 - share * (height - 2):.1f}")
        if pen == "M":
            path.append("h.01")  # a dot, when nothing follows
        pen = "L"
    return "".join(path)


def heat(count: int, most: int) -> int:
    """Return how hot a cell is, 0 to 5; by its square root, so that small counts can be told apart."""
    return 0 if not count or not most else max(1, round(5 * (count / most) ** 0.5))


def _pieces(
    stacked: Mapping[int, Mapping[int, int]], most: int, since: datetime, until: datetime, step: timedelta
) -> list[Piece]:
    length = (until - since) or step
    first = floored(since, step)
    pieces = []
    for at, stack in sorted(stacked.items()):
        begin, end = max(since, first + at * step), min(until, first + (at + 1) * step)
        x, wide = round(WIDTH * ((begin - since) / length), 3), round(0.85 * WIDTH * ((end - begin) / length), 3)
        top = float(HEIGHT)
        for class_ in CLASSES:
            if count := stack.get(class_, 0):
                height = round(HEIGHT * count / most, 2)
                top -= height
                pieces.append(Piece(class_, count, begin, end, x, round(top, 2), wide, height))
    return pieces


def _ticks(since: datetime, until: datetime) -> list[tuple[float, datetime]]:
    length = until - since
    if not length:
        return []
    apart = next((step for step in _STEPS if length / step <= _TICKS), length / _TICKS)
    at = floored(since, apart) + apart
    found = []
    while at < until:
        found.append((round(WIDTH * ((at - since) / length), 1), at))
        at += apart
    return found

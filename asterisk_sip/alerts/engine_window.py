"""What happened within the last so many seconds, in buckets: adding and forgetting cost the same however many. Pure.

Times are seconds since 1970. A bucket is a sixtieth of the window, at least a second; only those that hold something
exist. A window reaches back so far that what it holds is no older than it says.
"""

from __future__ import annotations

from collections import Counter, deque
from statistics import median
from typing import Any

HOUR_S = 3_600
WEEK_HOURS = 168

_BUCKETS = 60


def bucket_s(window_s: int) -> int:
    """Return how long a bucket of a window is, in seconds."""
    return max(1, window_s // _BUCKETS)


class Window:
    """How many there were."""

    __slots__ = ("_cells", "_kept", "_width", "total")

    def __init__(self, window_s: int) -> None:
        self._width = bucket_s(window_s)
        self._kept = -(-window_s // self._width)
        self._cells: deque[list[int]] = deque()
        self.total = 0

    def add(self, at: float, count: int = 1) -> None:
        """Count something that happened at a time. What is too old to be in the window is passed over."""
        bucket = int(at // self._width)
        cells = self._cells
        if cells and cells[-1][0] == bucket:
            cells[-1][1] += count
        elif not cells or cells[-1][0] < bucket:
            cells.append([bucket, count])
        elif bucket > cells[-1][0] - self._kept:
            self._insert(bucket, count)
        else:
            return
        self.total += count

    def _insert(self, bucket: int, count: int) -> None:
        for place in range(len(self._cells) - 1, -1, -1):
            cell = self._cells[place]
            if cell[0] == bucket:
                cell[1] += count
                return
            if cell[0] < bucket:
                self._cells.insert(place + 1, [bucket, count])
                return
        self._cells.appendleft([bucket, count])

    def forget(self, end: int) -> None:
        """Forget what is older than the window that ends with a second."""
        first = (end - 1) // self._width - self._kept
        cells = self._cells
        while cells and cells[0][0] <= first:
            self.total -= cells.popleft()[1]

    def changes_at(self) -> int | None:
        """Return when the oldest of it will be forgotten, None when it holds nothing."""
        return (self._cells[0][0] + self._kept) * self._width + 1 if self._cells else None

    def clear(self) -> None:
        """Forget everything."""
        self._cells.clear()
        self.total = 0

    def dump(self) -> list[list[int]]:
        """Return it as plain data."""
        return [list(cell) for cell in self._cells]

    def load(self, cells: list[list[int]]) -> None:
        """Take what ``dump`` gave."""
        self._cells = deque([int(bucket), int(count)] for bucket, count in cells)
        self.total = sum(cell[1] for cell in self._cells)


class Delays:
    """How many delays fell into each bucket of ``calls.delays``."""

    __slots__ = ("_cells", "_kept", "_width", "counts", "total")

    def __init__(self, window_s: int) -> None:
        self._width = bucket_s(window_s)
        self._kept = -(-window_s // self._width)
        self._cells: deque[tuple[int, Counter[int]]] = deque()
        self.counts: Counter[int] = Counter()
        self.total = 0

    def add(self, at: float, delay: int) -> None:
        """Count a delay, given as its bucket. One that comes late counts with the oldest there is."""
        bucket = int(at // self._width)
        if not self._cells or self._cells[-1][0] < bucket:
            self._cells.append((bucket, Counter()))
        cell = next((cell for cell in reversed(self._cells) if cell[0] <= bucket), self._cells[0])
        cell[1][delay] += 1
        self.counts[delay] += 1
        self.total += 1

    def forget(self, end: int) -> None:
        """Forget what is older than the window that ends with a second."""
        first = (end - 1) // self._width - self._kept
        while self._cells and self._cells[0][0] <= first:
            gone = self._cells.popleft()[1]
            self.counts -= gone
            self.total -= gone.total()

    def changes_at(self) -> int | None:
        """Return when the oldest of it will be forgotten, None when it holds nothing."""
        return (self._cells[0][0] + self._kept) * self._width + 1 if self._cells else None

    def dump(self) -> list[list[Any]]:
        """Return it as plain data."""
        return [[bucket, sorted(counts.items())] for bucket, counts in self._cells]

    def load(self, cells: list[list[Any]]) -> None:
        """Take what ``dump`` gave."""
        self._cells = deque((int(bucket), Counter(dict(counts))) for bucket, counts in cells)
        self.counts = sum((counts for _, counts in self._cells), Counter())
        self.total = self.counts.total()


class Seasons:
    """How many there were in each hour of the past weeks, to know what is usual at this time of the week."""

    __slots__ = ("_hours", "_weeks")

    def __init__(self, weeks: int) -> None:
        self._weeks = weeks
        self._hours: dict[int, int] = {}

    def add(self, at: float, count: int = 1) -> None:
        """Count something that happened at a time."""
        hour = int(at // HOUR_S)
        if hour not in self._hours:
            oldest = hour - self._weeks * WEEK_HOURS - 1
            self._hours = {each: number for each, number in self._hours.items() if each >= oldest}
        self._hours[hour] = self._hours.get(hour, 0) + count

    def usual(self, at: float, known_from: float) -> float | None:
        """Return how many there are in an hour such as this: the median of past weeks. None with less than two."""
        hour = int(at // HOUR_S)
        past = [hour - WEEK_HOURS * week for week in range(1, self._weeks + 1)]
        known = [self._hours.get(each, 0) for each in past if each * HOUR_S >= known_from]
        return median(known) if len(known) > 1 else None

    def dump(self) -> list[list[int]]:
        """Return it as plain data."""
        return [list(each) for each in self._hours.items()]

    def load(self, hours: list[list[int]]) -> None:
        """Take what ``dump`` gave."""
        self._hours = {int(hour): int(count) for hour, count in hours}

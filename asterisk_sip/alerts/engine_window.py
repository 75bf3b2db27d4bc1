"""What happened within the last so many seconds, in buckets: adding and forgetting cost the same however many. Pure.

Times are seconds since 1970. A bucket is a sixtieth of the window, at least a second; only those that hold something
exist. A window reaches back so far that what it holds is no older than it says.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Any

HOUR_S = 3_600
WEEK_HOURS = 168

_BUCKETS = 60


def bucket_s(window_s: int) -> int:
    """Return how long a bucket of a window is, in seconds."""
    return max(1, window_s // _BUCKETS)


class Window:
    """How many there were. Buckets and counts stand in one row, in turn: there are many windows, and few objects."""

    __slots__ = ("_kept", "_row", "_width", "total")

    def __init__(self, window_s: int) -> None:
        self._width = bucket_s(window_s)
        self._kept = -(-window_s // self._width)
        self._row: deque[int] = deque()
        self.total = 0

    def add(self, at: float, count: int = 1) -> None:
        """Count something that happened at a time. What is too old to be in the window is passed over."""
        bucket = int(at // self._width)
        row = self._row
        if not row or row[-2] < bucket:
            row.append(bucket)
            row.append(count)
        elif row[-2] == bucket:
            row[-1] += count
        elif bucket > row[-2] - self._kept:
            self._insert(bucket, count)
        else:
            return
        self.total += count

    def _insert(self, bucket: int, count: int) -> None:
        for place in range(len(self._row) - 2, -1, -2):
            if self._row[place] == bucket:
                self._row[place + 1] += count
                return
            if self._row[place] < bucket:
                self._row.insert(place + 2, count)
                self._row.insert(place + 2, bucket)
                return
        self._row.extendleft((count, bucket))

    def holds(self, at: float, end: int) -> bool:
        """Return whether a time is in the window that ends with a second, or after it."""
        return at // self._width > (end - 1) // self._width - self._kept

    def forget(self, end: int) -> None:
        """Forget what is older than the window that ends with a second."""
        row = self._row
        if row and row[0] <= (first := (end - 1) // self._width - self._kept):
            while row and row[0] <= first:
                row.popleft()
                self.total -= row.popleft()

    def changes_at(self) -> int | None:
        """Return when the oldest of it will be forgotten, None when it holds nothing."""
        return (self._row[0] + self._kept) * self._width + 1 if self._row else None

    def dump(self) -> list[int]:
        """Return it as plain data."""
        return list(self._row)

    def load(self, row: list[int]) -> None:
        """Take what ``dump`` gave."""
        self._row = deque(map(int, row))
        self.total = sum(list(self._row)[1::2])


class Delays:
    """How many delays fell into each bucket of ``calls.delays``."""

    __slots__ = ("_cells", "_kept", "_times", "_width", "counts", "total")

    def __init__(self, window_s: int) -> None:
        self._width = bucket_s(window_s)
        self._kept = -(-window_s // self._width)
        self._times: deque[int] = deque()
        self._cells: deque[dict[int, int]] = deque()
        self.counts: dict[int, int] = {}
        self.total = 0

    def add(self, at: float, delay: int) -> None:
        """Count a delay, given as its bucket. One that comes late counts with the newest there are."""
        bucket = int(at // self._width)
        if not self._times or self._times[-1] < bucket:
            self._times.append(bucket)
            self._cells.append({})
        cell = self._cells[-1]
        cell[delay] = cell.get(delay, 0) + 1
        self.counts[delay] = self.counts.get(delay, 0) + 1
        self.total += 1

    def forget(self, end: int) -> None:
        """Forget what is older than the window that ends with a second."""
        first = (end - 1) // self._width - self._kept
        while self._times and self._times[0] <= first:
            self._times.popleft()
            for delay, count in self._cells.popleft().items():
                self.counts[delay] -= count
                self.total -= count
                if not self.counts[delay]:
                    del self.counts[delay]

    def changes_at(self) -> int | None:
        """Return when the oldest of it will be forgotten, None when it holds nothing."""
        return (self._times[0] + self._kept) * self._width + 1 if self._times else None

    def dump(self) -> list[list[Any]]:
        """Return it as plain data."""
        return [[bucket, sorted(cell.items())] for bucket, cell in zip(self._times, self._cells, strict=True)]

    def load(self, cells: list[list[Any]]) -> None:
        """Take what ``dump`` gave."""
        self._times = deque(int(bucket) for bucket, _ in cells)
        self._cells = deque(dict(counts) for _, counts in cells)
        self.counts = {}
        for cell in self._cells:
            for delay, count in cell.items():
                self.counts[delay] = self.counts.get(delay, 0) + count
        self.total = sum(self.counts.values())


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

"""How often a secret may be tried: a few times at once, then ever so often. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict


class Throttle:
    """Counts tries by key: so many at once, and one more every ``refill_s``. Remembers at most ``most`` keys.

    A key not seen for so long that all its tries are back is forgotten, and so is the one unseen for longest when there
    are too many: what is kept is what was tried last.
    """

    def __init__(self, at_once: int, refill_s: float, most: int = 10_000) -> None:
        self._at_once = at_once
        self._refill_s = refill_s
        self._most = most
        self._free_at: OrderedDict[str, float] = OrderedDict()  # when all tries of a key are back

    def __len__(self) -> int:
        return len(self._free_at)

    def wait_s(self, key: str, now: float) -> float:
        """Return how long a key must wait before its next try: 0 for not at all."""
        used_s = self._free_at.get(key, now) - now
        return max(0.0, used_s - (self._at_once - 1) * self._refill_s)

    def tried(self, key: str, now: float) -> None:
        """Count a try. Count it before it is looked at, so that many at a time do not slip through."""
        self._free_at[key] = max(self._free_at.get(key, now), now) + self._refill_s
        self._free_at.move_to_end(key)
        while self._free_at and (len(self._free_at) > self._most or next(iter(self._free_at.values())) <= now):
            self._free_at.popitem(last=False)

    def fitted(self, key: str) -> None:
        """Take a try back: it was the right one."""
        if key in self._free_at:
            self._free_at[key] -= self._refill_s

"""How much is remembered: the bounds, and a memory that forgets what is over them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is remembered at most."""

    open_calls: int = 50_000
    attempts_per_call: int = 500
    legs_per_call: int = 2_000
    ended_legs: int = 20_000  # uniqueids of ended channels, to know a late or repeated event when it comes
    peers: int = 10_000  # endpoints of which it is known when they last showed a sign of life
    age_s: float = 86_400.0  # a call silent for so long is given up


class Bounded(Generic[K, V]):
    """A mapping that holds the ``bound`` newest entries; what is older is forgotten."""

    __slots__ = ("_bound", "_entries")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __setitem__(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._bound:
            self._entries.popitem(last=False)

    def get(self, key: K) -> V | None:
        """Return what is remembered under ``key``, None when nothing is."""
        return self._entries.get(key)

    def pop(self, key: K) -> V | None:
        """Forget ``key``; return what was remembered under it, None when nothing was."""
        return self._entries.pop(key, None)

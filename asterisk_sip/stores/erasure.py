"""Where a telephone number stands in what is stored, in whatever spelling. No I/O here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_IDS = frozenset({"id", "linkedid", "uniqueid", "gap_ids", "started_at", "ended_at", "answered_at", "began_at", "at"})
_BETWEEN = r"[ ()./\\-]{0,3}"


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored call as it lies there."""

    position: int
    id: str
    at_us: int
    text: str


@dataclass(slots=True)
class Pending:
    """What else the SQLite file holds of a number: calls in flight, and what waits for the sinks."""

    open_calls: int = 0
    deliveries: int = 0


class Wanted:
    """A number, given as the digits of every spelling. Longer numbers that only contain it are not meant."""

    def __init__(self, spellings: Iterable[str]) -> None:
        longest_first = sorted(set(spellings), key=lambda digits: (-len(digits), digits))
        either = "|".join(_BETWEEN.join(digits) for digits in longest_first)
        self._pattern = re.compile(rf"(?<![0-9])(?:{either})(?![0-9]|\.[0-9])")

    def may_be_in(self, text: str) -> bool:
        """Return whether a closer look is worth it."""
        return self._pattern.search(text) is not None

    def places(self, text: str) -> list[str]:
        """Return where in a JSON text the number stands: ``caller.number``, ``attempts[0].dialled``."""
        if not self.may_be_in(text):
            return []
        try:
            return list(self._places(json.loads(text), ""))
        except ValueError:
            return ["text"]

    def _places(self, value: Any, path: str) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key not in _IDS:
                    yield from self._places(inner, f"{path}.{key}" if path else key)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                yield from self._places(inner, f"{path}[{number}]")
        elif isinstance(value, str) and self.may_be_in(value):
            yield path


def without(line: bytes) -> bytes:
    """Return what stands in the place of an erased line of JSON: as long, so that who appends meanwhile is not torn."""
    size = len(line.rstrip(b"\n"))
    return b'{"erased": true}'.ljust(size)[:size] + line[size:]

"""What differs between two records of the same call. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from asterisk_sip.calls.model import CallRecord, to_json

NOT_OF_THE_VERDICT = frozenset({"gap_ids", "count", "backfilled"})
"""What depends on who listened when, not on how the call is judged."""


class Change(NamedTuple):
    """One field that differs. ``field`` is its path in the JSON: ``attempts[0].sip.code``."""

    field: str
    was: Any
    now: Any


def changes(was: CallRecord, now: CallRecord) -> list[Change]:
    """Return the fields in which two records differ, in the order of the record."""
    return list(_between("", to_json(was), to_json(now)))


def _between(path: str, was: Any, now: Any) -> Iterator[Change]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in was | now:
            if path or key not in NOT_OF_THE_VERDICT:
                yield from _between(f"{path}.{key}".lstrip("."), was.get(key), now.get(key))
    elif isinstance(was, list) and isinstance(now, list):
        for number in range(max(len(was), len(now))):
            inner = [each[number] if number < len(each) else None for each in (was, now)]
            yield from _between(f"{path}[{number}]", *inner)
    elif was != now:
        yield Change(path, was, now)

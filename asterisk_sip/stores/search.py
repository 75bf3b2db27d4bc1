"""Looks for calls as far as a reader can wait for: a filter that fits few looks at many, and says how far it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asterisk_sip.calls.model import CallRecord

from .base import CallQuery, Store, cursor

_SOON = 20_000
"""So many calls are looked at first: nearly every filter finds a page full among them."""

_AT_MOST = 220_000
"""So many calls are looked at in one answer, which takes a fifth of a second on a slow machine."""

_AT_MOST_WITH_ATTEMPTS = 130_000
"""So many when the attempts of each must be looked at too."""


_NOT_FILTERS = {"since", "until", "limit", "before", "down_to"}


@dataclass(frozen=True, slots=True)
class Found:
    """The calls found, newest first. ``following`` is where to go on, None when everything was looked at.

    ``cut``: it is the cursor of a call that was not looked at for want of time, and older ones may fit as well.
    """

    calls: Sequence[CallRecord]
    following: str | None
    cut: bool = False


def reach(query: CallQuery) -> int:
    """Return how many calls are looked at in one answer."""
    return _AT_MOST_WITH_ATTEMPTS if query.attempt_code is not None and query.trunk is None else _AT_MOST


async def search(store: Store, query: CallQuery, at_most: int | None = None) -> Found:
    """Return the newest calls that fit among so many. Raises StoreError, and ValueError for what is no cursor."""
    at_most = reach(query) if at_most is None else at_most
    found: list[CallRecord] = []
    before = query.before
    if not _narrow(query):  # the newest are those that fit
        found = await store.calls(query)
        return Found(found, cursor(found[-1]) if len(found) == query.limit else None)
    soon = min(_SOON, at_most)
    for calls in (soon, at_most - soon):
        if not calls:
            break
        down_to = await store.depth(replace(query, before=before), calls)
        part = replace(query, before=before, down_to=down_to, limit=query.limit - len(found))
        found += await store.calls(part)
        if len(found) == query.limit:
            return Found(found, cursor(found[-1]))
        if down_to is None:
            return Found(found, None)
        before = down_to
    return Found(found, before, cut=True)


def _narrow(query: CallQuery) -> bool:
    return any(getattr(query, name) is not None for name in CallQuery.__dataclass_fields__.keys() - _NOT_FILTERS)

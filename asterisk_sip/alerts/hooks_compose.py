"""Writes notices out of the store: sample calls, and what failed in the window and in the one before it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from asterisk_sip.alerts.letter import Scribe
from asterisk_sip.alerts.model import Change, Rule, State
from asterisk_sip.alerts.notice import Facts, Links, notice, ranked
from asterisk_sip.alerts.notice_moved import Spot, spots
from asterisk_sip.alerts.notice_page import SHOWN
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.stores.base import CallQuery

_EDGE = timedelta(seconds=1)
"""A call may end a little after its last attempt."""
_MOST_RECORDS = 1_000
"""The newest so many failed calls of a window say what moved."""
_REMEMBERED = 64


class Records(Protocol):
    """The part of a store that is read."""

    async def calls(self, query: CallQuery) -> list[CallRecord]:
        """Return the newest calls first."""

    async def call_texts(self, query: CallQuery) -> list[str]:
        """Return the JSON of calls, the newest first."""

    async def call(self, record_id: str) -> CallRecord | None:
        """Return one call by its id."""


class StoreComposer:
    """Writes notices in one language. What it read about a change it remembers, for targets that come later."""

    def __init__(
        self, store: Records, rules: Mapping[str, Rule], links: Links, lang: str = "en", scribe: Scribe | None = None
    ) -> None:
        self._store = store
        self._rules = rules
        self._links = links
        self._lang = lang
        self._scribe = scribe or Scribe()
        self._facts: OrderedDict[str, Facts] = OrderedDict()

    async def compose(self, changes: Sequence[Change], missed: int) -> tuple[str, str]:
        """Return the id of the notice and its JSON. Raises StoreError."""
        facts = {change.id: await self._facts_of(change) for change in ranked(changes)[:SHOWN]}
        made = notice(changes, facts, self._rules, self._links, lang=self._lang, missed=missed)
        return made.id, self._scribe.write(made)

    async def _facts_of(self, change: Change) -> Facts:
        known = self._facts.get(change.id)
        if known is None:
            known = self._facts[change.id] = await self._read(change)
            while len(self._facts) > _REMEMBERED:
                self._facts.popitem(last=False)
        return known

    async def _read(self, change: Change) -> Facts:
        found = [await self._store.call(id_) for id_ in change.samples]
        samples = tuple(record for record in found if record is not None)
        if change.state is not State.FIRED:
            return Facts(samples=samples)
        since, until = change.window_since, change.window_until
        before = since - (until - since)
        return Facts(await self._spots(change, since, until), await self._spots(change, before, since), samples)

    async def _spots(self, change: Change, since: datetime, until: datetime) -> Counter[Spot]:
        """Count what failed, in the trunk and the PBX of the change if it has one. A thread reads the JSON."""
        query = CallQuery(
            since=since - _EDGE,
            until=until + _EDGE,
            trunk=change.group.get("trunk") or None,
            pbx=change.group.get("pbx") or None,
            limit=_MOST_RECORDS,
        )
        texts = await self._store.call_texts(query)
        return await asyncio.to_thread(lambda: spots(map(json.loads, texts), since, until))

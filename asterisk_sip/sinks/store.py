"""A second store as a sink: PostgreSQL or ClickHouse behind the local file. It drops what it has already."""

from __future__ import annotations

import json
from collections.abc import Sequence

from asterisk_sip.calls.model import CallRecord, from_json
from asterisk_sip.errors import PermanentSinkError, StoreError, TransientSinkError
from asterisk_sip.sinks.base import KINDS, Delivery, Kind
from asterisk_sip.stores.base import Batch, Store, gap_from_json


class StoreSink:
    """Writes calls and gaps into a store. Answered calls go there too: they are the denominators of every ratio."""

    wants: frozenset[Kind] = frozenset(KINDS)
    at_most = 1_000

    def __init__(self, store: Store) -> None:
        self._store = store

    async def open(self) -> None:
        """Open the store, bringing its tables up to date. Raises TransientSinkError."""
        try:
            await self._store.open()
        except StoreError as error:
            raise TransientSinkError(str(error)) from error

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Write a batch in one transaction. Raises TransientSinkError, PermanentSinkError for what is no record."""
        try:
            batch = Batch(
                [from_json(CallRecord, json.loads(each.text)) for each in deliveries if each.kind != "gap"],
                gaps=[gap_from_json(json.loads(each.text)) for each in deliveries if each.kind == "gap"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise PermanentSinkError(f"not a record of this version: {error!r}") from error
        try:
            await self._store.write(batch)
        except StoreError as error:
            raise TransientSinkError(str(error)) from error

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

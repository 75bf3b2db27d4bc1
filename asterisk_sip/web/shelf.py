"""The store as the pages and the API read it: opened when first asked for, and again after it could not be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from asterisk_sip.errors import StoreError
from asterisk_sip.stores.base import Store

from .problems import ProblemError

PATIENCE_S = 10.0
"""How long an answer may take the store. Who looks at pages must not keep it from the others."""


@dataclass(slots=True)
class Shelf:
    """Hands out one store that only reads. ``make`` returns it, not yet opened. ``pbxs`` are the known names."""

    make: Callable[[], Store]
    pbxs: tuple[str, ...] = ()
    _store: Store | None = None
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def store(self) -> Store:
        """Return the store, open. Raises ProblemError (503) when it cannot be opened."""
        async with self._one_at_a_time:
            if self._store is None:
                store = self.make()
                try:
                    await store.open()
                except StoreError as error:
                    await store.close()
                    raise ProblemError(
                        HTTPStatus.SERVICE_UNAVAILABLE, f"the records cannot be read: {error}", {"Retry-After": "5"}
                    ) from error
                self._store = store
            return self._store

    async def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            await self._store.close()
            self._store = None

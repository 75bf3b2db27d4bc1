"""Answers kept for a moment: many who look at the same page ask the store once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True)
class Memo:
    """Keeps one answer a key. Keys are few: who asks for anything at all is answered anew."""

    _kept: dict[Hashable, tuple[float, Any]] = field(default_factory=dict)
    _locks: dict[Hashable, asyncio.Lock] = field(default_factory=dict)

    async def get(self, key: Hashable, for_s: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return what was made at most ``for_s`` seconds ago, else make it; others who ask meanwhile wait for it."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            clock = asyncio.get_running_loop().time
            if key not in self._kept or clock() - self._kept[key][0] >= for_s:
                self._kept[key] = (clock(), await make())
            return self._kept[key][1]


MEMO = web.AppKey("memo", Memo)

"""What the page Live shows at first: the newest calls. Its script adds each call that comes after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import web

from . import parameters
from .api import PREFIX, SHELF
from .show import link

MOST_ROWS = 200
TAKES = tuple(name for name in parameters.FILTERS if name not in ("since", "until"))

_AT_FIRST = 50


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows. Raises StoreError."""
    store = await request.app[SHELF].store()
    position = await store.last_position()  # what is written between this and the next line is shown once: by its id
    calls = await store.calls(replace(parameters.call_query(values), limit=_AT_FIRST))
    filters = {name: request.query[name] for name in TAKES if name in request.query}
    return {
        "calls": calls,
        "filters": filters,
        "position": position,
        "stream": link(f"{PREFIX}/stream", filters),
        "most": MOST_ROWS,
    }

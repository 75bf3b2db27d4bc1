"""What the page Failures shows: calls, by any filter, page by page."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from asterisk_sip.stores.base import cursor

from . import parameters
from .api import SHELF


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows."""
    store = await request.app[SHELF].store()
    query = parameters.call_query(values)
    found = await store.calls(query)
    following = cursor(found[-1]) if len(found) == query.limit else None
    return {"calls": found, "following": following, "filters": dict(request.query)}

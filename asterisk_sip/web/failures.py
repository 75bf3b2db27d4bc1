"""What the page Failures shows: calls, by any filter, page by page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web

from asterisk_sip.stores.base import cursor

from . import parameters
from .api import SHELF
from .problems import ProblemError


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows."""
    store = await request.app[SHELF].store()
    query = parameters.call_query(values)
    try:
        found = await store.calls(query)
    except (ValueError, OverflowError):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "before is not the next of a page before") from None
    following = cursor(found[-1]) if len(found) == query.limit else None
    return {"calls": found, "following": following, "filters": dict(request.query)}

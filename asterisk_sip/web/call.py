"""What the page of one call shows."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web

from .api import SHELF
from .problems import ProblemError


async def fill(request: web.Request, _values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows. Raises ProblemError."""
    store = await request.app[SHELF].store()
    record = await store.call(request.match_info["id"])
    if record is None:
        reason = "no call has this id; answered calls are only counted unless [records] keep is all"
        raise ProblemError(HTTPStatus.NOT_FOUND, reason)
    return {"call": record}

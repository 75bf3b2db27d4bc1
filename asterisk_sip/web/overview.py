"""What the page Overview shows: the calls of the last hours in numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from asterisk_sip.stores.base import TotalsQuery

from .api import SHELF


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows."""
    store = await request.app[SHELF].store()
    until = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    since = until - values.get("window", timedelta(days=1))
    totals = await store.totals(TotalsQuery(since, until, "calls", ("outcome", "sip_code")))
    failed = [total for total in totals if total.outcome == "failed"]
    failed.sort(key=lambda total: -total.total)
    return {"since": since, "until": until, "failed": failed}

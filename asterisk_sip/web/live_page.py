"""What the page Live shows at first: the newest calls. Its script adds each call that comes after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import web

from asterisk_sip.catalog import all_dispositions
from asterisk_sip.stores.base import time_of
from asterisk_sip.stores.search import reach, search

from . import parameters
from .api import PREFIX, SHELF
from .parameters import SIDES
from .show import link
from .words import language, words

MOST_ROWS = 200
OUTCOMES = ("failed", "rescued", "abandoned", "answered")
TAKES = tuple(name for name in parameters.FILTERS if name not in ("since", "until"))

_AT_FIRST = 50


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows. Raises StoreError."""
    store, told = await request.app[SHELF].store(), words(language(request))
    position = await store.last_position()  # what is written between this and the next line is shown once: by its id
    query = replace(parameters.call_query(values), limit=_AT_FIRST)
    found = await search(store, query)
    filters = {name: request.query[name] for name in TAKES if request.query.get(name)}
    return {
        "calls": found.calls,
        "searched_to": time_of(found.following) if found.cut and found.following else None,
        "at_most": reach(query),
        "chosen": filters,
        "outcomes": OUTCOMES,
        "dispositions": [each.name for each in all_dispositions()],
        "labels": {
            "outcome": {name: told(f"outcome.{name}") for name in OUTCOMES},
            "fault": {name: told.label("fault", name) for name in SIDES},
            "grade": {name: told(f"grade.{name}") for name in ("local", "sent")},
        },
        "position": position,
        "stream": link(f"{PREFIX}/stream", filters),
        "most": MOST_ROWS,
    }

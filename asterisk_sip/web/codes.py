"""What the pages Codes and Code show: the catalogue in the reader's language, with how often each was seen here."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import groupby
from typing import Any

from aiohttp import web

from asterisk_sip.calls.model import Outcome
from asterisk_sip.catalog import explain as catalog
from asterisk_sip.stores.base import Store, TotalsQuery

from .api import SHELF
from .problems import ProblemError
from .words import language

LENGTHS = {"24h": timedelta(days=1), "7d": timedelta(days=7)}

Seen = dict[str, Counter[int]]


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return the codes and causes that fit a search, or all; or those that calls here ended with. Raises StoreError."""
    lang, words = language(request), values.get("q", "").strip()
    store = await request.app[SHELF].store()
    seen = {name: await _seen(store, length) for name, length in LENGTHS.items()}
    if values.get("seen"):
        numbers = sorted(code for code in seen["7d"] if code)
        entries = [catalog.explain(str(code), lang) for code in numbers]
    elif words:
        named = _named(words, lang)
        entries = named + [entry for entry in catalog.search(words, lang) if entry not in named]
    else:
        entries = catalog.explain_all(lang) + catalog.explain_causes(lang)
    codes = [entry for entry in entries if entry["kind"] == "sip"]
    return {
        "classes": [list(group) for _, group in groupby(codes, key=lambda entry: entry["class"])],
        "causes": [entry for entry in entries if entry["kind"] == "q850"],
        "seen": seen,
        "words": words,
    }


async def fill_one(request: web.Request, _values: dict[str, Any]) -> dict[str, Any]:
    """Return one code or cause. Raises ProblemError, StoreError."""
    asked = request.match_info["code"]
    try:
        entry = catalog.explain(asked, language(request))
    except ValueError:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"names no code and no cause; there are: {catalog.ACCEPTED}") from None
    counts = {}
    if entry["kind"] == "sip":
        store = await request.app[SHELF].store()
        counts = {name: (await _seen(store, length))[entry["code"]] for name, length in LENGTHS.items()}
    return {"entry": entry, "counts": counts}


def _named(words: str, lang: str) -> list[catalog.Entry]:
    try:
        return [catalog.explain(words, lang)]
    except ValueError:
        return []


async def _seen(store: Store, length: timedelta) -> Counter[int]:
    """Count by status the calls of a time up to now, those that ended with an answer left out."""
    until = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    found: Counter[int] = Counter()
    for total in await store.totals(TotalsQuery(until - length, until, "calls", ("sip_code", "outcome"))):
        if total.outcome not in (Outcome.ANSWERED, Outcome.RESCUED) and total.sip_code is not None:
            found[total.sip_code] += total.total
    return found

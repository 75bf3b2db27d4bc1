"""What the pages Codes and Code show: the catalogue in the reader's language, with how often each was seen here."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from itertools import groupby
from typing import Any

from aiohttp import web

from asterisk_sip.calls.model import Outcome
from asterisk_sip.catalog import explain as catalog
from asterisk_sip.stores.base import Store, TotalsQuery

from .api import SHELF
from .memo import MEMO
from .problems import ProblemError
from .words import language

LENGTHS = {"24h": timedelta(days=1), "7d": timedelta(days=7)}
KEPT_S = {"24h": 5.0, "7d": 60.0}

Seen = dict[str, Counter[int]]


async def fill(request: web.Request, values: dict[str, Any]) -> dict[str, Any]:
    """Return the codes and causes that fit a search, or all; or those that calls here ended with. Raises StoreError."""
    lang, words = language(request), values.get("q", "").strip()
    seen = await _seen(request)
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
        counts = {name: seen[entry["code"]] for name, seen in (await _seen(request)).items()}
    return {"entry": entry, "counts": counts}


def _named(words: str, lang: str) -> list[catalog.Entry]:
    try:
        return [catalog.explain(words, lang)]
    except ValueError:
        return []


async def _seen(request: web.Request) -> Seen:
    """Return how often each status was seen, as of some seconds ago; the longer the time, the older it may be."""
    shelf, memo = request.app[SHELF], request.app[MEMO]

    async def counted(length: timedelta) -> Counter[int]:
        return await _counted(await shelf.store(), length)

    return {
        name: await memo.get(("codes", name), KEPT_S[name], partial(counted, length))
        for name, length in LENGTHS.items()
    }


async def _counted(store: Store, length: timedelta) -> Counter[int]:
    """Count by status the calls of a time up to now, those that ended with an answer left out."""
    until = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    found: Counter[int] = Counter()
    for total in await store.totals(TotalsQuery(until - length, until, "calls", ("sip_code", "outcome"))):
        if total.outcome not in (Outcome.ANSWERED, Outcome.RESCUED) and total.sip_code is not None:
            found[total.sip_code] += total.total
    return found

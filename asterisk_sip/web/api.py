"""The API: what each path answers. The same table makes the routes, the checks of parameters, and OpenAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from asterisk_sip import __version__
from asterisk_sip.calls.model import isoformat, to_json
from asterisk_sip.catalog import explain as catalog
from asterisk_sip.stores.alert_book import entry_json
from asterisk_sip.stores.base import Gap, gap_json
from asterisk_sip.stores.completeness import unheard
from asterisk_sip.stores.numbers import NumbersQuery, group_json, numbers
from asterisk_sip.stores.search import search

from . import live, parameters
from .heard import heard
from .ledger import LEDGER
from .parameters import FILTERS
from .problems import ProblemError
from .shelf import Shelf

PREFIX = "/api/v1"
SHELF = web.AppKey("shelf", Shelf)

_MOST_ALERTS = 500

Values = dict[str, Any]
Answer = Callable[[web.Request, Values], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path below the prefix: what it answers (a schema of OpenAPI, by name), to which parameters."""

    path: str
    about: str
    takes: tuple[str, ...]
    gives: str
    answer: Answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request. Raises ProblemError, StoreError."""
        found = await self.answer(request, parameters.read(request.query, self.takes))
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)


async def _calls(request: web.Request, values: Values) -> dict[str, Any]:
    store = await request.app[SHELF].store()
    found = await search(store, parameters.call_query(values))
    return {"calls": [to_json(record) for record in found.calls], "next": found.following}


async def _call(request: web.Request, _values: Values) -> dict[str, Any]:
    store = await request.app[SHELF].store()
    found = await store.call(request.match_info["id"])
    if found is None:
        reason = "no call has this id; answered calls are only counted unless [records] keep is all"
        raise ProblemError(HTTPStatus.NOT_FOUND, reason)
    told: dict[str, Any] = to_json(found)
    return told


async def _attempts(request: web.Request, values: Values) -> dict[str, Any]:
    page = await _calls(request, values)
    attempts = [{"call_id": call["id"], **attempt} for call in page["calls"] for attempt in call["attempts"]]
    return {"attempts": attempts, "next": page["next"]}


async def _kpi(request: web.Request, values: Values) -> dict[str, Any]:
    since, until = parameters.window(values)
    step = values.get("step")
    if step is not None:
        since -= (since - datetime.min.replace(tzinfo=UTC)) % step
    rest = (values.get("pbx"), values.get("trunk"), values.get("min", 30))
    query = NumbersQuery(since, until, values.get("by", ()), step, *rest)
    try:
        found = await numbers(await request.app[SHELF].store(), query)
    except ValueError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    groups = await asyncio.to_thread(lambda: [group_json(group, query) for group in found.groups])
    return {**_span(since, until), "groups": groups, **_heard(request, found.gaps, since, until, values.get("pbx"))}


async def _codes(_request: web.Request, values: Values) -> dict[str, Any]:
    return {"codes": catalog.explain_all(values.get("lang", "en"))}


async def _code(request: web.Request, values: Values) -> dict[str, Any]:
    try:
        return catalog.explain(request.match_info["code"], values.get("lang", "en"))
    except ValueError:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"names no code and no cause; there are: {catalog.ACCEPTED}") from None


async def _gaps(request: web.Request, values: Values) -> dict[str, Any]:
    since, until = parameters.window(values)
    store = await request.app[SHELF].store()
    found = await store.gaps(since, until, values.get("pbx"))
    gaps = [gap_json(gap) for gap in found]
    return {**_span(since, until), "gaps": gaps, **_heard(request, found, since, until, values.get("pbx"))}


async def _alerts(request: web.Request, values: Values) -> dict[str, Any]:
    since, until = parameters.window(values)
    book = await request.app[LEDGER].book()
    firing = await book.firing() if book else []
    history = await book.history(since, limit=_MOST_ALERTS) if book else []
    return {
        **_span(since, until),
        "firing": [entry_json(entry) for entry in firing],
        "history": [told for told in map(entry_json, history) if told["fired"]["at"] < isoformat(until)],
    }


async def _health(request: web.Request, _values: Values) -> dict[str, Any]:
    shelf = request.app[SHELF]
    store = await shelf.store()
    pbxs = await heard(store, shelf.pbxs, datetime.now(UTC))
    return {
        "status": "degraded" if any(pbx.deaf for pbx in pbxs) else "ok",
        "version": __version__,
        "last_position": await store.last_position(),
        "pbx": [
            {
                "name": pbx.name,
                "listened_until": None if pbx.listened_until is None else isoformat(pbx.listened_until),
                "completeness_24h": pbx.completeness,
                "open_gaps": [gap_json(gap) for gap in pbx.open_gaps],
            }
            for pbx in pbxs
        ],
    }


async def _stream(request: web.Request, values: Values) -> web.StreamResponse:
    store = await request.app[SHELF].store()
    return await live.follow(request, store, parameters.call_query(values), values.get("after"))


def _span(since: datetime, until: datetime) -> dict[str, str]:
    return {"since": isoformat(since), "until": isoformat(until)}


def _heard(
    request: web.Request, gaps: list[Gap], since: datetime, until: datetime, only: str | None
) -> dict[str, dict[str, float]]:
    """Return how complete the records of a window are: of each PBX that is known here, or had a gap."""
    missed = {pbx: lasted.total_seconds() for pbx, lasted in unheard(gaps, since, until).items()}
    known = {pbx for pbx in request.app[SHELF].pbxs if only in (None, pbx)} | set(missed)
    window_s = (until - since).total_seconds()
    shares = {pbx: max(0.0, 1 - missed.get(pbx, 0) / window_s) for pbx in sorted(known)} if window_s > 0 else {}
    return {"unheard_s": missed, "completeness": shares}


ENDPOINTS = (
    Endpoint("/calls", "Calls, the newest first.", (*FILTERS, "limit", "before"), "Calls", _calls),
    Endpoint("/calls/{id}", "One call, whole.", (), "CallRecord", _call),
    Endpoint("/attempts", "The attempts of a page of calls.", (*FILTERS, "limit", "before"), "Attempts", _attempts),
    Endpoint(
        "/kpi",
        "The numbers of a time: ratios with formula and interval, delays, durations, failures.",
        ("since", "until", "by", "step", "pbx", "trunk", "min"),
        "Numbers",
        _kpi,
    ),
    Endpoint("/codes", "Every SIP code: meaning, usual causes, what to do.", ("lang",), "Codes", _codes),
    Endpoint("/codes/{code}", "One SIP code or Q.850 cause (q850:34).", ("lang",), "Code", _code),
    Endpoint("/gaps", "When a PBX was not heard.", ("since", "until", "pbx"), "Gaps", _gaps),
    Endpoint("/alerts", "What fires now, and what fired in a time.", ("since", "until"), "Alerts", _alerts),
    Endpoint("/health", "Whether each PBX is heard now.", (), "Health", _health),
    Endpoint(
        "/stream",
        "Calls as they are recorded, as Server-Sent Events.",
        (*FILTERS, "after"),
        "Stream",
        _stream,
    ),
)

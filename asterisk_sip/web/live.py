"""New calls as they are recorded: Server-Sent Events. The id of each is its position, for a reader that comes back."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

import structlog
from aiohttp import web

from asterisk_sip.calls.model import to_json
from asterisk_sip.errors import StoreError
from asterisk_sip.stores.base import CallQuery, Store

from .access import GATE
from .parameters import PARAMETERS
from .problems import ProblemError
from .visitor import visitor_of

log = structlog.get_logger(__name__)

POLL_S = 0.5
BEAT_S = 15.0
AT_ONCE = 200
LOOKED_AT = 20_000
WRITE_S = 30.0
"""How long a reader may take to read on: one that does not would hold its place for ever."""
MOST_READERS = 64
MOST_OF_ONE = 16


class Readers:
    """The streams that are being sent, and to whom."""

    def __init__(self) -> None:
        self.sending: dict[asyncio.Task[None], str] = {}
        self._newest = 0
        self._asked_at_s = -POLL_S
        self._asking = asyncio.Lock()

    def full(self, reader: str) -> bool:
        """Return whether there is no room for one more stream to a reader."""
        return len(self.sending) >= MOST_READERS or list(self.sending.values()).count(reader) >= MOST_OF_ONE

    async def newest(self, store: Store) -> int:
        """Return the position of the newest call, asked for once for all readers. Raises StoreError."""
        async with self._asking:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._asked_at_s >= POLL_S / 2:
                self._newest = await store.last_position()
                self._asked_at_s = now_s
            return self._newest


READERS = web.AppKey("readers", Readers)


async def follow(request: web.Request, store: Store, query: CallQuery, after: int | None) -> web.StreamResponse:
    """Send each call recorded after a position until the reader leaves or the program ends.

    The position is that of Last-Event-ID, else ``after``, else that of the newest call. Raises ProblemError.
    """
    readers, visitor = request.app[READERS], visitor_of(request)
    reader = (visitor.name if visitor else "") or request.app[GATE].rules.place.client(request)
    if readers.full(reader):
        reason = f"{MOST_READERS} streams are sent already, or {MOST_OF_ONE} to you"
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, reason, {"Retry-After": "30"})
    position = _position(request.headers.get("Last-Event-ID"), after)
    if position is None:
        position = await store.last_position()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    sending = asyncio.create_task(_send(request, response, store, query, position))
    readers.sending[sending] = reader
    try:
        await asyncio.wait([sending])
        error = None if sending.cancelled() else sending.exception()
        if isinstance(error, TimeoutError) and request.transport is not None:
            request.transport.abort()  # what it has not read will not be waited for
        elif isinstance(error, StoreError) and response.prepared:
            log.error("stream ended", reason=str(error))  # the reader comes back, and is told then
        elif error is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise error
    finally:
        sending.cancel()
        del readers.sending[sending]
    return response


async def end_streams(app: web.Application) -> None:
    """End every stream: the readers come back with the id of the last event they saw."""
    for task in set(app[READERS].sending):
        task.cancel()


async def _send(
    request: web.Request, response: web.StreamResponse, store: Store, query: CallQuery, position: int
) -> None:
    async def write(text: str) -> None:
        async with asyncio.timeout(WRITE_S):
            await response.write(text.encode())

    await response.prepare(request)
    await write("retry: 2000\n\n")
    gate, visitor, clock = request.app[GATE], visitor_of(request), asyncio.get_running_loop().time
    told_s = clock()
    while gate.still(visitor):
        newest = await request.app[READERS].newest(store)
        upto = await _upto(store, query, position, newest)
        news = await store.after(position, AT_ONCE, query, upto) if newest > position else []
        for position, record in news:  # noqa: PLR1704  the last one sent is where to go on
            text = json.dumps(to_json(record), separators=(",", ":"))
            await write(f"id: {position}\nevent: call\ndata: {text}\n\n")
        full = len(news) == AT_ONCE
        if not full:
            position = max(position, upto)  # what a filter leaves out is not looked at again
        if news:
            told_s = clock()
        elif clock() - told_s >= BEAT_S:
            await write(f'id: {position}\nevent: here\ndata: {{"position":{position}}}\n\n')
            told_s = clock()
        if not full and position >= newest:
            await asyncio.sleep(POLL_S)


async def _upto(store: Store, query: CallQuery, position: int, newest: int) -> int:
    """Return how far to look at once: a filter that fits nothing would look at all that was ever recorded."""
    if newest <= position or query == CallQuery(limit=query.limit):
        return newest
    far = await store.position_behind(position, LOOKED_AT)
    return newest if far is None else min(newest, far)


def _position(last_event_id: str | None, after: int | None) -> int | None:
    if not last_event_id:
        return after
    try:
        return int(PARAMETERS["after"].read(last_event_id))
    except ValueError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "Last-Event-ID is not the id of an event of this stream") from None

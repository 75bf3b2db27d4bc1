"""New calls as they are recorded: Server-Sent Events. The id of each is its position, for a reader that comes back."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

from aiohttp import web

from asterisk_sip.calls.model import to_json
from asterisk_sip.stores.base import CallQuery, Store

from .access import GATE
from .parameters import PARAMETERS
from .problems import ProblemError
from .visitor import visitor_of

POLL_S = 0.5
BEAT_S = 15.0
AT_ONCE = 200
MOST_READERS = 64


class Readers:
    """The streams that are being sent."""

    def __init__(self) -> None:
        self.sending: set[asyncio.Task[None]] = set()


READERS = web.AppKey("readers", Readers)


async def follow(request: web.Request, store: Store, query: CallQuery, after: int | None) -> web.StreamResponse:
    """Send each call recorded after a position until the reader leaves or the program ends.

    The position is that of Last-Event-ID, else ``after``, else that of the newest call. Raises ProblemError.
    """
    readers = request.app[READERS].sending
    if len(readers) >= MOST_READERS:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_READERS} readers follow already", {"Retry-After": "30"}
        )
    position = _position(request.headers.get("Last-Event-ID"), after)
    if position is None:
        position = await store.last_position()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    sending = asyncio.create_task(_send(request, response, store, query, position))
    readers.add(sending)
    try:
        await asyncio.wait([sending])
        if not sending.cancelled() and (error := sending.exception()) and not isinstance(error, ConnectionError):
            raise error
    finally:
        sending.cancel()
        readers.discard(sending)
    return response


async def end_streams(app: web.Application) -> None:
    """End every stream: the readers come back with the id of the last event they saw."""
    for task in set(app[READERS].sending):
        task.cancel()


async def _send(
    request: web.Request, response: web.StreamResponse, store: Store, query: CallQuery, position: int
) -> None:
    await response.prepare(request)
    await response.write(b"retry: 2000\n\n")
    quiet_s = 0.0
    gate, visitor = request.app[GATE], visitor_of(request)
    while gate.still(visitor):
        newest = await store.last_position()
        news = await store.after(position, AT_ONCE, query)
        for position, record in news:  # noqa: PLR1704  the last one sent is where to go on
            text = json.dumps(to_json(record), separators=(",", ":"))
            await response.write(f"id: {position}\nevent: call\ndata: {text}\n\n".encode())
        if len(news) == AT_ONCE:
            continue
        position = max(position, newest)  # what a filter leaves out is not looked at again
        quiet_s = 0.0 if news else quiet_s + POLL_S
        if quiet_s >= BEAT_S:
            await response.write(f'id: {position}\nevent: here\ndata: {{"position":{position}}}\n\n'.encode())
            quiet_s = 0.0
        await asyncio.sleep(POLL_S)


def _position(last_event_id: str | None, after: int | None) -> int | None:
    if not last_event_id:
        return after
    try:
        return int(PARAMETERS["after"].read(last_event_id))
    except ValueError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "Last-Event-ID is not the id of an event of this stream") from None

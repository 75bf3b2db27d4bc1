"""The ARI door: one websocket to one Asterisk, kept up for ever, its events handed on in order.

A read-only user suffices: ``subscribeAll=true`` gives the events of every channel, and three GETs tell the version and
what lives. Asterisk sends each event once, to one client for each application name.
"""

from __future__ import annotations

import asyncio

import aiohttp
import structlog
from structlog.typing import FilteringBoundLogger

from asterisk_sip.errors import AsteriskSipError, SourceError, TakenOverError, WireError
from asterisk_sip.sources.ari_hearing import Hearing
from asterisk_sip.sources.ari_http import CLOSED, NOT_ARI, AriHttp, AriSettings
from asterisk_sip.sources.keeper import Keeper
from asterisk_sip.sources.listener import Listener, Losses

__all__ = ["AriLink", "AriSettings", "AriSource", "Listener", "Losses"]

GRACE_S = 0.25
"""How long a list of channels waits before it counts. It comes over a connection of its own and may overtake the events
of what had just ended."""


class AriLink:
    """One websocket, and the questions asked beside it."""

    def __init__(self, settings: AriSettings, listener: Listener, log: FilteringBoundLogger | None = None) -> None:
        self._settings = settings
        self._log = log or structlog.get_logger(__name__)
        self._http = AriHttp(settings)
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._reading: asyncio.Task[str] | None = None
        self._listing: asyncio.Task[None] | None = None
        self._failure: SourceError | None = None
        self.hearing = Hearing(listener, settings.max_message_bytes, self._log)

    @property
    def version(self) -> str | None:
        """Asterisk's version, None when it did not tell."""
        return self.hearing.reader.version

    async def open(self) -> None:
        """Ask for the version, then open the websocket; when that fails, all is closed again.

        Raises LinkLostError when there is no connection or no answer, or Asterisk is not ready; WireError when it is
        not ARI that answers; AuthError when Asterisk refuses the user.
        """
        try:
            await self._ask_version()
            self._socket = await self._http.websocket()
        except BaseException:
            await self.close()
            raise

    async def _ask_version(self) -> None:
        self.hearing.introduced(await self._http.get("/asterisk/info?only=system"), self._http.answered_at)
        if self.version is None:
            raise WireError(f"{NOT_ARI}: it does not tell its version")

    async def stay(self) -> str:
        """Hear until the link is lost; return why it was. Raises TakenOverError."""
        self._reading = asyncio.create_task(self._read())
        self.relist()
        try:
            await asyncio.wait([self._reading])
        finally:
            self._reading.cancel()
        if self._failure is not None:
            return str(self._failure)
        return self._reading.result()

    async def _read(self) -> str:
        socket, hearing = self._socket, self.hearing
        assert socket is not None  # noqa: S101  open() made it
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                hearing.frame(message.data)
                if hearing.reader.taken_over:
                    raise TakenOverError(
                        f"another program listens as application {self._settings.app!r}: give each its own name (app)"
                    )
            elif message.type is aiohttp.WSMsgType.BINARY:
                hearing.binary()
            else:
                return self._why_closed(message.data, socket)

    def _why_closed(self, data: object, socket: aiohttp.ClientWebSocketResponse[bool]) -> str:
        error = data if isinstance(data, BaseException) else socket.exception()
        if isinstance(error, aiohttp.ServerTimeoutError):
            return f"no answer to a ping within {self._settings.heartbeat_s / 2:g} s"
        if isinstance(error, aiohttp.WebSocketError):
            if error.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                return f"a message of more than {self._settings.max_message_bytes} bytes"
            return f"what came is no websocket frame: {error}"
        code = socket.close_code
        return CLOSED if code in (None, 1000, 1001, 1006) else f"{CLOSED} with websocket code {code}"

    def relist(self) -> None:
        """Ask which channels are alive; they come as events."""
        if self._listing is None or self._listing.done():
            self._listing = asyncio.create_task(self._list())

    async def _list(self) -> None:
        since = self.hearing.reader.heard_at or self._http.answered_at
        try:
            bridges = _items(await self._http.get("/bridges"))
            channels = _items(await self._http.get("/channels"))
        except SourceError as error:
            self._failure = error
            if self._reading is not None:
                self._reading.cancel()
            return
        at = max(since, self._http.answered_at)
        await asyncio.sleep(GRACE_S)
        self.hearing.listed(channels, bridges, at, since)

    async def close(self) -> None:
        """Close for good: nothing more is heard."""
        tasks = [task for task in (self._listing, self._reading) if task is not None]
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks)
            if self._socket is not None:
                await self._socket.close()
        finally:
            await self._http.close()


class AriSource:
    """Keeps a link to one Asterisk up and hands its events to a listener, until cancelled."""

    def __init__(self, name: str, settings: AriSettings, listener: Listener) -> None:
        self._log = structlog.get_logger(__name__).bind(pbx=name, door="ari")
        self._settings = settings
        self._listener = listener
        self._keeper = Keeper(
            self._log,
            retry_min_s=settings.retry_min_s,
            retry_max_s=settings.retry_max_s,
            slow_s=settings.auth_retry_s,
        )
        self._link: AriLink | None = None
        self._lost_before = Losses()  # on links that are no more

    @property
    def last_error(self) -> AsteriskSipError | None:
        """The outage that lasts, None while we listen."""
        return self._keeper.last_error

    @property
    def losses(self) -> Losses:
        """What was lost so far, over all connections."""
        now = self._link.hearing.losses if self._link is not None else Losses()
        return Losses(*(before + more for before, more in zip(self._lost_before, now, strict=True)))

    async def run(self) -> None:
        """Connect, listen, reconnect; for ever. Ends only by being cancelled."""
        await self._keeper.keep(self._connection)

    async def _connection(self) -> str:
        link = self._link = AriLink(self._settings, self._listener, self._log)
        try:
            await link.open()
            self._keeper.listening(link.version)
            return await self._listen(link)
        finally:
            await link.close()
            self._lost_before, self._link = self.losses, None

    async def _listen(self, link: AriLink) -> str:
        """Hear until the link is lost; return why. Closes the link, so that nothing is heard after ``link_down``."""
        tell, reason = link.hearing.tell, "stopped"
        tell(self._listener.link_up, link.version)
        try:
            reason = await link.stay()
        except SourceError as error:
            reason = str(error)
            raise
        finally:
            await link.close()
            tell(self._listener.link_down, reason)
        return reason

    def relist(self) -> None:
        """Ask which channels are alive: some news of them may be lost. They come as events; no link, no answer."""
        if self._link is not None:
            self._link.relist()


def _items(answer: object) -> list[object]:
    if not isinstance(answer, list):
        raise WireError("Asterisk's list of channels is no list")
    return answer

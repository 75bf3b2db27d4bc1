"""The events of one websocket, whoever opened it, and the list of what lives when it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import aiohttp

from asterisk_sip.errors import LinkLostError, SourceError, TakenOverError, WireError
from asterisk_sip.sources.ari_hearing import Hearing
from asterisk_sip.sources.ari_settings import AriSettings
from asterisk_sip.sources.breath import Breath
from asterisk_sip.sources.listener import Listener

CLOSED = "Asterisk closed the connection"
STOPPED = "stopped"

GRACE_S = 0.25
"""How long a list of channels waits before it counts: it may overtake the events of what had just ended."""


class Answered(NamedTuple):
    """What Asterisk answered to a GET, and when, by its own clock."""

    at: float
    what: object


Ask = Callable[[str], Awaitable[Answered]]
"""Asks a GET of Asterisk; raises one of our errors when there is no answer, or none that can be used."""


class Frame(Protocol):
    """A message of aiohttp."""

    @property
    def type(self) -> aiohttp.WSMsgType:
        """What it is."""

    @property
    def data(self) -> object:
        """What it says: bytes, or the error that ended it."""


class WebSocket(Protocol):
    """What the two ends of aiohttp's websockets have in common."""

    @property
    def close_code(self) -> int | None:
        """With what it was closed."""

    def exception(self) -> BaseException | None:
        """What ended it."""

    async def receive(self) -> Frame:
        """Wait for the next message."""

    async def close(self) -> bool:
        """Close it."""


class Stream:
    """Hears one websocket, carried by ``transport``; ``ask`` asks the Asterisk behind it."""

    def __init__(
        self, socket: WebSocket, transport: asyncio.Transport | None, hearing: Hearing, ask: Ask, settings: AriSettings
    ) -> None:
        self._socket = socket
        self._hearing = hearing
        self._ask = ask
        self._settings = settings
        self._breath = Breath(transport, settings.gather_ms / 1000)
        self._reading: asyncio.Task[str] | None = None
        self._listing: asyncio.Task[None] | None = None
        self._gave_up = ""
        self.began = asyncio.Event()  # something came

    def start(self, take: Callable[[bytes], None]) -> None:
        """Begin to read: each text frame goes to ``take``. Nothing else may hold the reading up."""
        self._reading = asyncio.create_task(self._read(take))

    async def ask(self, path: str) -> Answered:
        """Ask a GET. Raises LinkLostError, at once when the link is lost meanwhile; WireError."""
        assert self._reading is not None  # noqa: S101  start() made it
        asking = asyncio.ensure_future(self._ask(path))
        try:
            await asyncio.wait([asking, self._reading], return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
        finally:
            asking.cancel()
        raise LinkLostError(self._gave_up or self._reading.result())

    async def listen(self, listener: Listener) -> str:
        """Tell that the link is up, hear until it is lost, close it, tell that; return why. Raises TakenOverError."""
        tell, reason = self._hearing.tell, STOPPED
        tell(listener.link_up, self._hearing.reader.version)
        try:
            reason = await self._stay()
        except SourceError as error:
            reason = str(error)
            raise
        finally:
            await self.close()
            tell(listener.link_down, reason)
        return reason

    async def _stay(self) -> str:
        assert self._reading is not None  # noqa: S101  start() made it
        self.relist()
        await asyncio.wait([self._reading])
        return self._gave_up or self._reading.result()

    def give_up(self, reason: str) -> None:
        """End it, for a reason of ours."""
        self._gave_up = reason
        if self._reading is not None:
            self._reading.cancel()

    def relist(self) -> None:
        """Ask which channels are alive; they come as events."""
        if self._listing is None or self._listing.done():
            self._listing = asyncio.create_task(self._list())

    async def close(self) -> None:
        """Close it: nothing more is heard."""
        tasks = [task for task in (self._listing, self._reading) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._breath.end()
        await self._socket.close()

    async def _read(self, take: Callable[[bytes], None]) -> str:
        hearing = self._hearing
        while True:
            message = await self._socket.receive()
            self.began.set()
            if message.type is aiohttp.WSMsgType.TEXT:
                assert isinstance(message.data, bytes)  # noqa: S101  decode_text=False
                take(message.data)
                self._breath.took(len(message.data))
                if hearing.reader.taken_over:
                    raise TakenOverError(
                        f"another program listens as application {self._settings.app!r}: give each its own name (app)"
                    )
            elif message.type is aiohttp.WSMsgType.BINARY:
                hearing.binary()
            else:
                return self._why_closed(message.data)

    def _why_closed(self, data: object) -> str:
        error = data if isinstance(data, BaseException) else self._socket.exception()
        if isinstance(error, asyncio.TimeoutError):
            return f"no answer to a ping within {self._settings.heartbeat_s / 2:g} s"
        if isinstance(error, aiohttp.WebSocketError):
            if error.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                return f"a message that is too large: {error}"
            return f"what came is no websocket frame: {error}"
        code = self._socket.close_code
        return CLOSED if code in (None, 1000, 1001, 1006) else f"{CLOSED} with websocket code {code}"

    async def _list(self) -> None:
        try:
            bridges = await self._ask("/bridges")
            since = self._hearing.reader.heard_at or bridges.at
            channels = await self._ask("/channels")
            items = _items(channels), _items(bridges)
        except SourceError as error:
            self.give_up(str(error))
            return
        await asyncio.sleep(GRACE_S)
        self._hearing.listed(*items, max(since, channels.at), since)


def _items(answer: Answered) -> list[object]:
    if not isinstance(answer.what, list):
        raise WireError("Asterisk's list of channels is no list")
    return answer.what

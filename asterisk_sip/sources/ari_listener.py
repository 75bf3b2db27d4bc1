"""The ARI door, the other way round: Asterisk connects to us (websocket_client.conf, ``type = outbound_websocket``).

One server takes the websockets of several PBXs: the path is the PBX's name. Each logs in with HTTP Basic.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Sequence

import aiohttp
import structlog
from aiohttp import web

from asterisk_sip.errors import LinkLostError, SourceError, WireError
from asterisk_sip.retry import Backoff
from asterisk_sip.sources.ari_hearing import Hearing
from asterisk_sip.sources.ari_http import CLOSE_TIMEOUT_S, MAX_ANSWER_BYTES, NOT_ARI
from asterisk_sip.sources.ari_questions import Questions
from asterisk_sip.sources.ari_settings import AriSettings
from asterisk_sip.sources.ari_stream import STOPPED, Stream
from asterisk_sip.sources.keeper import address_had
from asterisk_sip.sources.listener import Listener, Losses, Teller

MISSING_AFTER_S = 60.0

GREETING_S = 1.0
"""How long to wait for Asterisk's first event before asking. A question that reaches it together with the end of the
handshake lies in a buffer until something else comes (seen on 22.10.1)."""

RETRY_MIN_S, RETRY_MAX_S = 1.0, 60.0
MAX_TOLD = 16
"""Of how many unknown paths and refused logins the log tells."""


class AriDoor:
    """One PBX that connects to us: its name is the path, user and password are in ``settings``."""

    def __init__(self, pbx: str, settings: AriSettings, listener: Listener) -> None:
        self.pbx = pbx
        self._settings = settings
        self._listener = listener
        self._log = structlog.get_logger(__name__).bind(pbx=pbx, door="ari")
        self._stream: Stream | None = None
        self._hearing: Hearing | None = None
        self._lost_before = Losses()
        self._proof = aiohttp.encode_basic_auth(settings.username, settings.password).encode()
        self._turn = asyncio.Lock()
        self._told = False  # the log has the outage that lasts
        self.connections = 0

    @property
    def losses(self) -> Losses:
        """What was lost so far, over all connections."""
        now = self._hearing.losses if self._hearing is not None else Losses()
        return Losses(*(before + more for before, more in zip(self._lost_before, now, strict=True)))

    def proves(self, authorization: str) -> bool:
        """Return whether a header shows our user and password. It takes as long for every wrong one."""
        return hmac.compare_digest(authorization.encode("utf-8", "replace"), self._proof)

    def websocket(self) -> web.WebSocketResponse[bool]:
        """Return a websocket for Asterisk to talk through. An answer to a question may be larger than any event."""
        return web.WebSocketResponse(
            protocols=("ari",),
            heartbeat=self._settings.heartbeat_s,
            max_msg_size=MAX_ANSWER_BYTES,
            timeout=CLOSE_TIMEOUT_S,
            decode_text=False,
        )

    async def hear(self, socket: web.WebSocketResponse[bool], transport: asyncio.Transport | None) -> None:
        """Hear one connection to its end. An older one of the same PBX is dead to Asterisk, and ends."""
        self.end("Asterisk connected anew")
        async with self._turn:
            hearing = Hearing(self._listener, self._settings.max_message_bytes, self._log)
            questions = Questions(socket.send_str, self._settings.connect_timeout_s)
            stream = Stream(socket, transport, hearing, questions.ask, self._settings)
            stream.start(lambda frame: None if questions.take(frame) else hearing.frame(frame))
            self._stream, self._hearing = stream, hearing
            try:
                await self._introduce(hearing, stream)
                reason = await stream.listen(self._listener)
            except SourceError as error:
                reason = str(error)
            finally:
                await stream.close()
                self._lost_before, self._stream, self._hearing = self.losses, None, None
        self._outage(reason)

    def end(self, reason: str) -> None:
        """End the connection, if there is one."""
        if self._stream is not None:
            self._stream.give_up(reason)

    def unheard(self, reason: str) -> None:
        """Hear that nobody can connect."""
        Teller(self._log).tell(self._listener.link_down, reason)

    def _outage(self, reason: str) -> None:
        if reason != STOPPED and not self._told:
            self._told = True
            self._log.error("not listening", reason=reason, again="when Asterisk connects")

    async def _introduce(self, hearing: Hearing, stream: Stream) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stream.began.wait(), GREETING_S)
        hearing.introduced(*await stream.ask("/asterisk/info?only=system"))
        if hearing.reader.version is None:
            raise WireError(f"{NOT_ARI}: it does not tell its version")
        self.connections += 1
        self._told = False
        self._log.info("listening", asterisk=hearing.reader.version)

    def relist(self) -> None:
        """Ask which channels are alive: some news of them may be lost. They come as events; no link, no answer."""
        if self._stream is not None:
            self._stream.relist()


class AriListener:
    """Listens at one address for the PBXs that connect there, until cancelled."""

    def __init__(self, host: str, port: int, doors: Sequence[AriDoor]) -> None:
        self._host = host
        self._wanted_port = port
        self._doors = {door.pbx: door for door in doors}
        self.backoff = Backoff(RETRY_MIN_S, RETRY_MAX_S)
        self._log = structlog.get_logger(__name__).bind(door="ari", pbx=list(self._doors))
        self._told: set[str] = set()
        self.port: int | None = None  # as long as it listens

    async def run(self) -> None:
        """Listen until cancelled. An address that cannot be had is tried again, ever more seldom."""
        runner = await address_had(self._bind, self._unheard, self._log, self.backoff)
        try:
            await self._watch()
        finally:
            self.port = None
            for door in self._doors.values():
                door.end(STOPPED)
            await runner.cleanup()

    def _unheard(self, reason: str) -> None:
        for door in self._doors.values():
            door.unheard(reason)

    async def _bind(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._connected)
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=CLOSE_TIMEOUT_S,
            shutdown_timeout=CLOSE_TIMEOUT_S,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._wanted_port).start()
        except (OSError, UnicodeError) as error:
            await runner.cleanup()
            reason = getattr(error, "strerror", None) or str(error)
            raise LinkLostError(f"{self._host}:{self._wanted_port}: {reason}") from error
        self.port = runner.addresses[0][1]
        self._log.info("waiting for Asterisk to connect", host=self._host, port=self.port)
        return runner

    async def _watch(self) -> None:
        """Tell once of a PBX that does not connect."""
        await asyncio.sleep(MISSING_AFTER_S)
        for door in self._doors.values():
            if not door.connections:
                hint = "is configs/asterisk/websocket_client.conf in its place?"
                self._log.warning("Asterisk has not connected so far (told once)", of=door.pbx, hint=hint)
        await asyncio.Event().wait()

    async def _connected(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"].strip("/")
        door = self._doors.get(path)
        if door is None:
            self._warn_once("no PBX of that name connects here", path=path[:100])
            return web.Response(status=404)
        if not door.proves(request.headers.get("Authorization", "")):
            self._warn_once("a login was refused: user or password is wrong", of=path)
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        socket = door.websocket()
        if not socket.can_prepare(request):
            return web.Response(status=426, headers={"Upgrade": "websocket"})
        await socket.prepare(request)
        await door.hear(socket, request.transport)
        return socket

    def _warn_once(self, what: str, **details: object) -> None:
        key = f"{what} {details}"
        if key not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(key)
            self._log.warning(f"{what} (told once)", **details)

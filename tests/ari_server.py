"""A small scripted ARI server: a real peer on a loopback port, with every fault a test may want.

Knobs are plain attributes and may be changed at any time; they count from the next request on::

    async with ScriptedAri() as pbx:
        pbx.answers["/channels"] = Answer(503)      # a question that is not answered as it should be
        ...                                         # start the client at 127.0.0.1, pbx.port
        link = await pbx.wait_for_socket()
        await link.send(destroyed("1.1"))
        link.reset()                                # RST
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import WSMsgType, web

SECRET = "only-for-tests"
AT = "2026-11-24T11:50:45.110+0000"
_YIELDS = 4  # turns of the loop that let a client in the same loop read one piece before the next is written


@dataclass(frozen=True)
class Answer:
    """What is answered to a GET. ``silent``: nothing, until the client goes away."""

    status: int = 200
    body: object = field(default_factory=list)
    content_type: str = "application/json"
    silent: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(eq=False)
class Socket:
    """One websocket as the server saw it."""

    number: int
    app: str
    subscribe_all: str
    websocket: web.WebSocketResponse
    transport: asyncio.Transport
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, *messages: dict[str, Any]) -> None:
        """Send events, each in a frame of its own."""
        for message in messages:
            await self.websocket.send_str(json.dumps(message, ensure_ascii=False))

    async def send_raw(self, raw: bytes, cuts: Sequence[int] = ()) -> None:
        """Write bytes past the websocket, in pieces that end at ``cuts``."""
        edges = [0, *cuts, len(raw)]
        for start, end in itertools.pairwise(edges):
            self.transport.write(raw[start:end])
            for _ in range(_YIELDS):
                await asyncio.sleep(0)

    def drop(self) -> None:
        """Close the connection in the ordinary way, without a word."""
        self.transport.close()

    def reset(self) -> None:
        """Close the connection with RST."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class ScriptedAri:
    """An ARI that does what the test says. See the attributes for the faults it knows."""

    def __init__(self, *, username: str = "asterisk-sip", password: str = SECRET, tls: ssl.SSLContext | None = None):
        self.host = "127.0.0.1"
        self.port = 0
        self.username = username
        self.password = password
        self.tls = tls
        self.answers: dict[str, Answer] = {
            "/asterisk/info": Answer(body={"system": {"version": "22.10.1+dfsg", "entity_id": "x"}}),
            "/channels": Answer(),
            "/bridges": Answer(),
        }
        self.prefix = ""
        self.before_answer: Callable[[str], None] = lambda _: None
        self.refuse_socket: Answer | None = None
        self.deaf = False  # pings are read and never answered
        self.requests: list[tuple[str, str]] = []  # path and query
        self.sockets: list[Socket] = []
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after `stop`, on the same port again."""
        app = web.Application()
        app.router.add_get("/{prefix:.*}ari{path:/.*}", self._asked)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self.tls, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and close every connection without a word, as a stopping Asterisk does."""
        for one in self.sockets:
            if not one.transport.is_closing():  # TLS of Python 3.11.2 raises when it was closed twice already
                one.transport.abort()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _ in self.requests]

    async def wait_for_socket(self, count: int = 1, within_s: float = 60.0) -> Socket:
        """Wait until ``count`` websockets were opened in all; give the last of them."""
        await self.wait_until(lambda: len(self.sockets) >= count, f"websocket {count}", within_s)
        return self.sockets[count - 1]

    async def wait_for_question(self, path: str, count: int = 1, within_s: float = 60.0) -> None:
        """Wait until ``path`` was asked for so many times."""
        await self.wait_until(lambda: self.paths.count(path) >= count, f"GET {path} {count}", within_s)

    async def wait_until(self, condition: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
        """Wait for a condition on what the server saw."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{what} did not come within {within_s:g} s; asked: {self.requests}") from None

    # the server itself

    async def _asked(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"] if request.match_info["prefix"] == self.prefix else "/elsewhere"
        self.requests.append((path, request.query_string))
        self._changed.set()
        if not self._proves(request):
            return web.Response(status=401, text='{"error": "Authentication required"}')
        if path == "/events":
            return await self._events(request)
        self.before_answer(path)
        return await self._answer(self.answers.get(path, Answer(404, {"message": "Resource not found"})))

    async def _answer(self, answer: Answer) -> web.Response:
        if answer.silent:
            await asyncio.Event().wait()
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        headers = dict(answer.headers)
        return web.Response(status=answer.status, text=text, content_type=answer.content_type, headers=headers)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_socket is not None:
            return await self._answer(self.refuse_socket)
        websocket = web.WebSocketResponse(autoping=not self.deaf, protocols=("ari",))
        await websocket.prepare(request)
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        query = request.query
        one = Socket(len(self.sockets), query["app"], query.get("subscribeAll", ""), websocket, transport)
        self.sockets.append(one)
        self._changed.set()
        try:
            while (await websocket.receive()).type in (WSMsgType.TEXT, WSMsgType.PING):
                pass
        finally:
            one.closed.set()
            self._changed.set()
        return websocket

    def _proves(self, request: web.Request) -> bool:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        with contextlib.suppress(ValueError):
            proof = base64.b64decode(token).decode()
            return kind == "Basic" and proof == f"{self.username}:{self.password}"
        return False


def channel(uniqueid: str = "1.1", **changes: Any) -> dict[str, Any]:
    """A channel as ARI shows it."""
    usual = {
        "id": uniqueid,
        "name": "PJSIP/träger-00000001",
        "state": "Up",
        "protocol_id": "",
        "caller": {"name": "Zoë Müller ☎", "number": "+4930123456"},
        "connected": {"name": "", "number": ""},
        "accountcode": "",
        "dialplan": {"context": "lab", "exten": "486", "priority": 1, "app_name": "", "app_data": ""},
    }
    return usual | changes


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """An event as ARI sends it."""
    return {"type": kind, "timestamp": AT, "asterisk_id": "x", "application": "asterisk-sip"} | fields


def destroyed(uniqueid: str = "1.1", **fields: Any) -> dict[str, Any]:
    """The end of a channel."""
    return event("ChannelDestroyed", channel=channel(uniqueid), cause=16, cause_txt="Normal Clearing", **fields)

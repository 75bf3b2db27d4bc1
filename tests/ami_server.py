"""A small scripted AMI server: a real peer on a loopback port, with every fault a test may want.

Knobs are plain attributes and may be changed at any time; they count from the next connection or action on::

    async with ScriptedAmi() as pbx:
        pbx.silent.add("ping")                      # a dead peer with an open socket
        ...                                         # start the client at 127.0.0.1, pbx.port
        link = await pbx.wait_for_login()
        await pbx.send_event("Hangup", Cause="16")
        await pbx.reset()                           # RST
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from tests.ami_messages import (
    BANNER,
    Action,
    Certificates,
    Headers,
    Reply,
    core_settings,
    core_show_channels,
    message,
    usual_replies,
    with_id,
)

__all__ = [
    "SECRET",
    "Action",
    "Certificates",
    "Connection",
    "ScriptedAmi",
    "core_settings",
    "core_show_channels",
    "message",
]

SECRET = "only-for-tests"
_YIELDS = 4  # turns of the loop that let a client in the same loop read one piece before the next is written
_BEFORE_LOGIN = {"login", "logoff", "challenge"}


@dataclass(eq=False)
class Connection:
    """One connection as the server saw it. Times are those of the loop's clock."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    opened_at: float
    logged_in_at: float | None = None
    closed_at: float | None = None
    event_mask: str | None = None
    challenge: str = ""
    actions: list[Action] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write(self, raw: bytes, cuts: Sequence[int]) -> None:
        """Write bytes, in pieces that end at ``cuts``; a client in the same loop reads each piece apart."""
        edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(raw)), len(raw)]
        async with self.writing:
            for start, end in itertools.pairwise(edges):
                self.writer.write(raw[start:end])
                await self.writer.drain()
                for _ in range(_YIELDS if end < len(raw) else 0):
                    await asyncio.sleep(0)


class ScriptedAmi:
    """An AMI server that does what the test says. See the attributes for the faults it knows."""

    def __init__(
        self, *, username: str = "asterisk-sip", secret: str = SECRET, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.username = username
        self.secret = secret
        self.tls = tls
        self.banner = BANNER
        self.banner_delay_s = 0.0
        self.drop_after_banner = False
        self.refuse_login = False
        self.silent: set[str] = set()  # lower-case names of actions that are read and never answered; "*" is all
        self.chop_bytes = 0  # 1 sends everything byte by byte
        self.replies: dict[str, Reply] = usual_replies()  # by lower-case action; ActionID is added
        self.connections: list[Connection] = []
        self._reading = asyncio.Event()
        self._reading.set()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def actions(self) -> list[Action]:
        """Every action received so far, over all connections, in order. A repeated header is joined by a newline."""
        return [action for connection in self.connections for action in connection.actions]

    @property
    def current(self) -> Connection:
        """The newest open connection."""
        for connection in reversed(self.connections):
            if connection.closed_at is None:
                return connection
        raise AssertionError("no client is connected")

    async def start(self) -> None:
        """Listen; after `stop`, on the same port again."""
        self._server = await asyncio.start_server(
            self._accept, self.host, self.port, ssl=self.tls, ssl_shutdown_timeout=1.0 if self.tls else None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and close every connection, as a stopping Asterisk does. Further clients are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What the test sends

    async def send(self, raw: bytes, cuts: Sequence[int] = ()) -> None:
        """Send bytes as they are, split at ``cuts``."""
        await self._write(self.current, raw, cuts)

    async def send_event(self, name: str, *pairs: tuple[str, str], **headers: str) -> None:
        """Send an event; give an ``ActionID`` to make it look like the answer to a pending action."""
        await self.send(message(("Event", name), *pairs, **headers))

    async def send_response(self, response: str = "Success", **headers: str) -> None:
        """Send a response nobody asked for, or one with an ``ActionID`` of your choice."""
        await self.send(message(("Response", response), **headers))

    async def send_endless(self, limit_bytes: int, *, one_line: bool = False) -> int:
        """Send one message without an end, until the client hangs up or the limit is reached; give the bytes sent."""
        piece = b"x" * 16_384 if one_line else b"Filler: xxxxxxxx\r\n" * 1_024
        sent = 0
        with contextlib.suppress(ConnectionError):
            await self.send(b"Event: Endless\r\n" + (b"Filler: " if one_line else b""))
            connection = self.current
            while sent < limit_bytes and connection.closed_at is None:
                await connection.write(piece, ())
                sent += len(piece)
                await asyncio.sleep(0)
        return sent

    # What the test does to the line

    def half_close(self) -> None:
        """Send FIN but go on reading (not with TLS)."""
        self.current.writer.write_eof()

    def drop(self) -> None:
        """Close the newest connection in the ordinary way."""
        self.current.writer.close()

    def reset(self) -> None:
        """Close the newest connection with RST."""
        transport = self.current.writer.transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def pause_reading(self) -> None:
        """Take no more from any client until `resume_reading`: a slow reader, whose buffers fill up."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Read again."""
        self._reading.set()

    # What the test waits for

    async def wait_until(self, condition: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
        """Wait for a condition on what the server saw; fail with what was seen when it does not come."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            seen = [action.get("Action") for action in self.actions]
            raise AssertionError(
                f"{what} did not come within {within_s:g} s; {len(self.connections)} connections, actions: {seen}"
            ) from None

    async def wait_for_login(self, count: int = 1, within_s: float = 60.0) -> Connection:
        """Wait until ``count`` logins were accepted in all; give the connection of the last."""
        await self.wait_until(lambda: len(self._logged_in()) >= count, f"login {count}", within_s)
        return self._logged_in()[count - 1]

    async def wait_for_connection(self, count: int = 1, within_s: float = 60.0) -> Connection:
        """Wait until ``count`` connections were made in all; give the last of them."""
        await self.wait_until(lambda: len(self.connections) >= count, f"connection {count}", within_s)
        return self.connections[count - 1]

    async def wait_for_action(self, name: str, count: int = 1, within_s: float = 60.0) -> Action:
        """Wait until ``count`` actions of this name were received in all; give the last of them."""
        await self.wait_until(lambda: len(self._named(name)) >= count, f"{name} {count}", within_s)
        return self._named(name)[count - 1]

    async def wait_for_close(self, connection: Connection, within_s: float = 60.0) -> None:
        """Wait until a connection has ended on both sides."""
        await self.wait_until(lambda: connection.closed_at is not None, f"end of {connection.number}", within_s)

    def _logged_in(self) -> list[Connection]:
        return sorted((link for link in self.connections if link.logged_in_at), key=lambda link: link.logged_in_at or 0)

    def _named(self, name: str) -> list[Action]:
        return [action for action in self.actions if action.get("Action", "").lower() == name.lower()]

    # The server itself

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        now = asyncio.get_running_loop().time()
        connection = Connection(len(self.connections), reader, writer, now)
        self.connections.append(connection)
        self._changed.set()
        try:
            await self._talk(connection)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test stopped us: both are how a connection ends here
        finally:
            connection.closed_at = asyncio.get_running_loop().time()
            self._changed.set()
            await _end(writer)

    async def _talk(self, connection: Connection) -> None:
        if self.banner_delay_s:
            await asyncio.sleep(self.banner_delay_s)
        await self._write(connection, self.banner)
        if self.drop_after_banner:
            return
        headers: Action = {}
        while True:
            line = await connection.reader.readline()
            await self._reading.wait()
            if not line:
                return
            connection.received += line
            text = line.decode(errors="backslashreplace").removesuffix("\n").removesuffix("\r")
            if text:
                name, _, value = text.partition(":")
                value = value.lstrip(" ")
                headers[name] = f"{headers[name]}\n{value}" if name in headers else value
                continue
            connection.actions.append(headers)
            self._changed.set()
            if not await self._answer(connection, headers):
                return
            headers = {}

    async def _answer(self, connection: Connection, action: Action) -> bool:
        """Answer one action; False ends the connection."""
        name = action.get("Action", "").lower()
        if self.silent & {name, "*"}:
            return True
        if name == "login":
            return await self._login(connection, action)
        for headers in self._messages(connection, name, action):
            await self._write(connection, with_id(headers, action.get("ActionID")))
        return name != "logoff"

    def _messages(self, connection: Connection, name: str, action: Action) -> Iterable[Headers]:
        if connection.logged_in_at is None and name not in _BEFORE_LOGIN:
            return [{"Response": "Error", "Message": "Permission denied"}]
        if name == "challenge":
            connection.challenge = str(177_394_207 + connection.number)
            return [{"Response": "Success", "Challenge": connection.challenge}]
        if name not in self.replies:
            return [{"Response": "Error", "Message": "Invalid/unknown command: " + name}]
        if name == "events":
            connection.event_mask = action.get("EventMask")
        return self.replies[name](action)

    async def _login(self, connection: Connection, action: Action) -> bool:
        good = not self.refuse_login and action.get("Username") == self.username and self._proves(connection, action)
        answer = {"Response": "Error", "Message": "Authentication failed"}
        if good:
            answer = {"Response": "Success", "Message": "Authentication accepted"}
        await self._write(connection, with_id(answer, action.get("ActionID")))
        if good:
            booted = {"Privilege": "system,all", "Uptime": "1", "LastReload": "1", "Status": "Fully Booted"}
            await self._write(connection, message(("Event", "FullyBooted"), **booted))
            connection.event_mask = action.get("Events")
            connection.logged_in_at = asyncio.get_running_loop().time()
            self._changed.set()
        return good

    def _proves(self, connection: Connection, action: Action) -> bool:
        if action.get("AuthType", "").lower() != "md5":
            return action.get("Secret") == self.secret
        key = hashlib.md5((connection.challenge + self.secret).encode(), usedforsecurity=False).hexdigest()
        return bool(connection.challenge) and action.get("Key") == key

    async def _write(self, connection: Connection, raw: bytes, cuts: Sequence[int] = ()) -> None:
        if self.chop_bytes:
            cuts = range(self.chop_bytes, len(raw), self.chop_bytes)
        await connection.write(raw, cuts)


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close with FIN; what a client does not take is thrown away, so that this never waits for it."""
    if writer.transport.get_write_buffer_size():
        writer.transport.abort()
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
        await writer.wait_closed()

"""The AMI door: one connection to one Asterisk, kept up for ever, its events handed on in order.

panoramisk's Manager carries actions and their answers; the reader is ours (``protocol_factory``), and so are login,
ping, time-outs and reconnecting.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
from panoramisk import Manager
from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import AsteriskSipError, AuthError, LinkLostError, WireError
from asterisk_sip.retry import Backoff
from asterisk_sip.sources import ami_wire

log = structlog.get_logger(__name__)

CLOSE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class AmiSettings:
    """How to reach one Asterisk and how patient to be (seconds, bytes)."""

    host: str
    port: int
    username: str
    secret: str
    event_mask: str = "call,system"
    tls: bool = False
    ca_file: Path | None = None
    server_name: str | None = None
    connect_timeout_s: float = 10.0
    login_timeout_s: float = 10.0
    ping_interval_s: float = 10.0
    ping_timeout_s: float = 10.0
    retry_min_s: float = 1.0
    retry_max_s: float = 60.0
    auth_retry_s: float = 300.0
    max_message_bytes: int = ami_wire.DEFAULT_MAX_MESSAGE_BYTES

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"AmiSettings({self.username}@{self.host}:{self.port}{' tls' if self.tls else ''})"


class Listener(Protocol):
    """Who hears what comes through the door. Must return at once: the socket is drained whatever happens."""

    def heard(self, events: list[ev.Event]) -> None:
        """Take events, in order."""

    def link_up(self, version: str | None) -> None:
        """We are logged in; ``version`` is Asterisk's, None when the user may not ask."""

    def link_down(self, reason: str) -> None:
        """We hear nothing from now on."""

    def raw(self, data: bytes) -> None:
        """Take the bytes as they came, before anything is done with them (to record them)."""


class WireProtocol(AMIProtocol):  # type: ignore[misc]  # panoramisk ships no types
    """The reader: frames bytes, hands wanted events on, and gives answers to panoramisk's actions."""

    def __init__(self, listener: Listener, max_message_bytes: int) -> None:
        super().__init__()
        self._listener = listener
        self.reader = ami_wire.Reader(_live_clock, max_message_bytes)
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.listener_errors = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket. A listener that raises costs its own batch, never the link."""
        try:
            self._listener.raw(data)
            events = self.reader.feed(data)
            if events:
                self._listener.heard(events)
        except Exception:
            self.listener_errors += 1
            if self.listener_errors == 1:
                log.exception("events lost: their listener failed")
        if not self.greeted.done():
            self._greet()
        responses, self.reader.responses = self.reader.responses, []
        for block in responses:
            self._answer(block)

    def _greet(self) -> None:
        banner = self.reader.framer.banner
        if banner:
            self.greeted.set_result(None)
        elif banner is not None:
            self.greeted.set_exception(WireError("what answers there is not an Asterisk Manager Interface"))

    def _answer(self, block: bytes) -> None:
        message = Message.from_line(block.decode("utf-8", "backslashreplace").strip())
        if message is not None:
            self.handle_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the link is gone, once. No action is kept to be sent again."""
        self.closed = True
        reason = str(exc) or type(exc).__name__ if exc else "Asterisk closed the connection"
        if not self.lost.done():
            self.lost.set_result(reason)
        if not self.greeted.done():
            self.greeted.set_exception(LinkLostError(reason))
            self.greeted.exception()  # seen, even if nobody waits for it any more
        for action in list(self.responses.values()):
            if not action.future.done():
                action.future.set_exception(LinkLostError(reason))
                action.future.exception()
        self.responses.clear()

    def eof_received(self) -> bool:
        """A half-closed connection is a closed one."""
        return False


class ActionManager(Manager):  # type: ignore[misc]  # panoramisk ships no types
    """panoramisk's Manager without its own ping, reconnect, and sending again of what was not answered."""

    def ping(self) -> None:
        """Do nothing: AmiLink pings, with a deadline."""

    def connection_lost(self, exc: Any) -> None:
        """Do nothing: AmiSource reconnects."""

    async def send_awaiting_actions(self, *_: Any) -> None:
        """Do nothing: an action is sent once."""


class AmiLink:
    """One logged-in connection."""

    def __init__(self, settings: AmiSettings, listener: Listener) -> None:
        self._settings = settings
        self._listener = listener
        self._manager: ActionManager | None = None
        self.protocol: WireProtocol | None = None

    @property
    def version(self) -> str | None:
        """Asterisk's version, None when it did not tell."""
        return self.protocol.reader.version if self.protocol is not None else None

    async def open(self) -> None:
        """Connect and log in.

        Raises LinkLostError when there is no connection or no answer, WireError when it is not AMI, AuthError when
        Asterisk refuses the user.
        """
        settings = self._settings
        loop = asyncio.get_running_loop()
        self._manager = ActionManager(
            loop=loop,
            host=settings.host,
            port=settings.port,
            protocol_factory=lambda: WireProtocol(self._listener, settings.max_message_bytes),
        )
        opened = loop.create_future()
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                opened.set_result(
                    await loop.create_connection(
                        self._manager.config["protocol_factory"],
                        settings.host,
                        settings.port,
                        ssl=_tls(settings),
                        server_hostname=(settings.server_name or settings.host) if settings.tls else None,
                    )
                )
        except TimeoutError as error:
            raise LinkLostError(f"no connection within {settings.connect_timeout_s:g} s") from error
        except ssl.SSLError as error:
            raise LinkLostError(f"TLS: {error.reason or error}") from error
        except OSError as error:
            raise LinkLostError(f"no connection: {error.strerror or error}") from error
        self._manager.connection_made(opened)
        self._manager.pinger.cancel()
        self.protocol = self._manager.protocol
        await self._log_in()

    async def _log_in(self) -> None:
        settings, protocol = self._settings, self.protocol
        assert protocol is not None  # noqa: S101  open() made it
        try:
            async with asyncio.timeout(settings.login_timeout_s):
                await protocol.greeted
                challenge = await self._ask({"Action": "Challenge", "AuthType": "MD5"})
                if not challenge.success:
                    raise AuthError(f"Asterisk gave no MD5 challenge: {challenge.message}")
                key = hashlib.md5(f"{challenge.challenge}{settings.secret}".encode(), usedforsecurity=False).hexdigest()
                answer = await self._ask(
                    {
                        "Action": "Login",
                        "AuthType": "MD5",
                        "Username": settings.username,
                        "Key": key,
                        "Events": settings.event_mask,
                    }
                )
        except TimeoutError as error:
            raise LinkLostError(f"no answer to the login within {settings.login_timeout_s:g} s") from error
        if not answer.success:
            raise AuthError(f"login of user {settings.username!r} refused: {answer.message or 'no reason given'}")

    async def ask(self, action: dict[str, str], timeout_s: float | None = None) -> Message:
        """Send an action once; return its answer. Raises LinkLostError when none comes in ``timeout_s`` seconds."""
        limit = self._settings.login_timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit):
                return await self._ask(action)
        except TimeoutError as error:
            raise LinkLostError(f"no answer to {action['Action']} within {limit:g} s") from error

    async def _ask(self, action: dict[str, str]) -> Message:
        for key, value in action.items():
            if any(letter in key + value for letter in "\r\n\0"):
                raise WireError(f"action {action['Action'].split()[0]}: {key.split()[0]} holds a line break")
        assert self._manager is not None  # noqa: S101  open() made it
        assert self.protocol is not None  # noqa: S101
        if self.protocol.closed:
            raise LinkLostError("the connection is closed")
        sent = Action(action)
        try:
            return await self._manager.send_action(sent, as_list=False)
        finally:
            self.protocol.responses.pop(sent.id, None)

    async def stay(self) -> str:
        """Ping until the link is lost; return why it was."""
        settings, protocol = self._settings, self.protocol
        assert protocol is not None  # noqa: S101  open() made it
        while True:
            done, _ = await asyncio.wait([protocol.lost], timeout=settings.ping_interval_s)
            if done:
                return protocol.lost.result()
            try:
                await self.ask({"Action": "Ping"}, settings.ping_timeout_s)
            except LinkLostError as error:
                return protocol.lost.result() if protocol.lost.done() else str(error)

    async def close(self) -> None:
        """Log off if the link is up, and close it for good."""
        protocol = self.protocol
        if protocol is None:
            return
        if not protocol.closed:
            with contextlib.suppress(AsteriskSipError):
                await self.ask({"Action": "Logoff"}, CLOSE_TIMEOUT_S)
        self.abort()

    def abort(self) -> None:
        """Close the socket at once."""
        if self.protocol is not None and self.protocol.transport is not None:
            self.protocol.transport.abort()


class AmiSource:
    """Keeps a link to one Asterisk up and hands its events to a listener, until cancelled."""

    def __init__(self, name: str, settings: AmiSettings, listener: Listener) -> None:
        self._log = log.bind(pbx=name, door="ami")
        self._settings = settings
        self._listener = listener
        self._backoff = Backoff(settings.retry_min_s, settings.retry_max_s)
        self._told: str | None = None  # the reason of the outage that the log already has
        self.last_error: AsteriskSipError | None = None

    async def run(self) -> None:
        """Connect, listen, reconnect; for ever. Ends only by being cancelled, and then logs off."""
        while True:
            link = AmiLink(self._settings, self._listener)
            try:
                await self._once(link)
                delay_s = self._backoff.next_s()
            except AuthError as error:
                self._outage(error)
                delay_s = self._settings.auth_retry_s
            except AsteriskSipError as error:
                self._outage(error)
                delay_s = self._backoff.next_s()
            finally:
                await asyncio.shield(link.close())
            await asyncio.sleep(delay_s)

    async def _once(self, link: AmiLink) -> None:
        await link.open()
        await self._introduce(link)
        self._backoff.reset()
        self._told, self.last_error = None, None
        self._log.info("listening", asterisk=link.version)
        self._listener.link_up(link.version)
        reason = "stopped"
        try:
            await link.ask({"Action": "CoreShowChannels"})
            reason = await link.stay()
        except LinkLostError as error:
            reason = str(error)
        finally:
            self._listener.link_down(reason)
        self._outage(LinkLostError(reason))

    async def _introduce(self, link: AmiLink) -> None:
        answer = await link.ask({"Action": "CoreSettings"})
        if not answer.success:
            self._log.warning("Asterisk does not tell its version: give the user write = reporting")

    def _outage(self, error: AsteriskSipError) -> None:
        self.last_error = error
        if self._told is None:
            self._told = str(error)
            self._log.error(
                "not listening", reason=str(error), again="slowly" if isinstance(error, AuthError) else "soon"
            )


def _live_clock(fields: ami_wire.Fields) -> float:
    at = ami_wire.timestamp(fields)
    return time.time() if at is None else at


def _tls(settings: AmiSettings) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file is not None else None)

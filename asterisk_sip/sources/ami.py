"""The AMI door: one connection to one Asterisk, kept up for ever, its events handed on in order.

panoramisk's Manager carries actions and their answers; the reader is ours (``protocol_factory``), and so are login,
ping, time-outs and reconnecting.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import structlog
from panoramisk.actions import Action
from panoramisk.message import Message
from structlog.typing import FilteringBoundLogger

from asterisk_sip.errors import AuthError, LinkLostError, WireError
from asterisk_sip.sources import ami_wire
from asterisk_sip.sources.ami_protocol import ActionManager, WireProtocol
from asterisk_sip.sources.keeper import LinkedSource, tls_context, why_no_tls, why_unreachable
from asterisk_sip.sources.listener import Listener, Losses

__all__ = ["AmiLink", "AmiSettings", "AmiSource", "Listener", "Losses"]

CLOSE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class AmiSettings:
    """How to reach one Asterisk and how patient to be (seconds, bytes)."""

    host: str
    port: int
    username: str
    secret: str
    event_mask: str = "call,system,agent"
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
    gather_ms: int = 90

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"AmiSettings({self.username}@{self.host}:{self.port}{' tls' if self.tls else ''})"


class AmiLink:
    """One logged-in connection."""

    def __init__(self, settings: AmiSettings, listener: Listener, log: FilteringBoundLogger | None = None) -> None:
        self._settings = settings
        self._listener = listener
        self._log = log or structlog.get_logger(__name__)
        self._manager: ActionManager | None = None
        self.protocol: WireProtocol | None = None

    @property
    def version(self) -> str | None:
        """Asterisk's version, None when it did not tell."""
        return self.protocol.reader.version if self.protocol is not None else None

    @property
    def is_local(self) -> bool:
        """Whether Asterisk runs on this machine."""
        return self._settings.host in ("localhost", "127.0.0.1", "::1")

    @property
    def losses(self) -> Losses:
        """What this connection lost so far."""
        return self.protocol.losses if self.protocol is not None else Losses()

    async def open(self) -> None:
        """Connect and log in; when that fails, the socket is closed again.

        Raises LinkLostError when there is no connection or no answer, WireError when it is not AMI or when the
        settings cannot be said in AMI, AuthError when Asterisk refuses the user.
        """
        settings = self._settings
        _refuse_breaks({"Action": "Login", "Username": settings.username, "Events": settings.event_mask})
        self._manager = ActionManager(
            loop=asyncio.get_running_loop(),
            host=settings.host,
            port=settings.port,
            protocol_factory=lambda: WireProtocol(self._listener, settings.max_message_bytes, self._log),
        )
        opened = asyncio.get_running_loop().create_future()
        opened.set_result(await self._connect(self._manager))
        self._manager.connection_made(opened)
        self._manager.pinger.cancel()
        self.protocol = self._manager.protocol
        try:
            await self._log_in()
        except BaseException:
            self.abort()
            raise

    async def _connect(self, manager: ActionManager) -> tuple[asyncio.Transport, WireProtocol]:
        settings = self._settings
        context = tls_context(settings.ca_file) if settings.tls else None
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                return await asyncio.get_running_loop().create_connection(
                    manager.config["protocol_factory"],
                    settings.host,
                    settings.port,
                    ssl=context,
                    server_hostname=(settings.server_name or settings.host) if settings.tls else None,
                )
        except TimeoutError as error:
            raise LinkLostError(f"no connection within {settings.connect_timeout_s:g} s") from error
        except ssl.SSLError as error:
            raise LinkLostError(why_no_tls(error)) from error
        except OSError as error:
            raise LinkLostError(why_unreachable(error)) from error
        except UnicodeError as error:  # a name that DNS cannot even be asked for: an empty or overlong label
            raise LinkLostError(f"no connection: {settings.host!r} is no host name") from error

    async def _log_in(self) -> None:
        settings, protocol = self._settings, self.protocol
        assert protocol is not None  # noqa: S101  open() made it
        try:
            async with asyncio.timeout(settings.login_timeout_s):
                await protocol.greeted
                challenge = await self._ask({"Action": "Challenge", "AuthType": "MD5"})
                if not challenge.success or not challenge.challenge:
                    raise AuthError(f"Asterisk gave no MD5 challenge: {challenge.message or 'no reason given'}")
                answer = await self._ask(
                    {
                        "Action": "Login",
                        "AuthType": "MD5",
                        "Username": settings.username,
                        "Key": _key(challenge.challenge, settings.secret),
                        "Events": settings.event_mask,
                    }
                )
        except TimeoutError as error:
            missing = "greeting from an AMI" if protocol.reader.framer.banner is None else "answer to the login"
            raise LinkLostError(f"no {missing} within {settings.login_timeout_s:g} s") from error
        if not answer.success:
            raise AuthError(f"login of user {settings.username!r} refused: {answer.message or 'no reason given'}")

    async def ask(self, action: dict[str, str], timeout_s: float | None = None) -> Message:
        """Send an action once; return its answer.

        Raises LinkLostError when none comes in ``timeout_s`` seconds, and then the link is closed; WireError, with
        nothing sent, when the action holds a line break.
        """
        limit = self._settings.login_timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit):
                return await self._ask(action)
        except TimeoutError as error:
            self.abort()
            raise LinkLostError(f"no answer to {action['Action']} within {limit:g} s") from error

    async def _ask(self, action: dict[str, str]) -> Message:
        _refuse_breaks(action)
        assert self._manager is not None  # noqa: S101  open() made it
        assert self.protocol is not None  # noqa: S101  for the type checker
        if not self._is_open():
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
        protocol.breath_s = settings.gather_ms / 1000
        while True:
            done, _ = await asyncio.wait([protocol.lost], timeout=settings.ping_interval_s)
            if done:
                return protocol.lost.result()
            try:
                await self.ask({"Action": "Ping"}, settings.ping_timeout_s)
            except LinkLostError as error:
                return protocol.lost.result() if protocol.lost.done() else str(error)

    async def close(self) -> None:
        """Log off if the link is up, and close it for good. Cancelled meanwhile, it closes without waiting."""
        if self.protocol is None:
            return
        try:
            if self._is_open():
                with contextlib.suppress(LinkLostError):
                    await self.ask({"Action": "Logoff"}, CLOSE_TIMEOUT_S)
        finally:
            self.abort()
        await asyncio.wait([self.protocol.lost], timeout=CLOSE_TIMEOUT_S)

    def abort(self) -> None:
        """Close the socket at once: nothing more is heard."""
        if self.protocol is not None:
            self.protocol.transport.abort()

    def _is_open(self) -> bool:
        return self.protocol is not None and not self.protocol.closed and not self.protocol.transport.is_closing()


class AmiSource(LinkedSource[AmiLink]):
    """Keeps a link to one Asterisk up and hands its events to a listener, until cancelled."""

    def __init__(self, name: str, settings: AmiSettings, listener: Listener) -> None:
        super().__init__(name, "ami", settings, listener)
        self._settings = settings
        self._relisting: asyncio.Task[None] | None = None

    def _new_link(self) -> AmiLink:
        return AmiLink(self._settings, self._listener, self._log)

    async def _hear(self, link: AmiLink) -> str:
        await link.open()
        protocol = link.protocol
        assert protocol is not None  # noqa: S101  open() made it
        await self._introduce(link)
        self._keeper.listening(link.version)
        reason = "stopped"
        protocol.tell(self._listener.link_up, link.version)
        try:
            reason = await self._listen(link)
        finally:
            protocol.tell(self._listener.link_down, reason)
        return reason

    async def _introduce(self, link: AmiLink) -> None:
        answer = await link.ask({"Action": "CoreSettings"})
        if not answer.success:
            self._log.warning("Asterisk does not tell its version: give the user write = reporting")

    async def _listen(self, link: AmiLink) -> str:
        """Hear until the link is lost; return why. Closes the link, so that nothing is heard after ``link_down``."""
        try:
            await link.ask({"Action": "CoreShowChannels"})
            return await link.stay()
        except LinkLostError as error:
            return str(error)
        finally:
            await link.close()

    def relist(self) -> None:
        """Ask which channels are alive: some news of them may be lost. They come as events; no link, no answer."""
        if self._link is not None and (self._relisting is None or self._relisting.done()):
            self._relisting = asyncio.get_running_loop().create_task(self._relist(self._link))

    async def _relist(self, link: AmiLink) -> None:
        with contextlib.suppress(LinkLostError):
            await link.ask({"Action": "CoreShowChannels"})


def _refuse_breaks(action: dict[str, str]) -> None:
    """Raise WireError when a header would end its line and begin another: a header, or an action, of somebody's own."""
    for key, value in action.items():
        if any(letter in key or letter in value for letter in "\r\n\0"):
            raise WireError(f"action {action.get('Action')!r} is not sent: header {key!r} holds a line break or a NUL")


def _key(challenge: str, secret: str) -> str:
    return hashlib.md5(f"{challenge}{secret}".encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()

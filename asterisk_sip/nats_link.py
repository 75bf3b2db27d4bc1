"""A connection to NATS that is used until it fails, and then made anew: by the sink that publishes, and the collector.

The client's own reconnecting is switched off: who uses a link has to know of every loss, for what was under way then
has to be published or fetched again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import ServiceUnavailableError

from asterisk_sip.errors import BrokerError, os_words

PREFIX = "asterisk-sip"
"""The first token of every subject: ``asterisk-sip.PBX.WORD``."""

_PING_S = 10
_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """Where the servers are (``host:port`` each), and who we are to them.

    ``credentials_file`` is one as ``nsc`` makes it. With ``tls`` the server's certificate is verified, and nothing is
    told to a server that does not encrypt; ``ca_file`` is who signed it, ``cert_file`` and ``key_file`` are our own.
    """

    servers: tuple[str, ...]
    name: str = "asterisk-sip"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    credentials_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    connect_timeout_s: float = 5.0


class PublishRefusedError(BrokerError):
    """A stream does not take a message; ``code`` is the ``err_code`` of JetStream, 0 when there is no stream."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


class NatsLink:
    """One connection. ``lost`` is set as soon as it is of no use any more."""

    def __init__(self, client: Client, lost: asyncio.Event, complaints: deque[Exception]) -> None:
        self.lost = lost
        self._complaints = complaints
        self.jetstream: JetStreamContext = client.jetstream()
        self._client = client
        self._inbox = client.new_inbox()
        self._acks: dict[str, asyncio.Future[None]] = {}
        self._numbers = count()
        self._losing: asyncio.Task[None] | None = None

    @property
    def silence(self) -> str:
        """Say why no answer came, as far as that is known: a server refuses some things without an answer."""
        return reason_of(self._complaints[-1]) if self._complaints else "no acknowledgement came"

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str]) -> asyncio.Future[None]:
        """Publish; what is returned is done when the stream has it, or holds PublishRefusedError or BrokerError.

        Raises the client's errors when it cannot even be sent. The client has this too, but forgets what is refused.
        """
        if self._losing is None:
            await self._client.subscribe(f"{self._inbox}.*", cb=self._take_ack)
            self._losing = asyncio.create_task(self._lose())
        token = str(next(self._numbers))
        ack: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acks[token] = ack
        ack.add_done_callback(partial(self._forget, token))
        try:
            await self._client.publish(subject, body, f"{self._inbox}.{token}", dict(headers))
        except BaseException:
            ack.cancel()
            raise
        return ack

    async def close(self) -> None:
        """End it. Closing twice is fine."""
        await _close(self._client)
        self.lost.set()
        if self._losing is not None:
            await self._losing

    def _forget(self, token: str, ack: asyncio.Future[None]) -> None:
        self._acks.pop(token, None)
        if not ack.cancelled():
            ack.exception()  # whoever waited may have gone; if so, nobody is to be told

    async def _take_ack(self, message: Msg) -> None:
        ack = self._acks.get(message.subject.rpartition(".")[2])
        if ack is None or ack.done():
            return
        if message.headers and message.headers.get("Status") == "503":
            ack.set_exception(PublishRefusedError("nobody takes it", 0))
            return
        error = json.loads(message.data).get("error")
        if error is None:
            ack.set_result(None)
        else:
            ack.set_exception(PublishRefusedError(str(error.get("description")), error.get("err_code") or 0))

    async def _lose(self) -> None:
        await self.lost.wait()
        for ack in list(self._acks.values()):
            if not ack.done():
                ack.set_exception(BrokerError("the connection is lost"))


@contextlib.contextmanager
def broker_errors() -> Iterator[None]:
    """Turn what the client raises within into BrokerError."""
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise BrokerError(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """Say in plain words why NATS does not do something."""
    if isinstance(error, nats.errors.NoRespondersError | nats.errors.NoServersError | ServiceUnavailableError):
        return "no server answers"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "nothing came back in time"
    if isinstance(error, OSError):
        return os_words(error)
    described = getattr(error, "description", None)
    return str(described or error).removeprefix("nats: ").strip(" '\"") or type(error).__name__


async def connect(settings: NatsSettings) -> NatsLink:
    """Connect to one of the servers, whichever answers. Raises BrokerError with what each of them said."""
    context = await asyncio.to_thread(_tls_context, settings) if settings.tls else None
    reasons = []
    for server in random.sample(settings.servers, len(settings.servers)):  # so that companions spread over them
        try:
            return await _connect(settings, server, context)
        except BrokerError as error:
            reasons.append(f"{server}: {error}")
    raise BrokerError("; ".join(sorted(reasons)))


async def _connect(settings: NatsSettings, server: str, context: ssl.SSLContext | None) -> NatsLink:
    client = Client()
    lost = asyncio.Event()
    seen: deque[Exception] = deque(maxlen=1)

    async def on_error(error: Exception) -> None:
        seen.append(error)

    async def on_closed() -> None:
        lost.set()

    def must_encrypt() -> None:
        # The client goes on in the clear when the server does not ask for TLS.
        if settings.tls and not client._server_info.get("tls_required"):  # noqa: SLF001  nothing public tells it
            raise nats.errors.SecureConnWantedError

    def password() -> str:
        must_encrypt()
        return settings.password or ""

    options: dict[str, Any] = {"error_cb": on_error, "closed_cb": on_closed}
    if settings.user is not None:
        options |= {"user": settings.user, "password": password}
    if settings.credentials_file is not None:
        options["user_credentials"] = settings.credentials_file
    if context is not None:
        options["tls"] = context
    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            await client.connect(
                servers=[f"nats://{server}"],
                name=settings.name,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=max(1, int(settings.connect_timeout_s)),
                ping_interval=_PING_S,
                max_outstanding_pings=2,
                **options,
            )
        must_encrypt()
    except BaseException as error:
        await _close(client)
        if isinstance(error, Exception):
            raise BrokerError(_refusal(error, settings, seen)) from error
        raise
    return NatsLink(client, lost, seen)


def _refusal(error: Exception, settings: NatsSettings, complaints: deque[Exception]) -> str:
    """Say why there is no connection."""
    if isinstance(error, nats.errors.NoServersError) and complaints:
        error = complaints[-1]
    if isinstance(error, nats.errors.Error | OSError | TimeoutError):
        return reason_of(error)
    return (
        f"{settings.credentials_file or 'the client'}: {type(error).__name__} {error}"  # a bad file leads to anything
    )


async def _close(client: Client) -> None:
    """Close it; a connection that failed while it was being encrypted never says that it is closed."""
    with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await client.close()


def _tls_context(settings: NatsSettings) -> ssl.SSLContext:
    """Make the context. Raises BrokerError when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:
        raise BrokerError(f"the certificates cannot be read: {reason_of(error)}") from error
    return context

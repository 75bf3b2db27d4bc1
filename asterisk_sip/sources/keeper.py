"""What the doors do alike: try again after an outage, tell it once, trust certificates."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import structlog
from structlog.typing import FilteringBoundLogger

from asterisk_sip.errors import AsteriskSipError, AuthError, LinkLostError, TakenOverError, os_words
from asterisk_sip.retry import Backoff
from asterisk_sip.sources.listener import Listener, Losses

T = TypeVar("T")

_SLOWLY = (AuthError, TakenOverError)


class Keeper:
    """Makes one connection after another, for ever. ``last_error`` is the outage that lasts, None while we listen."""

    def __init__(self, log: FilteringBoundLogger, *, retry_min_s: float, retry_max_s: float, slow_s: float) -> None:
        self._log = log
        self._slow_s = slow_s
        self._told: type[AsteriskSipError] | None = None  # the kind of the outage that the log already has
        self.backoff = Backoff(retry_min_s, retry_max_s)
        self.last_error: AsteriskSipError | None = None

    async def keep(self, connect: Callable[[], Awaitable[str]]) -> None:
        """Connect again and again; ends only by being cancelled.

        ``connect`` listens until the link is lost and returns why it was; it raises one of our errors when there was no
        link at all.
        """
        while True:
            try:
                error: AsteriskSipError = LinkLostError(await connect())
            except AsteriskSipError as failed:
                error = failed
            self._outage(error)
            await asyncio.sleep(self._slow_s if isinstance(error, _SLOWLY) else self.backoff.next_s())

    def listening(self, version: str | None) -> None:
        """Hear that the outage is over: events come."""
        self.backoff.reset()
        self._told, self.last_error = None, None
        self._log.info("listening", asterisk=version)

    def _outage(self, error: AsteriskSipError) -> None:
        self.last_error = error
        if self._told is not type(error):
            self._told = type(error)
            self._log.error(
                "not listening", reason=str(error), again="slowly" if isinstance(error, _SLOWLY) else "soon"
            )


async def address_had(
    listen: Callable[[], Awaitable[T]], down: Callable[[str], None], log: FilteringBoundLogger, backoff: Backoff
) -> T:
    """Return what ``listen`` returns once it can have its address; tried ever more seldom as long as it cannot.

    ``listen`` raises LinkLostError then. ``down`` hears the first reason, the log each new one.
    """
    told: str | None = None
    while True:
        try:
            return await listen()
        except LinkLostError as error:
            reason = str(error)
        if told is None:
            down(reason)
        if told != reason:
            told = reason
            log.error("cannot listen", reason=told, again="soon")
        await asyncio.sleep(backoff.next_s())


class Patience(Protocol):
    """How long a source waits before it tries again (seconds)."""

    @property
    def retry_min_s(self) -> float:
        """After the first failure."""

    @property
    def retry_max_s(self) -> float:
        """At most."""

    @property
    def auth_retry_s(self) -> float:
        """After a failure that only a person can mend."""


class Link(Protocol):
    """One connection."""

    @property
    def losses(self) -> Losses:
        """What it lost so far."""

    async def close(self) -> None:
        """Close it for good; when it is closed already, do nothing."""


L = TypeVar("L", bound=Link)


class LinkedSource(ABC, Generic[L]):
    """Keeps a link to one Asterisk up and hands its events to a listener, until cancelled."""

    def __init__(self, name: str, door: str, patience: Patience, listener: Listener) -> None:
        self.pbx, self.door = name, door
        self._log = structlog.get_logger(__name__).bind(pbx=name, door=door)
        self._listener = listener
        self._keeper = Keeper(
            self._log,
            retry_min_s=patience.retry_min_s,
            retry_max_s=patience.retry_max_s,
            slow_s=patience.auth_retry_s,
        )
        self._link: L | None = None
        self._lost_before = Losses()  # on links that are no more

    @property
    def last_error(self) -> AsteriskSipError | None:
        """The outage that lasts, None while we listen."""
        return self._keeper.last_error

    @property
    def losses(self) -> Losses:
        """What was lost so far, over all connections."""
        now = self._link.losses if self._link is not None else Losses()
        return Losses(*(before + more for before, more in zip(self._lost_before, now, strict=True)))

    async def run(self) -> None:
        """Connect, listen, reconnect; for ever. Ends only by being cancelled, and then says farewell."""
        await self._keeper.keep(self._connection)

    async def _connection(self) -> str:
        link = self._link = self._new_link()
        try:
            return await self._hear(link)
        finally:
            await link.close()
            self._lost_before, self._link = self.losses, None

    @abstractmethod
    def _new_link(self) -> L:
        """Return a link that is not open yet."""

    @abstractmethod
    async def _hear(self, link: L) -> str:
        """Open it and hear until it is lost; return why it was."""


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies; ``ca_file`` holds the authorities to trust, None means this machine's.

    Raises LinkLostError when there are none in it.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
    except OSError as error:
        raise LinkLostError(f"TLS: no CA certificates in {ca_file}: {error.strerror or error}") from error


def why_no_tls(error: ssl.SSLError) -> str:
    """Return what to tell an operator of a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is not trusted: {error.verify_message or error}"
    return f"TLS: {error.reason or error} (is it TLS that is spoken there?)"


def why_unreachable(error: OSError) -> str:
    """Return what to tell an operator of a connection that was not made."""
    return f"no connection: {os_words(error)}"

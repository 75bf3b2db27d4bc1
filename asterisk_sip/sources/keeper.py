"""What the doors do alike: try again after an outage, tell it once, trust certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from asterisk_sip.errors import AsteriskSipError, AuthError, LinkLostError, TakenOverError
from asterisk_sip.retry import Backoff

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
            log.error("cannot listen", reason=told)
        await asyncio.sleep(backoff.next_s())


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

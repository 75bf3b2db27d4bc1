"""One HTTP POST for each record, as a CloudEvent, signed as Standard Webhooks has it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from standardwebhooks import Webhook

from asterisk_sip import __version__
from asterisk_sip.errors import PermanentSinkError, SinkError, TransientSinkError
from asterisk_sip.sinks.base import Delivery, Kind
from asterisk_sip.sinks.cloud_event_wire import MEDIA_TYPE, cloud_event

_LATER = frozenset({408, 425, 429})
_ANSWER_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where to send, signed with all ``secrets`` (base64, after ``whsec_``): a new one and an old one meanwhile.

    ``parallel`` requests are under way at a time, each for ``timeout_s`` at most. ``ca_file``: who signed the server's
    certificate, if not an authority this machine trusts.
    """

    url: str = field(repr=False)
    wants: frozenset[Kind] = frozenset({"failure"})
    secrets: tuple[str, ...] = field(default=(), repr=False)
    parallel: int = 8
    timeout_s: float = 10.0
    ca_file: Path | None = None


class WebhookSink:
    """Delivers every record by itself, some at a time.

    What was answered within a batch that failed is not sent again; what may have arrived without an answer is sent
    again with the mark ``repeated``. Messages name the server only: the rest of a URL may be a secret.
    """

    def __init__(self, settings: WebhookSettings) -> None:
        self.wants = settings.wants
        self.at_most = settings.parallel
        self._settings = settings
        self._signers = [Webhook(secret) for secret in settings.secrets]
        self._place = _place(settings.url)
        self._session: aiohttp.ClientSession | None = None
        self._answered: dict[str, PermanentSinkError | None] = {}
        self._unclear: set[str] = set()

    async def open(self) -> None:
        """Make ready; nothing is sent. Raises TransientSinkError when ``ca_file`` cannot be read."""
        if self._session is not None:
            return
        try:
            tls = await asyncio.to_thread(ssl.create_default_context, cafile=self._settings.ca_file)
        except OSError as error:
            raise TransientSinkError(f"{self._settings.ca_file}: {error.strerror or error}") from error
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.parallel, ssl=tls),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
            headers={"Content-Type": MEDIA_TYPE, "User-Agent": f"asterisk-sip/{__version__}"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Send each and wait for all answers. Raises as the first one that was not taken; ``taken`` counts up to it."""
        errors = await asyncio.gather(*map(self._settle, deliveries))
        taken = next((number for number, error in enumerate(errors) if error is not None), len(deliveries))
        over = deliveries if len(deliveries) == 1 else deliveries[:taken]  # one refused by itself is not offered again
        for delivery in over:
            self._answered.pop(delivery.id, None)
        if taken == len(deliveries):
            return
        error = errors[taken]
        if isinstance(error, PermanentSinkError):
            raise PermanentSinkError(str(error), taken)
        waits = [each.not_before_s or 0.0 for each in errors if isinstance(each, TransientSinkError)]
        raise TransientSinkError(str(error), taken, max(waits) or None)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _settle(self, delivery: Delivery) -> SinkError | None:
        """Send one, unless it was answered for good before; return why it was not taken."""
        if delivery.id in self._answered:
            return self._answered[delivery.id]
        repeated = delivery.repeated or delivery.id in self._unclear
        self._unclear.add(delivery.id)
        try:
            await self._send(replace(delivery, repeated=repeated))
        except TransientSinkError as error:
            return error
        except PermanentSinkError as error:
            self._answered[delivery.id] = error
        else:
            self._answered[delivery.id] = None
        self._unclear.discard(delivery.id)
        return self._answered[delivery.id]

    async def _send(self, delivery: Delivery) -> None:
        try:
            body = cloud_event(delivery.id, delivery.text, gap=delivery.kind == "gap", repeated=delivery.repeated)
        except (ValueError, KeyError, TypeError) as error:
            raise PermanentSinkError(f"not a record of this version: {error!r}") from error
        if self._session is None:
            raise TransientSinkError(f"{self._place}: not open")
        headers = self._signed(delivery.id, datetime.now(UTC), body)
        try:
            url = self._settings.url
            async with self._session.post(url, data=body.encode(), headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    raise await self._refused(answer)
        except TimeoutError as error:
            raise TransientSinkError(f"{self._place}: no answer within {self._settings.timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise TransientSinkError(f"{self._place}: {reason}") from error

    def _signed(self, id_: str, at: datetime, body: str) -> dict[str, str]:
        headers = {"webhook-id": id_, "webhook-timestamp": str(int(at.timestamp()))}
        if self._signers:
            headers["webhook-signature"] = " ".join(signer.sign(id_, at, body) for signer in self._signers)
        return headers

    async def _refused(self, answer: aiohttp.ClientResponse) -> SinkError:
        """Decide whether an answer other than 2xx may change later."""
        reason = f"{self._place}: answered {answer.status}"
        if 300 <= answer.status < 400:
            return TransientSinkError(f"{reason}, but redirects are not followed; set the new address as url")
        if answer.status in _LATER or answer.status >= 500:
            return TransientSinkError(reason, not_before_s=_seconds(answer.headers.get("Retry-After")))
        said = (await answer.content.read(_ANSWER_CHARACTERS)).decode("utf-8", "replace").strip()
        return PermanentSinkError(f"{reason}: {said}" if said else reason)


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3); None when it says nothing of use."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdigit():
            return float(retry_after)
        at = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())

"""One HTTP POST for each record, as a CloudEvent, signed as Standard Webhooks has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from standardwebhooks import Webhook

from asterisk_sip.errors import PermanentSinkError, SinkError, TransientSinkError
from asterisk_sip.sinks.base import Delivery, Kind
from asterisk_sip.sinks.cloud_event_wire import MEDIA_TYPE, cloud_event
from asterisk_sip.sinks.poster import Poster, PostSettings, signed


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
        self._poster = Poster(
            PostSettings(settings.url, settings.parallel, settings.timeout_s, settings.ca_file), MEDIA_TYPE
        )
        self._signers = [Webhook(secret) for secret in settings.secrets]
        self._answered: dict[str, PermanentSinkError | None] = {}
        self._unclear: set[str] = set()

    async def open(self) -> None:
        """Make ready; nothing is sent. Raises TransientSinkError when ``ca_file`` cannot be read."""
        await self._poster.open()

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
        await self._poster.close()

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
        await self._poster.post(body.encode(), signed(self._signers, delivery.id, body))

"""Notices by HTTP: a CloudEvent, signed as Standard Webhooks has it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from standardwebhooks import Webhook

from asterisk_sip.sinks.base import Delivery, Kind
from asterisk_sip.sinks.cloud_event_wire import MEDIA_TYPE, enveloped
from asterisk_sip.sinks.poster import Poster, PostSettings, signed

SOURCE = "/alerts"


class WebhookTarget:
    """Posts each notice. All ``secrets`` (base64, after ``whsec_``) sign: a new one and an old one meanwhile."""

    wants: frozenset[Kind] = frozenset({"notice"})
    at_most = 1

    def __init__(self, settings: PostSettings, secrets: Sequence[str] = ()) -> None:
        self._poster = Poster(settings, MEDIA_TYPE)
        self._signers = [Webhook(secret) for secret in secrets]

    async def open(self) -> None:
        """Make ready; nothing is sent. Raises TransientSinkError when ``ca_file`` cannot be read."""
        await self._poster.open()

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Post notices, in order. Raises TransientSinkError or PermanentSinkError, as the answer says."""
        for delivery in deliveries:
            data = json.loads(delivery.text)
            type_ = f"asterisk-sip.alert.{data['state']}"
            body = enveloped(delivery.text, delivery.id, SOURCE, type_, data["at"], repeated=delivery.repeated)
            await self._poster.post(body.encode(), signed(self._signers, delivery.id, body))

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

"""Records into a NATS JetStream: each published under its id, and taken when the stream has it on its disks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from nats.js import api
from nats.js.errors import BadRequestError, NotFoundError

from asterisk_sip.errors import BrokerError, PermanentSinkError, SinkError, TransientSinkError
from asterisk_sip.nats_link import (
    PREFIX,
    NatsLink,
    NatsSettings,
    PublishRefusedError,
    broker_errors,
    connect,
    reason_of,
)
from asterisk_sip.sinks.base import Delivery, Kind
from asterisk_sip.sinks.cloud_event_wire import told

_TOO_LARGE = 10_054  # JSStreamMessageExceedsMaximumErr
_HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The stream. With ``create`` it is made if it is not there: with so many copies of it, on so many servers.

    ``dedupe_s``: for so long it knows an id again. ``max_age_h``: what is older is deleted, collected or not.
    """

    name: str = "asterisk-sip"
    create: bool = False
    replicas: int = 3
    dedupe_s: int = 120
    max_age_h: int = 168


@dataclass(frozen=True, slots=True)
class NatsSinkSettings:
    """How to reach NATS, what to publish, and how long to wait until the stream has it."""

    nats: NatsSettings
    wants: frozenset[Kind] = frozenset({"failure"})
    stream: StreamSettings = field(default_factory=StreamSettings)
    ack_timeout_s: float = 10.0


class NatsSink:
    """Publishes a batch at once, to ``asterisk-sip.PBX.WORD``, and waits until all of it is acknowledged.

    ``WORD`` is failed, rescued, abandoned, answered or gap; dots in the name of a PBX become ``_``. The body is the
    JSON of the record or the gap; its id is the ``Nats-Msg-Id``. What may have been published before has the header
    ``Asterisk-Sip-Repeated`` in case the stream does not know the id any more.
    """

    at_most = 500

    def __init__(self, settings: NatsSinkSettings) -> None:
        self.wants = settings.wants
        self._settings = settings
        self._link: NatsLink | None = None

    async def open(self) -> None:
        """Connect, and make the stream if that is wanted. Raises TransientSinkError."""
        try:
            await self._linked()
        except BrokerError as error:
            raise TransientSinkError(f"NATS: {error}") from error

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Publish a batch. Raises TransientSinkError, PermanentSinkError for what is too large or no record."""
        try:
            await self._write(deliveries)
        except TransientSinkError:
            await self.close()  # whatever state it is in, a new connection is in a better one
            raise

    async def close(self) -> None:
        """End the connection."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _linked(self) -> NatsLink:
        if self._link is not None and self._link.lost.is_set():
            await self.close()
        if self._link is None:
            link = await connect(self._settings.nats)
            try:
                if self._settings.stream.create:
                    await ensure_stream(link, self._settings.stream)
            except BaseException:
                await link.close()
                raise
            self._link = link
        return self._link

    async def _write(self, deliveries: Sequence[Delivery]) -> None:
        under_way: list[asyncio.Future[None]] = []
        unsent: SinkError | None = None
        link: NatsLink | None = None
        try:
            link = await self._linked()
            for delivery in deliveries:
                ack = await _publish(link, self._settings.stream.name, delivery)
                under_way.append(ack)  # some may be under way when one cannot be sent
        except SinkError as error:
            unsent = error
        except (BrokerError, nats.errors.Error, OSError, TimeoutError) as error:
            unsent = TransientSinkError(f"NATS: {reason_of(error)}")
        if under_way:
            timeout_s = self._settings.ack_timeout_s
            await asyncio.wait(under_way, timeout=timeout_s, return_when=asyncio.FIRST_EXCEPTION)
        troubles = [_trouble(ack, link) for ack in under_way]
        taken = next((number for number, trouble in enumerate(troubles) if trouble is not None), len(under_way))
        trouble = troubles[taken] if taken < len(under_way) else unsent
        if trouble is not None:
            trouble.taken = taken
            raise trouble


async def _publish(link: NatsLink, stream: str, delivery: Delivery) -> asyncio.Future[None]:
    try:
        what = told(delivery.text, gap=delivery.kind == "gap")
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentSinkError(f"not a record of this version: {error!r}") from error
    headers = {"Nats-Msg-Id": delivery.id, "Nats-Expected-Stream": stream}
    if delivery.repeated:
        headers["Asterisk-Sip-Repeated"] = "true"
    try:
        return await link.publish(f"{PREFIX}.{what.pbx.replace('.', '_')}.{what.word}", delivery.text.encode(), headers)
    except nats.errors.MaxPayloadError as error:
        raise PermanentSinkError("NATS: larger than the server takes") from error


def _trouble(ack: asyncio.Future[None], link: NatsLink | None) -> SinkError | None:
    """Say why a record is not in the stream, and decide whether it may be later; None when it is there."""
    if not ack.done():
        ack.cancel()
        return TransientSinkError(f"NATS: {link.silence if link is not None else 'not connected'}")
    error = ack.exception()
    if error is None:
        return None
    if isinstance(error, PublishRefusedError):
        if error.code == _TOO_LARGE:
            return PermanentSinkError("NATS: larger than the stream takes")
        if error.code == 0:
            return TransientSinkError(f"NATS: no stream takes {PREFIX}.>, or it has no leader just now")
    return TransientSinkError(f"NATS: {error}")


async def ensure_stream(link: NatsLink, settings: StreamSettings) -> None:
    """Make the stream unless it is there. Raises BrokerError."""
    config: dict[str, Any] = {
        "name": settings.name,
        "subjects": [f"{PREFIX}.>"],
        "storage": api.StorageType.FILE,
        "num_replicas": settings.replicas,
        "duplicate_window": settings.dedupe_s,
        "max_age": settings.max_age_h * _HOUR_S,
    }
    with broker_errors():
        try:
            await link.jetstream.stream_info(settings.name)
        except NotFoundError:
            try:
                await link.jetstream.add_stream(api.StreamConfig(**config))
            except BadRequestError:
                await link.jetstream.stream_info(settings.name)  # another companion was faster, or it cannot be made

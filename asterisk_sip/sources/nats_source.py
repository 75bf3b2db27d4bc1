"""The door of a collector: what companions published to a stream, given on in batches and acknowledged when safe."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from asterisk_sip.errors import BrokerError
from asterisk_sip.nats_link import PREFIX, NatsLink, NatsSettings, broker_errors, connect
from asterisk_sip.retry import Backoff

log = structlog.get_logger(__name__)

_WAIT_S = 5.0
_RETRY_S = (0.2, 15.0)


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """Which stream to read. Collectors of one ``durable`` name share its messages.

    ``max_ack_pending`` messages may be given out and not acknowledged; one that is not within ``ack_wait_s`` is given
    out again. Both hold from when the first collector makes the consumer. ``batch`` is how many are taken at once.
    """

    nats: NatsSettings
    stream: str = "asterisk-sip"
    durable: str = "collector"
    max_ack_pending: int = 5_000
    ack_wait_s: int = 30
    batch: int = 1_000


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the stream. ``number`` is its place in it, ``id`` empty when its publisher gave none."""

    number: int
    subject: str
    id: str
    body: bytes


class NatsSource:
    """Reads a stream until it is cancelled, and mends its connection by itself.

    ``take`` must return when a batch is safe, and not before. What was taken and could not be acknowledged comes again:
    ``take`` has to know ids again.
    """

    def __init__(self, settings: CollectorSettings, take: Callable[[Sequence[Message]], Awaitable[None]]) -> None:
        self._settings = settings
        self._take = take
        self._backoff = Backoff(*_RETRY_S)
        self._told: str | None = None
        self.trouble: str | None = "not connected yet"  # why nothing is collected, None while something can be

    async def run(self) -> None:
        """Read for ever; ends only by being cancelled."""
        while True:
            try:
                async with self._linked() as link:
                    await self._read(link)
            except BrokerError as error:
                if self._told is None:
                    log.warning("nothing is collected; companions keep what they record", reason=str(error))
                self._told = self.trouble = str(error)
            await asyncio.sleep(self._backoff.next_s())

    @contextlib.asynccontextmanager
    async def _linked(self) -> AsyncIterator[NatsLink]:
        link = await connect(self._settings.nats)
        try:
            yield link
        finally:
            await link.close()

    async def _read(self, link: NatsLink) -> None:
        subscription = await self._subscribe(link)
        log.info("collecting", stream=self._settings.stream, durable=self._settings.durable)
        self._told = self.trouble = None
        while True:
            messages = await self._fetch(link, subscription)
            if messages:
                self._backoff.reset()
                async with _kept(messages, self._settings.ack_wait_s / 3):
                    await self._take([_message(each) for each in messages])
                with broker_errors():
                    for each in messages:
                        await each.ack()

    async def _subscribe(self, link: NatsLink) -> JetStreamContext.PullSubscription:
        settings = self._settings
        consumer = api.ConsumerConfig(
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=settings.ack_wait_s,
            max_ack_pending=settings.max_ack_pending,
        )
        try:
            with broker_errors():
                return await link.jetstream.pull_subscribe(f"{PREFIX}.>", settings.durable, settings.stream, consumer)
        except BrokerError as error:
            if isinstance(error.__cause__, NotFoundError):
                raise BrokerError(f"there is no stream {settings.stream} yet") from error
            raise

    async def _fetch(self, link: NatsLink, subscription: JetStreamContext.PullSubscription) -> list[Msg]:
        """Return what there is, as soon as there is something; nothing after a while."""
        try:
            with broker_errors():
                messages = await subscription.fetch(min(self._settings.batch, self._settings.max_ack_pending), _WAIT_S)
            if messages:
                return messages
        except BrokerError as error:
            if not isinstance(error.__cause__, TimeoutError) or link.lost.is_set():
                raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise BrokerError("the connection is lost") from None  # the client cancels who waits when it closes
        with broker_errors():
            await subscription.consumer_info()  # nothing came: perhaps because the stream was made anew
        return []


@contextlib.asynccontextmanager
async def _kept(messages: Sequence[Msg], every_s: float) -> AsyncIterator[None]:
    """Keep messages from being given to another collector while they are worked on."""

    async def keep() -> None:
        with contextlib.suppress(nats.errors.Error, OSError):
            while True:
                await asyncio.sleep(every_s)
                for each in messages:
                    await each.in_progress()

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def _message(message: Msg) -> Message:
    headers = message.headers or {}
    return Message(message.metadata.sequence.stream, message.subject, headers.get("Nats-Msg-Id", ""), message.data)

"""From the configuration to what speaks with NATS: the sink, and the collector."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

import structlog

from asterisk_sip.config import Config
from asterisk_sip.config_nats import CollectorConfig, NatsKeys
from asterisk_sip.config_sinks import NatsConfig
from asterisk_sip.daemon_sinks import patience
from asterisk_sip.daemon_watch import Watch
from asterisk_sip.nats_link import NatsSettings
from asterisk_sip.sinks.base import Delivery, Kind
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.sinks.hand_over import HandOver
from asterisk_sip.sinks.nats import NatsSink, NatsSinkSettings, StreamSettings
from asterisk_sip.sinks.store import StoreSink
from asterisk_sip.sources.nats_source import CollectorSettings, Message, NatsSource
from asterisk_sip.stores.place import StorePlace

log = structlog.get_logger(__name__)


def sink(config: NatsConfig) -> NatsSink:
    """Return the sink."""
    stream = StreamSettings(config.stream, config.create, config.replicas, config.dedupe_s, config.max_age_h)
    return NatsSink(NatsSinkSettings(nats_settings(config, config.name), frozenset(config.wants), stream))


def nats_settings(config: NatsKeys, name: str) -> NatsSettings:
    """Return how to reach NATS; ``name`` is how its monitoring calls us."""
    return NatsSettings(
        config.servers,
        f"asterisk-sip {name}",
        config.user,
        None if config.password is None else config.password.get_secret_value(),
        config.credentials_file,
        config.tls,
        config.ca_file,
        config.cert_file,
        config.key_file,
    )


async def collect(config: Config, collector: CollectorConfig, watch: Watch, stop: asyncio.Event) -> None:
    """Write what companions publish into the store until ``stop``. Raises StoreError for a driver that is missing."""
    place = StorePlace(config.store.path, config.store.url, config.store.plain_password)
    dead = DeadLetters(config.delivery.dead_letters)
    hands = watch.collector = HandOver("store", StoreSink(place.store(config.records.keep)), dead, patience(config))

    async def take(messages: Sequence[Message]) -> None:
        await hands.deliver([_delivery(message) for message in messages])

    settings = CollectorSettings(
        nats_settings(collector, collector.durable),
        collector.stream,
        collector.durable,
        collector.max_ack_pending,
        collector.ack_wait_s,
    )
    source = NatsSource(settings, take)
    watch.collecting = lambda: source.trouble
    collecting = asyncio.create_task(_collect(hands, source))
    watch.phase = "running"
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({collecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (collecting, stopping):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await collecting
    log.info("stopped", records=hands.progress.delivered, store=str(place))


async def _collect(hands: HandOver, source: NatsSource) -> None:
    try:
        await hands.open()
        await source.run()
    finally:
        await hands.close()


def _delivery(message: Message) -> Delivery:
    kind: Kind = "gap" if message.subject.endswith(".gap") else "failure"
    return Delivery(message.number, kind, message.id, message.body.decode("utf-8", "replace"))


def streams(config: Config) -> Iterator[tuple[str, NatsSettings, str, bool]]:
    """Give the key of each stream in the configuration, how it is reached, its name, and whether we make it."""
    if config.collector is not None:
        yield "collector", nats_settings(config.collector, "check"), config.collector.stream, False
    for number, each in enumerate(config.sink.nats):
        yield f"sink.nats[{number}]", nats_settings(each, "check"), each.stream, each.create

"""From the configuration to what speaks with NATS: the sink, and the collector."""

from __future__ import annotations

from asterisk_sip.config_nats import NatsKeys
from asterisk_sip.config_sinks import NatsConfig
from asterisk_sip.nats_link import NatsSettings
from asterisk_sip.sinks.nats import NatsSink, NatsSinkSettings, StreamSettings


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

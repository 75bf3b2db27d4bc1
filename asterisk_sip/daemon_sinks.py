"""Makes the sinks of the configuration, each with its courier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from asterisk_sip.config import Config
from asterisk_sip.config_otlp import OtlpConfig
from asterisk_sip.config_sinks import JsonlConfig, NatsConfig, PluginConfig, WebhookConfig
from asterisk_sip.errors import ConfigError
from asterisk_sip.sinks.base import Sink
from asterisk_sip.sinks.courier import Courier
from asterisk_sip.sinks.couriers import Couriers, Reader
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.sinks.hand_over import Patience
from asterisk_sip.sinks.jsonl import JsonlSettings, JsonlSink
from asterisk_sip.sinks.stdout import StdoutSink
from asterisk_sip.sinks.store import StoreSink
from asterisk_sip.sinks.webhook import WebhookSettings, WebhookSink
from asterisk_sip.stores.place import StorePlace
from asterisk_sip.stores.spool import Spool

OTLP_NEEDS = "needs its messages: pip install 'asterisk-sip[otlp]'"

GROUP = "asterisk_sip.sinks"
"""The entry points by which other packages add sinks."""


OTLP = "otlp"
STORE = "store"
"""The names of the sinks that are no ``[[sink...]]``: for `[otlp]`, and for the database which ``store.url`` names."""


def delivers(config: Config) -> bool:
    """Return whether anything is delivered anywhere: then what is recorded is kept until it was."""
    otlp = config.otlp is not None and (config.otlp.logs or config.otlp.traces)
    judged = any(alert.enabled for alert in config.alerts)
    return config.sink.any or config.store.url is not None or otlp or judged


def open_sinks(config: Config, spool: Spool, readers: Sequence[Reader] = ()) -> Couriers:
    """Return the couriers for every sink, beside other ``readers`` of the spool.

    Raises ConfigError for a sink that nobody installed, or two of one name.
    """
    dead, how = DeadLetters(config.delivery.dead_letters), patience(config)
    sinks: dict[str, Sink] = {}
    for key, name, sink in _sinks(config):
        if name in sinks:
            raise ConfigError("the configuration", [(f"{key}.name", f"{name!r} is already the name of another sink")])
        sinks[name] = sink
    return Couriers([Courier(name, sink, spool, dead, how) for name, sink in sinks.items()], spool, readers)


def patience(config: Config) -> Patience:
    """Return how patiently sinks are treated."""
    delivery = config.delivery
    return Patience(delivery.timeout_s, delivery.retry_min_s, delivery.retry_max_s)


def _sinks(config: Config) -> Iterator[tuple[str, str, Sink]]:
    """Give the key in the configuration, the name and the sink itself, of each."""
    if config.store.url is not None:
        place = StorePlace(config.store.path, config.store.url, config.store.plain_password)
        yield "store", STORE, StoreSink(place.store(config.records.keep))
    if config.otlp is not None and (config.otlp.logs or config.otlp.traces):
        yield "otlp", OTLP, _otlp(config.otlp)
    for number, jsonl in enumerate(config.sink.jsonl):
        yield f"sink.jsonl[{number}]", jsonl.name, JsonlSink(_jsonl_settings(jsonl))
    if config.sink.stdout is not None:
        yield "sink.stdout", config.sink.stdout.name, StdoutSink(frozenset(config.sink.stdout.wants))
    for number, webhook in enumerate(config.sink.webhook):
        yield f"sink.webhook[{number}]", webhook.name, WebhookSink(_webhook_settings(webhook))
    for number, stream in enumerate(config.sink.nats):
        yield f"sink.nats[{number}]", stream.name, _nats(stream, f"sink.nats[{number}]")
    for number, plugin in enumerate(config.sink.plugin):
        yield f"sink.plugin[{number}]", plugin.name, _plugin(plugin, f"sink.plugin[{number}]")


def _jsonl_settings(config: JsonlConfig) -> JsonlSettings:
    return JsonlSettings(
        Path(config.path), frozenset(config.wants), config.max_mb, config.max_hours, config.keep_files, config.fsync
    )


def _webhook_settings(config: WebhookConfig) -> WebhookSettings:
    secrets = () if config.secret is None else tuple(config.secret.get_secret_value().split(" "))
    return WebhookSettings(
        config.url, frozenset(config.wants), secrets, config.parallel, config.timeout_s, config.ca_file
    )


def _nats(config: NatsConfig, key: str) -> Sink:
    try:
        from asterisk_sip import daemon_nats  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError("the configuration", [(key, "needs a client: pip install 'asterisk-sip[nats]'")]) from error
    return daemon_nats.sink(config)


def _otlp(config: OtlpConfig) -> Sink:
    try:
        from asterisk_sip import daemon_otlp  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError("the configuration", [("otlp", OTLP_NEEDS)]) from error
    return daemon_otlp.sink(config)


def _plugin(config: PluginConfig, key: str) -> Sink:
    """Make a sink of another package, by its entry point."""
    installed = entry_points(group=GROUP)
    found = [point for point in installed if point.name == config.entry]
    if not found:
        names = ", ".join(sorted(point.name for point in installed)) or "none"
        raise ConfigError(
            "the configuration", [(f"{key}.entry", f"no package adds {config.entry!r}; there is: {names}")]
        )
    try:
        sink: Sink = found[0].load()(config.name, dict(config.options))
    except Exception as error:
        raise ConfigError("the configuration", [(key, f"{config.entry} does not start: {error}")]) from error
    sink.wants = frozenset(config.wants)
    return sink

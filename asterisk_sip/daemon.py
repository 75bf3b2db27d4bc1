"""The composition root: the only file that sees every room."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import partial

import structlog

from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.overrides import Override
from asterisk_sip.catalog import all_dispositions
from asterisk_sip.config import Config
from asterisk_sip.config_nats import CollectorConfig
from asterisk_sip.daemon_alarms import Alarms
from asterisk_sip.daemon_doors import Source, journal_kept, open_agi, open_ari, open_doors, open_hep, sip_addresses
from asterisk_sip.daemon_keeping import kept
from asterisk_sip.daemon_notify import alive
from asterisk_sip.daemon_reload import Load, Prepare, log_level, reloaded, together
from asterisk_sip.daemon_sinks import OTLP_NEEDS, delivers, open_sinks
from asterisk_sip.daemon_watch import Watch
from asterisk_sip.daemon_web import beside
from asterisk_sip.errors import ConfigError
from asterisk_sip.pipeline import Pipeline
from asterisk_sip.privacy import private
from asterisk_sip.sources.journal import Journal
from asterisk_sip.stores.sqlite import SqliteStore

log = structlog.get_logger(__name__)


async def run(
    config: Config,
    on_stored: Callable[[list[CallRecord]], None] | None = None,
    *,
    load: Load | None = None,
    demo: bool = False,
) -> None:
    """Run until SIGTERM or SIGINT: store first, then sinks, pipeline, sources; stopped the other way round.

    ``load`` reads the configuration again, at SIGHUP. ``demo``: the pages say that this is none of the reader's PBXs.

    Raises StoreError when the store cannot be opened.
    """
    for warning in config.warnings:
        log.warning(warning)
    if config.collector is not None:
        return await _collect(config, config.collector, load)
    watch = Watch(config)
    store = SqliteStore(config.store.path, keep=config.records.keep, delivers=delivers(config))
    await store.open()
    try:
        async with (
            journal_kept(config) as journal,
            kept(config, store),
            beside(config, watch, demo=demo) as of_web,
            _telling(config, watch),
        ):
            await _serve(config, store, journal, watch, on_stored, of_web=of_web, load=load)
    finally:
        await store.close()


async def _collect(config: Config, collector: CollectorConfig, load: Load | None) -> None:
    try:
        from asterisk_sip import daemon_nats  # noqa: PLC0415  an extra
    except ImportError as error:
        reason = "needs a client: pip install 'asterisk-sip[nats]'"
        raise ConfigError("the configuration", [("collector", reason)]) from error
    watch = Watch(config)
    async with (
        kept(config),
        beside(config, watch) as of_web,
        alive(watch.status),
        reloaded(config, load, {"log.level": log_level, **of_web}),
    ):
        await daemon_nats.collect(config, collector, watch, stop_event())


async def _serve(
    config: Config,
    store: SqliteStore,
    journal: Journal | None,
    watch: Watch,
    on_stored: Callable[[list[CallRecord]], None] | None,
    *,
    of_web: Mapping[str, Prepare],
    load: Load | None,
) -> None:
    alarms = watch.alarms = Alarms(config, store)
    couriers = watch.couriers = open_sinks(config, store, alarms.readers)

    def stored(records: list[CallRecord]) -> None:
        couriers.wake()
        watch.stored(records)
        if on_stored is not None:
            on_stored(records)

    pipeline = watch.pipeline = Pipeline(
        store,
        inbox_max_events=config.pipeline.inbox_max_events,
        flush_s=config.store.flush_ms / 1000,
        on_stored=stored,
        private=private(config.privacy),
    )
    limits = Limits(open_calls=config.records.max_open_calls, age_s=config.records.max_call_age_s)
    stop = stop_event()
    couriers.start()
    alarms.start(couriers)
    async with asyncio.TaskGroup() as rooms:
        sources: list[Source] = []
        for pbx in config.pbx:
            around = Surroundings(pbx.name, trunks=trunk_rules(config), overrides=override_rules(config))
            settle_s = config.pipeline.settle_ms / 1000 if len(pbx.doors) > 1 else 0.0
            desk = await pipeline.add(around, limits, pbx.doors, settle_s, sip_addresses(pbx))
            if journal is not None:
                desk.tape_of = partial(journal.tape, pbx.name)
            sources += open_doors(pbx, desk)
        heard = list(zip(config.pbx, pipeline.desks, strict=True))
        sources += [*open_hep(heard), *open_agi(heard), *open_ari(heard)]
        watch.listens(sources)
        counting = rooms.create_task(watch.run(), name="counting")
        working = rooms.create_task(pipeline.run(), name="pipeline")
        listening = [rooms.create_task(source.run()) for source in sources]
        watch.phase = "running"
        log.info("started", pbx=[pbx.name for pbx in config.pbx], store=store.place)
        rules: Prepare = partial(_rules, watch)
        takers: dict[str, Prepare] = {"log.level": log_level, "trunk": rules, "override": rules, **of_web}
        takers.pop("alerts", None)
        if alarms.readers:
            takers["alerts"] = together(alarms.other_rules, *filter(None, [of_web.get("alerts")]))
        async with alive(watch.status), reloaded(config, load, takers):
            await stop.wait()
            watch.phase = "stopping"
        log.info("stopping")
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        for task in (working, counting):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    await couriers.stop(config.delivery.drain_s)
    await alarms.stop(config.delivery.drain_s)
    counters = pipeline.counters
    log.info("stopped", events=counters.events, calls=counters.calls, records=counters.records)


@contextlib.asynccontextmanager
async def _telling(config: Config, watch: Watch) -> AsyncIterator[None]:
    """Send the metrics over OTLP meanwhile, when the configuration wants that."""
    if config.otlp is None or not config.otlp.metrics:
        yield
        return
    try:
        from asterisk_sip import daemon_otlp  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError("the configuration", [("otlp", OTLP_NEEDS)]) from error
    async with daemon_otlp.telling(config.otlp, watch):
        yield


def _rules(watch: Watch, config: Config) -> Callable[[], None]:
    """Prepare to judge by other trunks and overrides, from the next call that ends."""
    trunks, overrides = trunk_rules(config), override_rules(config)

    def take() -> None:
        watch.tally.know(rule.name for rule in config.trunk)
        for desk in () if watch.pipeline is None else watch.pipeline.desks:
            desk.around = replace(desk.around, trunks=trunks, overrides=overrides)

    return take


def trunk_rules(config: Config) -> tuple[TrunkRule, ...]:
    """Return the core's trunk rules from the configuration."""
    return tuple(TrunkRule(rule.name, rule.endpoints) for rule in config.trunk)


def override_rules(config: Config) -> tuple[Override, ...]:
    """Return the core's overrides from the configuration. Raises ConfigError for a disposition that does not exist."""
    known = {row.name for row in all_dispositions()}
    faults = [
        (f"override[{number}].disposition", f"{rule.disposition!r} is none of: {', '.join(sorted(known))}")
        for number, rule in enumerate(config.override)
        if rule.disposition is not None and rule.disposition not in known
    ]
    if faults:
        raise ConfigError("the configuration", faults)
    return tuple(Override(**rule.model_dump()) for rule in config.override)


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop

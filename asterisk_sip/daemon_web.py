"""Serves the API beside the doors, and by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial

import structlog
from aiohttp import web
from structlog.typing import FilteringBoundLogger

from asterisk_sip.config import Config
from asterisk_sip.config_alerts import rules as alert_rules
from asterisk_sip.config_web import WebConfig
from asterisk_sip.daemon_access import TAKEN, Certificate, certificate, gate_of, taker
from asterisk_sip.daemon_log import told_of
from asterisk_sip.daemon_reload import Prepare
from asterisk_sip.errors import ConfigError, LinkLostError, os_words
from asterisk_sip.retry import Backoff
from asterisk_sip.sources.keeper import address_had
from asterisk_sip.stores.place import StorePlace
from asterisk_sip.web.access import Gate
from asterisk_sip.web.app import application
from asterisk_sip.web.ledger import Ledger
from asterisk_sip.web.operations import Program
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import PATIENCE_S, Shelf

log = structlog.get_logger(__name__)

_RETRY_MIN_S, _RETRY_MAX_S = 1.0, 60.0
_RENEW_S = 60.0


@contextlib.asynccontextmanager
async def beside(config: Config, program: Program, *, demo: bool = False) -> AsyncIterator[dict[str, Prepare]]:
    """Serve the store of the configuration as long as the body runs, when the configuration wants it.

    Gives what can be taken from another configuration meanwhile, by key.
    """
    if not config.web.enabled:
        yield {}
        return
    place = StorePlace(config.store.path, config.store.url, config.store.plain_password)
    names = tuple(pbx.name for pbx in config.pbx)
    shown, gate, ledger = certificate(config.web), gate_of(config.web), ledger_of(config)
    work = serve(place, names, config.web, gate, shown=shown, program=program, ledger=ledger, demo=demo)
    serving = told_of(asyncio.create_task(work, name="web"))
    try:
        yield {**dict.fromkeys(TAKEN, taker(gate, config.web)), "alerts": partial(_other_rules, ledger)}
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _other_rules(ledger: Ledger | None, config: Config) -> Callable[[], None]:
    """Prepare to show the rules of another configuration."""
    wanted = alert_rules(config.alerts)

    def take() -> None:
        if ledger is not None:
            ledger.rules = wanted

    return take


def ledger_of(config: Config) -> Ledger | None:
    """Return the rules of a configuration and the book of alerts; a collector has none."""
    return None if config.collector is not None else Ledger(alert_rules(config.alerts), config.store.path)


async def serve(
    place: StorePlace,
    pbxs: tuple[str, ...],
    config: WebConfig,
    gate: Gate,
    *,
    shown: Certificate | None = None,
    program: Program | None = None,
    ledger: Ledger | None = None,
    demo: bool = False,
) -> None:
    """Serve a store, and what runs beside it, until cancelled.

    An address that cannot be had is tried again, ever more seldom.
    """
    shelf = Shelf(lambda: place.store(readonly=True, patience_s=PATIENCE_S), pbxs)
    host, port = config.host, config.port
    tls = shown.context if shown else None

    async def bind() -> web.AppRunner:
        try:
            app = application(shelf, gate, program, ledger, demo=demo, with_metrics=config.metrics)
            return await listen(app, host, port, tls)
        except OSError as error:
            raise LinkLostError(f"{host}:{port}: {os_words(error)}") from error

    told = log.bind(part="web")
    runner = await address_had(bind, lambda _reason: None, told, Backoff(_RETRY_MIN_S, _RETRY_MAX_S))
    try:
        told.info("serving", url=f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}/")
        await _renewed(shown, told)
    finally:
        await runner.cleanup()
        if ledger is not None:
            await ledger.close()
        await shelf.close()


async def _renewed(shown: Certificate | None, told: FilteringBoundLogger) -> None:
    """Look for a newer certificate now and then, for ever."""
    while True:
        await asyncio.sleep(_RENEW_S)
        try:
            if shown is not None and await asyncio.to_thread(shown.renew):
                told.info("certificate renewed")
        except ConfigError as error:
            told.error("certificate not renewed", reason=error.faults[0][1])

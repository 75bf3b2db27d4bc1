"""The verb `web`: pages and API over a store, without listening to any PBX."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from asterisk_sip.cli_store import ConfigPath, StorePath, opened, store_place
from asterisk_sip.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from asterisk_sip.config_web import WebConfig
    from asterisk_sip.stores.place import StorePlace


def web(
    *,
    config: ConfigPath = None,
    store: StorePath = None,
    host: str | None = None,
    port: Annotated[int | None, Parameter(name=["--port", "-p"])] = None,
) -> None:
    """Serve a store that is only read, beside a running daemon or without one. Ctrl-C ends it.

    Parameters
    ----------
    config
        The configuration: where the store is, and in [web] the address and who is let in.
    store
        The store itself. Without it and without a configuration: asterisk-sip.db in this folder.
    host
        The address to listen at, instead of the one in [web]: 127.0.0.1. Others take a login: see docs/access.md.
    port
        The port to listen at, instead of the one in [web]: 8600.
    """
    from asterisk_sip import config as configuration
    from asterisk_sip import daemon_log, daemon_loop
    from asterisk_sip.config import LogConfig
    from asterisk_sip.daemon_access import certificate, gate_of
    from asterisk_sip.daemon_web import ledger_of, serve

    asked = _asked(config, host, port)
    place = store_place(config, store)
    ledger = None if config is None else ledger_of(configuration.load(config, secrets=("store",)))
    daemon_log.set_up_log(LogConfig())
    asyncio.run(_look(place))
    daemon_loop.run(serve(place, (), asked, gate_of(asked), shown=certificate(asked), ledger=ledger))


async def _look(place: StorePlace) -> None:
    """Say so when the store cannot be read as it is: the pages wait for it, as for one that is down for a while."""
    try:
        await (await opened(place)).close()
    except StoreError as error:
        sys.stderr.write(f"asterisk-sip: {error}\n")


def _asked(config: Path | None, host: str | None, port: int | None) -> WebConfig:
    """Return [web] of the configuration, with the options of the command in place of its keys."""
    from pydantic import ValidationError

    from asterisk_sip import config as configuration
    from asterisk_sip.config_faults import reason_of
    from asterisk_sip.config_web import WebConfig

    told = WebConfig() if config is None else configuration.load(config, secrets=("store",)).web
    options = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    try:
        return WebConfig.model_validate({**told.model_dump(), **options})
    except ValidationError as error:
        faults = [(f"--{fault['loc'][0]}", reason_of(fault)) for fault in error.errors(include_input=False)]
        raise ConfigError("the command", faults) from None

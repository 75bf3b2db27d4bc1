"""The verb `web`: the API over a store, without listening to any PBX."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from asterisk_sip.cli_store import ConfigPath, StorePath, store_place
from asterisk_sip.errors import ConfigError


def web(
    *,
    config: ConfigPath = None,
    store: StorePath = None,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(name=["--port", "-p"])] = 8600,
) -> None:
    """Serve the API over a store that is only read, beside a running daemon or without one. Ctrl-C ends it.

    Parameters
    ----------
    config
        The configuration file; it says where the store is.
    store
        The store itself, instead of a configuration. Without either: asterisk-sip.db in this folder.
    host
        The address to listen at: one of this machine, as there is no login yet.
    port
        The port to listen at.
    """
    from pydantic import ValidationError

    from asterisk_sip import daemon
    from asterisk_sip.config import LogConfig
    from asterisk_sip.config_web import WebConfig
    from asterisk_sip.daemon_web import serve

    try:
        asked = WebConfig(host=host, port=port)
    except ValidationError as error:
        faults = [(f"--{fault['loc'][0]}", fault["msg"]) for fault in error.errors(include_input=False)]
        raise ConfigError("the command", faults) from None
    place = store_place(config, store)
    daemon.set_up_log(LogConfig())
    asyncio.run(serve(place, (), asked.host, asked.port))

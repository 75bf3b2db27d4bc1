"""The verbs that run the daemon: run, demo."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from asterisk_sip.cli_store import folder_made
from asterisk_sip.errors import AsteriskSipError

if TYPE_CHECKING:
    from asterisk_sip.calls.model import CallRecord

_LATER_SHARE = 10  # the recording is a busy minute; played whole again and again it is busier than any office
_AT_ONCE = 1_000


def run(*, config: Annotated[Path, Parameter(name=["--config", "-c"])]) -> None:
    """Run beside Asterisk: listen for hangups and write a record for every call that failed.

    Parameters
    ----------
    config
        The configuration file, see configs/asterisk-sip.toml.
    """
    from asterisk_sip import config as configuration
    from asterisk_sip import daemon, daemon_log, daemon_loop

    loaded = configuration.load(config)
    daemon_log.set_up_log(loaded.log)
    daemon_loop.run(_one_error(daemon.run(loaded, load=lambda: configuration.load(config))))


def demo(*, store: Path = Path(".run/demo.db")) -> None:
    """Run on a recording of a real Asterisk, for those who have none at hand. Prints each call as it is recorded.

    Parameters
    ----------
    store
        The database to write to.
    """
    from asterisk_sip import daemon_loop

    folder_made(store.parent)
    daemon_loop.run(_one_error(_demo(store.absolute(), str(store))))


async def _demo(store: Path, shown: str) -> None:
    from asterisk_sip import config as configuration
    from asterisk_sip import daemon, daemon_log, render
    from asterisk_sip import demo as recorded
    from asterisk_sip.calls.enrich import Surroundings
    from asterisk_sip.demo_history import recorded_calls

    pbx = recorded.DemoPbx(recorded.load(), later_share=_LATER_SHARE)
    await pbx.start()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ASTERISK_SIP")},
        "ASTERISK_SIP_AMI_SECRET": pbx.secret,
        "ASTERISK_SIP__PBX__0__AMI__PORT": str(pbx.port),
        "ASTERISK_SIP__STORE__PATH": str(store),
    }
    port = recorded.page_port()
    environ["ASTERISK_SIP__WEB__PORT"] = str(port)
    loaded = configuration.load(recorded.config_path(), environ)
    daemon_log.set_up_log(loaded.log)
    me = "asterisk-sip" if shutil.which("asterisk-sip") else sys.argv[0]
    sys.stderr.write(
        f"A recording of a real Asterisk is played in a loop; every call below is written to {shown}.\n"
        f"The dashboard:        http://127.0.0.1:{port}/\n"
        f"In another terminal:  {me} calls --store {shown}\n"
        f"                      {me} tail --store {shown}\n"
        f"On your own PBX:      {me} run --config my.toml\n"
        "Ctrl-C ends it.\n\n"
    )
    try:
        await _with_history(store, recorded_calls(Surroundings("demo", trunks=daemon.trunk_rules(loaded))))
        await daemon.run(loaded, on_stored=render.print_live, demo=True)
    finally:
        await pbx.stop()


async def _with_history(path: Path, recorded: list[CallRecord]) -> None:
    """Give the demo's own store a past: the recorded calls, with earlier dates, from where it ends until now."""
    from asterisk_sip.demo_history import PAST, past
    from asterisk_sip.stores.base import Batch, CallQuery, ended_at
    from asterisk_sip.stores.sqlite import SqliteStore

    now = datetime.now(UTC)
    store = SqliteStore(path)
    await store.open()
    try:
        newest = [ended_at(record) for record in await store.calls(CallQuery(limit=1))]
        calls = past(recorded, max([now - PAST, *newest]), now)
        while records := list(itertools.islice(calls, _AT_ONCE)):
            await store.write(Batch(records))
        await store.write(Batch(listened={"demo": now}))
    finally:
        await store.close()


async def _one_error(work: object) -> None:
    """Await some work; of a group of errors raise the first of ours, so that it is told in one line."""
    try:
        await work  # type: ignore[misc]  # a coroutine of ours
    except* AsteriskSipError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None

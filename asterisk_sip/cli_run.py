"""The verbs that hear a PBX or a recording: run, demo, replay."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.errors import AsteriskSipError
from asterisk_sip.render_plain import json_line
from asterisk_sip.sources.recording import Replay

STORE_BATCH = 500


def run(*, config: Annotated[Path, Parameter(name=["--config", "-c"])]) -> None:
    """Run beside Asterisk: listen for hangups and write a record for every call that failed.

    Parameters
    ----------
    config
        The configuration file, see configs/asterisk-sip.toml.
    """
    from asterisk_sip import config as configuration
    from asterisk_sip import daemon

    loaded = configuration.load(config)
    daemon.set_up_log(loaded.log)
    asyncio.run(_one_error(daemon.run(loaded)))


def demo(*, store: Path = Path(".run/demo.db")) -> None:
    """Run on a recording of a real Asterisk, for those who have none at hand. Prints each call as it is recorded.

    Parameters
    ----------
    store
        The database to write to.
    """
    store.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(_one_error(_demo(store.absolute(), str(store))))


async def _demo(store: Path, shown: str) -> None:
    from asterisk_sip import config as configuration
    from asterisk_sip import daemon, render
    from asterisk_sip import demo as recorded

    pbx = recorded.DemoPbx(recorded.load())
    await pbx.start()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ASTERISK_SIP")},
        "ASTERISK_SIP_AMI_SECRET": pbx.secret,
        "ASTERISK_SIP__PBX__0__AMI__PORT": str(pbx.port),
        "ASTERISK_SIP__STORE__PATH": str(store),
    }
    loaded = configuration.load(recorded.config_path(), environ)
    daemon.set_up_log(loaded.log)
    me = "asterisk-sip" if shutil.which("asterisk-sip") else sys.argv[0]
    sys.stderr.write(
        f"A recording of a real Asterisk is played in a loop; every call below is written to {shown}.\n"
        f"In another terminal:  {me} calls --store {shown}\n"
        f"                      {me} tail --store {shown}\n"
        f"On your own PBX:      {me} run --config my.toml\n"
        "Ctrl-C ends it.\n\n"
    )
    try:
        await daemon.run(loaded, on_stored=render.print_live)
    finally:
        await pbx.stop()


async def _one_error(work: object) -> None:
    """Await some work; of a group of errors raise the first of ours, so that it is told in one line."""
    try:
        await work  # type: ignore[misc]  # a coroutine of ours
    except* AsteriskSipError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def replay(
    files: Annotated[list[Path], Parameter(allow_leading_hyphen=True)],
    /,
    *,
    format: Literal["json", "table"] = "json",  # noqa: A002  the option is called --format
    pbx: str = "pbx1",
    trunk: Annotated[list[str] | None, Parameter(negative=())] = None,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    asterisk_version: str | None = None,
    store: Path | None = None,
    keep: Literal["failures", "all"] = "all",
) -> int:
    """Read recordings of AMI (raw bytes, plain or gzipped, - for stdin) and print every call that ended in them.

    Parameters
    ----------
    files
        The recordings, in order.
    format
        json: one record a line. table: for a person.
    pbx
        The name of the PBX; it is part of every record's id.
    trunk
        An endpoint that leads to a carrier; * and ? are allowed. May be given several times.
    config
        A configuration whose trunks and overrides hold (its PBXs and secrets are not used).
    asterisk_version
        The version of the Asterisk that was recorded, if the recording does not tell it.
    store
        Write the records into this database instead of printing them. Doing it twice changes nothing.
    keep
        With --store: failures keeps answered calls as totals only.
    """
    reader = Replay(_surroundings(pbx, asterisk_version, trunk or [], config))
    records = reader.read(files)
    if store is not None:
        new, count = asyncio.run(_store(records, store, keep))
        sys.stderr.write(f"{count} calls, {new} new in {store}\n")
    elif format == "json":
        for record in records:
            sys.stdout.write(json_line(record) + "\n")
    else:
        from asterisk_sip import render

        render.print_calls(list(records))
    _tell_leftovers(reader)
    return 0 if reader.events or reader.recognised else 1


def _surroundings(pbx: str, version: str | None, trunks: list[str], config: Path | None) -> Surroundings:
    rules = tuple(TrunkRule(None, (pattern,)) for pattern in trunks)
    if config is None:
        return Surroundings(pbx, version, rules)
    from asterisk_sip import config as configuration
    from asterisk_sip import daemon

    loaded = configuration.load(config, secrets=False)
    return Surroundings(pbx, version, rules + daemon.trunk_rules(loaded), daemon.override_rules(loaded))


def _tell_leftovers(reader: Replay) -> None:
    if reader.unfinished:
        sys.stderr.write(f"{reader.unfinished} calls had not ended at the end of the recording; they are not shown\n")
    if reader.unreadable:
        sys.stderr.write(f"{reader.unreadable} messages could not be read\n")
    if not reader.events:
        sys.stderr.write("no events found: a recording is the bytes of an AMI connection as they came\n")


async def _store(records: Iterator[CallRecord], path: Path, keep: Literal["failures", "all"]) -> tuple[int, int]:
    from asterisk_sip.stores.base import Batch
    from asterisk_sip.stores.sqlite import SqliteStore

    store = SqliteStore(path, keep=keep)
    await store.open()
    new = count = 0
    try:
        batch = Batch()
        for record in records:
            batch.records.append(record)
            count += 1
            if len(batch.records) >= STORE_BATCH:
                new += await store.write(batch)
                batch = Batch()
        new += await store.write(batch)
    finally:
        await store.close()
    return new, count

"""The verb check: looks at each PBX of a configuration and says what is missing."""

from __future__ import annotations

import asyncio
import json as text_of
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from asterisk_sip.cli_store import within
from asterisk_sip.errors import AsteriskSipError

if TYPE_CHECKING:
    from asterisk_sip.check import Doors, Remark, Report
    from asterisk_sip.config import Config, PbxConfig

LONGEST_S = 3_600.0

_RUNNING = timedelta(seconds=20)
"""A daemon leaves a sign of life in the store every few seconds while it listens."""


def check(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    wait: float = 5.0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Look at each PBX through every door: what it tells, what will be missing, and the exact lines to add.

    Streams of NATS are looked at too. Nothing is changed, no call is placed, and a daemon that runs already is not
    disturbed.

    Parameters
    ----------
    config
        The configuration file.
    wait
        How many seconds to wait for a call to pass by, to see what its events carry.
    json
        Print one JSON object, for scripts. Like without it, the exit code is 1 when there is a problem.
    """
    from asterisk_sip import check as checks
    from asterisk_sip import config as configuration
    from asterisk_sip import daemon_log, render

    within("--wait", wait, 0.0, LONGEST_S)
    loaded = configuration.load(config)
    daemon_log.set_up_log(loaded.log)
    reports = [asyncio.run(_look_at(loaded, pbx, wait)) for pbx in loaded.pbx]
    streams = asyncio.run(_look_at_streams(loaded))
    problems = sum(report.problems for report in reports) + sum(each.level is checks.Level.PROBLEM for each in streams)
    if json:
        told = {"problems": problems, "warnings": loaded.warnings, "pbx": [checks.to_json(each) for each in reports]}
        if streams:
            told["streams"] = [{"level": each.level.value, "text": each.text} for each in streams]
        sys.stdout.write(text_of.dumps(told, indent=1) + "\n")
        return 1 if problems else 0
    for warning in loaded.warnings:
        render.print_remark("note", warning)
    for report in reports:
        render.print_report(report)
    for each in streams:
        render.print_remark(each.level.value, each.text)
    render.print_problems(problems)
    return 1 if problems else 0


async def _look_at(config: Config, pbx: PbxConfig, wait_s: float) -> Report:
    from asterisk_sip import check as checks

    return await checks.look_at(_doors(pbx, running=await _is_running(config, pbx.name)), wait_s)


async def _look_at_streams(config: Config) -> list[Remark]:
    if config.collector is None and not config.sink.nats:
        return []
    try:
        from asterisk_sip import daemon_nats
        from asterisk_sip.check_nats import look_at_stream
    except ImportError:
        from asterisk_sip.check import Level, Remark

        return [Remark(Level.PROBLEM, "NATS needs a client: pip install 'asterisk-sip[nats]'")]
    looks = [look_at_stream(key, how, name, made=made) for key, how, name, made in daemon_nats.streams(config)]
    return list(await asyncio.gather(*looks))


def _doors(pbx: PbxConfig, *, running: bool) -> Doors:
    from asterisk_sip import check as checks
    from asterisk_sip import daemon_doors

    return checks.Doors(
        pbx.name,
        ami=None if pbx.ami is None else daemon_doors.ami_settings(pbx.ami),
        ari=pbx.ari if pbx.ari is None or pbx.ari.outbound else daemon_doors.ari_settings(pbx.ari),
        agi=pbx.agi,
        hep=pbx.hep,
        cel=None if pbx.cel is None else daemon_doors.cel_settings(pbx.cel),
        running=running,
    )


async def _is_running(config: Config, pbx: str) -> bool:
    """Whether the daemon of this configuration listens to a PBX now, as far as its store tells."""
    from asterisk_sip.stores.sqlite import SqliteStore

    store = SqliteStore(config.store.path, readonly=True)
    try:
        await store.open()
        last = await store.listened_until(pbx)
    except AsteriskSipError:
        return False
    finally:
        await store.close()
    return last is not None and datetime.now(UTC) - last < _RUNNING

"""Calls that nobody heard are read afterwards in the log that Asterisk keeps of its channels, by our own snippets."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from asterisk_sip.config_files import shipped
from tests.cable import Cable
from tests.e2e import Companion, Record, by_linkedid, command, configure
from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions, Release
from tests.lab.sip_script import Reply, Script
from tests.lab.wait import until

pytestmark = pytest.mark.lab

SNIPPETS = ("cel.conf", "cel_sqlite3_custom.conf")
MODULES = ("res_cdrel_custom.so", "cel_sqlite3_custom.so")


@pytest.fixture(scope="module", params=["22", "16"])
def logging_pbx(request: pytest.FixtureRequest) -> Iterator[Asterisk]:
    """A PBX that keeps CEL as configs/asterisk says."""
    release: Release = request.param
    need_roots(release)
    extra = {name: shipped(f"asterisk/{name}").read_text() for name in SNIPPETS}
    with Asterisk(PbxOptions(release, extra=extra, modules=MODULES)) as pbx:
        yield pbx


def log_of(pbx: Asterisk) -> Path:
    return pbx.var / "log" / "master.db"


def cel(pbx: Asterisk) -> str:
    """What the configuration says of the log."""
    return f'[pbx.cel]\nkind = "sqlite"\npath = "{log_of(pbx)}"'


def ended(pbx: Asterisk) -> int:
    """How many calls the log has seen the end of."""
    with closing(sqlite3.connect(f"{log_of(pbx).as_uri()}?mode=ro", uri=True)) as base:
        [(count,)] = base.execute("SELECT count(*) FROM cel WHERE eventtype = 'LINKEDID_END'").fetchall()
    return int(count)


def teach(lab: Lab) -> None:
    """Teach the trunks what this test dials."""
    lab.acme.scripts["busy"] = Script((Reply(180), Reply(486, after_s=0.1)))
    lab.acme.scripts["talk"] = Script((Reply(180), Reply(200)), bye_after_s=0.3)
    lab.acme.scripts["slowbusy"] = Script((Reply(180), Reply(486, after_s=6.0)))
    lab.acme.scripts["slowtalk"] = Script((Reply(180), Reply(200)), bye_after_s=10.0)
    lab.globex.scripts["talk"] = Script((Reply(180), Reply(200)), bye_after_s=0.3)


def by_number(records: list[Record]) -> dict[str, Record]:
    return {record["dialled"]: record for record in by_linkedid(records).values()}


async def test_what_happened_while_the_companion_was_dead_is_told(logging_pbx: Asterisk, tmp_path: Path) -> None:
    async with Lab(logging_pbx) as lab, Companion(tmp_path, logging_pbx, cel(logging_pbx)) as companion:
        teach(lab)
        await lab.caller.call("trunk.acme.talk")
        await companion.recorded(1)
        slow = [asyncio.create_task(lab.caller.call(f"trunk.acme.{name}")) for name in ("slowbusy", "slowtalk")]
        await until(lambda: companion.in_flight() == 2, "both calls remembered")
        await companion.kill()
        before = ended(logging_pbx)
        await lab.caller.call("trunk.acme.608")
        await lab.caller.call("failover.503.talk")
        await lab.caller.call("trunk.acme.ring", cancel_on=180, cancel_after_s=0.1)
        await slow[0]
        await until(lambda: ended(logging_pbx) == before + 4, "four calls in the log")
        give_up = asyncio.Event()
        spanning = asyncio.create_task(lab.caller.call("trunk.initech.ring", hang_up=give_up))
        await lab.caller.in_call("trunk.initech.ring", 180)
        await companion.start()
        await until(lambda: companion.logged("calls of the gap read from Asterisk's own log"), "the log was read")
        give_up.set()
        await lab.caller.call("trunk.acme.busy")
        await asyncio.gather(slow[1], spanning)
        records = by_number(await companion.recorded(8))
        assert await companion.stop() == 0
    assert not [name for name in ("trunk.acme.talk", "trunk.acme.busy") if records[name]["backfilled"]]
    assert records["trunk.acme.busy"]["sip"]["code"] == 486
    told = {
        "trunk.acme.608": ("failed", "interworking", "candidates", "CEL"),
        "failover.503.talk": ("rescued", "answered", "candidates", "CEL"),
        "trunk.acme.ring": ("abandoned", "cancelled", "none", None),
        "trunk.acme.slowbusy": ("failed", "busy", "candidates", "CEL"),
    }
    for name, expected in told.items():
        record = records[name]
        told_as = (record["outcome"], record["disposition"], record["evidence"]["grade"], record["evidence"]["source"])
        assert told_as == expected, name
        assert record["sip"]["code"] is None
        assert record["backfilled"]
        assert record["partial"]
        assert len(record["gap_ids"]) == 1
    assert 608 in records["trunk.acme.608"]["sip"]["candidates"]
    assert records["trunk.acme.slowbusy"]["attempts"][0]["dialled"] == "slowbusy"
    assert length_s(records["trunk.acme.slowbusy"]) == pytest.approx(6, abs=1.0)  # by the log, not until we were back
    assert records["trunk.acme.slowtalk"]["outcome"] == "answered"
    assert records["trunk.initech.ring"]["outcome"] == "abandoned"
    assert records["trunk.initech.ring"]["partial"]
    assert ("the companion was not running", True) in companion.gaps()


def length_s(record: Record) -> float:
    began, over = (datetime.fromisoformat(record[key]) for key in ("started_at", "ended_at"))
    return (over - began).total_seconds()


async def test_a_link_that_was_cut_loses_no_call(logging_pbx: Asterisk, tmp_path: Path) -> None:
    cable = Cable(logging_pbx.host, logging_pbx.ports.ami)
    await cable.plug()
    companion = Companion(tmp_path, logging_pbx, cel(logging_pbx))
    text = companion.config.read_text()
    companion.config.write_text(text.replace(f"port = {logging_pbx.ports.ami}", f"port = {cable.port}"))
    async with Lab(logging_pbx) as lab, companion:
        teach(lab)
        await lab.caller.call("trunk.acme.busy")
        await companion.recorded(1)
        await cable.cut()
        await until(lambda: companion.logged("not listening"), "the companion noticed")
        for _ in range(5):
            await lab.caller.call("trunk.acme.608")
        await cable.plug()
        await until(lambda: len(companion.logged("listening")) == 2, "the companion listens again")
        await lab.caller.call("trunk.acme.busy")
        records = by_linkedid(await companion.recorded(7)).values()
        assert await companion.stop() == 0
        await cable.cut()
    assert sorted((each["dialled"], each["backfilled"]) for each in records) == [
        *[("trunk.acme.608", True)] * 5,
        *[("trunk.acme.busy", False)] * 2,
    ]


async def test_check_says_what_the_log_is_good_for(logging_pbx: Asterisk, tmp_path: Path) -> None:
    async with Lab(logging_pbx) as lab:
        await lab.caller.call("trunk.acme.608")
        await lab.idle()
    config = configure(tmp_path, logging_pbx, ami=cel(logging_pbx))
    said = await command("check", "--config", str(config), "--wait", "0.5")
    assert said.code == 0, said.out
    assert "can be read, its newest event is of" in " ".join(said.out.split())

"""Calls that end while nobody listens are read afterwards in Asterisk's own log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.e2e import Companion, Witness, by_linkedid
from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions, Release
from tests.lab.sip_script import Reply, Script
from tests.lab.wait import until

pytestmark = pytest.mark.lab

SNIPPETS = Path(__file__).parent.parent / "configs" / "asterisk"
WHERE = "cel_sqlite3_custom.conf"
MODULES = ("res_cdrel_custom.so", "cel_sqlite3_custom.so")


def with_log(release: Release) -> PbxOptions:
    """A PBX that keeps a log of its channels where our snippet says."""
    return PbxOptions(release, cel_events=True, extra={WHERE: (SNIPPETS / WHERE).read_text()}, modules=MODULES)


@pytest.mark.parametrize("release", ["16", "22"])
async def test_calls_that_ended_while_the_companion_was_dead_are_told_from_the_log(
    release: Release, tmp_path: Path
) -> None:
    need_roots(release)
    with Asterisk(with_log(release)) as pbx:
        cel = f'\n[pbx.cel]\nkind = "sqlite"\npath = "{pbx.var / "log" / "master.db"}"\n'
        async with Lab(pbx) as lab, Witness(pbx) as witness, Companion(tmp_path, pbx, cel) as companion:
            lab.acme.scripts["busy"] = Script((Reply(180), Reply(486, after_s=0.2)))
            lab.acme.scripts["late"] = Script((Reply(180), Reply(486, after_s=6.0)))
            lab.acme.scripts["long"] = Script((Reply(180), Reply(200)), bye_after_s=12.0)
            await lab.caller.call("trunk.acme.busy")
            await companion.recorded(1)
            cut = asyncio.create_task(lab.caller.call("trunk.acme.late"))
            kept = asyncio.create_task(lab.caller.call("trunk.acme.long"))
            await until(lambda: companion.in_flight() == 2, "both calls are remembered", 20)
            await companion.kill()
            await lab.caller.call("trunk.acme.busy")
            await cut
            await companion.start()
            await companion.recorded(3)
            await kept
            truth = await witness.quiet()
            await until(lambda: companion.in_flight() == 0, "no call is left in flight", 20)
            assert await companion.stop() == 0
            records = sorted(by_linkedid(await companion.calls()).values(), key=lambda record: record["started_at"])
    assert len(truth) == 4
    told = [(r["dialled"], r["outcome"], r["disposition"], r["backfilled"], r["partial"]) for r in records]
    assert told == [
        ("trunk.acme.busy", "failed", "busy", False, False),
        ("trunk.acme.late", "failed", "busy", True, True),
        ("trunk.acme.long", "answered", "answered", False, True),
        ("trunk.acme.busy", "failed", "busy", True, True),
    ]
    unheard = records[3]
    assert (unheard["sip"]["code"], unheard["evidence"]["grade"]) == (None, "candidates")
    assert 486 in unheard["sip"]["candidates"]

"""All doors of one PBX at once: the same verdicts as through one, each call once, the best evidence on top."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from tests.e2e import Companion
from tests.hep_lab import HepPbx, sending_hep
from tests.lab.lab import Lab
from tests.lab.options import Release
from tests.report_lab import DIALPLAN, Way, free_port, hook_in
from tests.test_e2e_reports import TRUTH, records, verdict

pytestmark = pytest.mark.lab

MASK = 'event_mask = "call,system,agent,user"\n'
ARI = """
[pbx.ari]
host = "{pbx.host}"
port = {pbx.ports.http}
username = "companion"
password_file = "ari.password"
"""


@pytest.fixture(scope="module", params=[f"{release}-{way}" for release in get_args(Release) for way in get_args(Way)])
def every(request: pytest.FixtureRequest) -> Iterator[tuple[HepPbx, int | None]]:
    """A PBX that tells everything it can, and the port its handlers report to (None: by UserEvent)."""
    release, way = request.param.split("-")
    with sending_hep(release, line=True, extra={"asterisk-sip.conf": DIALPLAN.read_text()}) as hep:
        agi_port = free_port() if way == "agi" else None
        hook_in(hep.pbx, agi_port)
        yield hep, agi_port


def through_every_door(folder: Path, hep: HepPbx, agi_port: int | None) -> Companion:
    """A companion that hears all of it."""
    sections = MASK + hep.prepare(folder) + ARI.format(pbx=hep.pbx)
    if agi_port is not None:
        sections += f"\n[pbx.agi]\nlisten_port = {agi_port}\n"
    (folder / "ari.password").write_text(hep.pbx.companion.secret)
    (folder / "ari.password").chmod(0o600)
    return Companion(folder, hep.pbx, sections, doors=3 if agi_port is None else 4)


async def test_all_doors_together_tell_what_one_tells(every: tuple[HepPbx, int | None], tmp_path: Path) -> None:
    hep, agi_port = every
    async with Lab(hep.pbx) as lab:
        companion = through_every_door(tmp_path, hep, agi_port)
        told = await records(lab, companion)
    assert {exten: verdict(record) for exten, record in told.items()} == TRUTH
    for record in told.values():
        assert record["partial"] is False
        for attempt in record["attempts"]:
            evidence = attempt["evidence"]
            assert evidence["conflict"] is False
            if attempt["sip"]["code"] is not None and evidence["grade"] != "local":
                sources = {evidence["source"], *(loser["source"] for loser in evidence["losers"])}
                assert evidence["grade"] == "wire"
                assert {"channelvars", "AGI" if agi_port else "UserEvent"} <= sources

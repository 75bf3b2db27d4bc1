"""HEP alone, beside AMI on real Asterisks: the same calls come to the same verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from asterisk_sip.calls.model import Grade
from asterisk_sip.calls.switchboard import Switchboard
from tests.hep_alone import both, told
from tests.hep_lab import sending_hep
from tests.lab.lab import Lab
from tests.lab.options import Release
from tests.lab.scenarios import SCENARIOS

pytestmark = pytest.mark.lab

SAME = """
rejected-408 rejected-486 rejected-503 rejected-608 rejected-603-blocked rejected-reason rejected-503-retry
failover-rescued failover-failed failover-3 fork-answered no-answer 100-then-silence cancel cancel-early
cancel-silent dead-trunk dead-trunk-timeout endpoint-missing no-contact busy-app hangup-21 hangup-n answered
answered-b-bye answered-a-bye answered-hangup-17 answered-then-dial-fails redirect-302 reinvite-488 originate-failed
originate-timeout queue-abandon queue-abandon-early queue-answered local-rejected cancel-waiting
inbound-486 inbound-phone-busy all-codes early-media-answered early-media-refused
"""
"""Those that only Asterisk's own events tell apart are listed in docs/hep.md."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("release", ["22", "16"])
async def test_hep_alone_comes_to_the_verdicts_of_ami(release: Release, tmp_path: Path) -> None:
    names = SAME.split()
    board = Switchboard(hep_alone=True)
    differing = {}
    with sending_hep(release, line=True) as hep:
        async with Lab(hep.pbx) as lab:
            for scenario in SCENARIOS:
                if scenario.name not in names:
                    continue
                names.remove(scenario.name)
                by_ami, by_hep = await both(lab, hep, scenario, tmp_path, board)
                if told(by_ami) != told(by_hep):
                    differing[scenario.name] = (told(by_ami), told(by_hep))
                received = [each for record in by_hep for each in record.attempts if each.sip.code is not None]
                assert {each.evidence.grade for each in received} <= {Grade.WIRE, Grade.LOCAL}
                assert not any(record.partial for record in by_hep)
    assert names == []
    assert differing == {}
    assert board.held <= 2  # a silent trunk may still be called, though nobody waits for it

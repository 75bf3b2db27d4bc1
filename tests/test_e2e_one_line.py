"""The line in channelvars on real PBXs: whatever somebody dials, Asterisk evaluates none of it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e import command, configure
from tests.lab.ami import AmiClient, first
from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import THE_LINE, PbxOptions
from tests.lab.wait import until

pytestmark = pytest.mark.lab

DIALLED = ("1${ENV(PATH)}", "1${SHELL(id)}", "1${CHANNEL(name)}", "1$[1+1]", '1"|SHELL(id)|"', "1)},tech)${ENV(PATH)}")
FORMER = (
    r"EVAL(${EVAL(${IF($[\"${HANGUPCAUSE_KEYS()}\"=\"${CHANNEL(name)}\"]?$:)}{HANGUPCAUSE(${CHANNEL(name)},tech)})})"
)


@pytest.mark.parametrize("dialled", DIALLED)
async def test_no_function_in_a_dialled_number_is_evaluated(lab: Lab, dialled: str) -> None:
    """It stands in the name of the Local channel that the dialplan calls, and the line reads that name."""
    async with AmiClient(lab.pbx.host, lab.pbx.ports.ami) as ami:
        await ami.connect(lab.pbx.lab.name, lab.pbx.lab.secret, events="call")
        outcome = await lab.caller.call("local." + quote(dialled, safe=""))
        assert outcome.status == 603
        await until(lambda: any(first(event, "Event") == "Hangup" for event in ami.events), "the end of the call")
        shown = [
            value.rpartition(")=")[2]
            for event in ami.events
            if first(event, "Channel").startswith("Local/")
            for value in event.get("ChanVariable", [])
        ]
    assert shown
    assert all(value.isdigit() for value in shown), shown


async def test_the_line_that_evaluated_names_is_told_to_be_replaced(tmp_path: Path) -> None:
    need_roots("22")
    with Asterisk(PbxOptions("22", channelvars=FORMER)) as pbx:
        config = configure(tmp_path, pbx, user="lab", secret=pbx.lab.secret)
        said = await command("check", "--config", str(config), "--wait", "0.5")
    assert said.code == 1
    assert "EVAL inside EVAL" in said.out
    assert f"channelvars = {THE_LINE}" in said.out

"""When the program is ready, and what it says when it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from asterisk_sip.health import DoorHealth, Health, PbxHealth, SinkHealth, WorkHealth, in_a_line, not_ready, told

AMI = DoorHealth("ami", up=True)
PBX = PbxHealth("pbx1", True, "22.5.0", (AMI,), 2, 0.0, {}, 0)
DEAF = replace(PBX, name="pbx2", heard=False, doors=(DoorHealth("ami", False, "login of user 'x' refused"),))
SINK = SinkHealth("hook", None, 0, 0.0, 5, 0, 0, 0, 0)
WORK = WorkHealth(10, 0, 3, 0, 0, 1000, 0)
WELL = Health("running", store="calls.db", pbxs=(PBX,), sinks=(SINK,), work=WORK)


@pytest.mark.parametrize(
    ("change", "part", "words"),
    [
        ({"phase": "starting"}, "program", "it is starting"),
        ({"phase": "stopping"}, "program", "it is stopping"),
        ({"store_trouble": "calls.db: the disk is full"}, "store", "the disk is full"),
        ({"source_trouble": "there is no stream yet"}, "collector", "nothing is collected: there is no stream yet"),
        ({"pbxs": (DEAF,)}, "pbx", "no PBX is heard: pbx2 (ami: login of user 'x' refused)"),
        ({"sinks": (replace(SINK, held_s=61.0, trouble="500"),)}, "sink hook", "it has taken nothing for 61 s: 500"),
        ({"sinks": (replace(SINK, held_s=61.0),)}, "sink hook", "it has taken nothing for 61 s: no answer yet"),
        ({"work": replace(WORK, inbox_events=1000)}, "inbox", "more than 1000 events wait"),
    ],
)
def test_whatever_keeps_it_from_its_work_is_named(change: dict[str, Any], part: str, words: str) -> None:
    (reason,) = not_ready(replace(WELL, **change))
    assert reason.part == part
    assert words in reason.text
    assert told(replace(WELL, **change))["status"] == "not ready"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pbxs": (PBX, DEAF)}, "pbx2 (ami: login of user 'x' refused)"),
        ({"pbxs": (replace(PBX, doors=(AMI, DoorHealth("hep", False))),)}, "hep: not connected"),
        ({"sinks": (replace(SINK, trouble="500"),)}, "500"),
        ({"sinks": (replace(SINK, dead=2),)}, "2 records are in the dead letters"),
        ({"work": replace(WORK, lost_records=1)}, "1 records and 0 events were lost"),
    ],
)
def test_what_is_not_well_is_told_while_the_work_is_done(change: dict[str, Any], words: str) -> None:
    state = told(replace(WELL, **change))
    assert (state["status"], state["reasons"]) == ("degraded", [])
    assert words in state["notes"][0]["text"]


def test_all_is_well() -> None:
    state = told(WELL)
    assert (state["status"], state["reasons"], state["notes"]) == ("ready", [], [])
    assert in_a_line(WELL) == "listening to 1 of 1 PBX; 3 records written"


def test_the_line_for_systemd_is_one_line() -> None:
    line = in_a_line(replace(WELL, store_trouble="two\nlines"))
    assert line == "listening to 1 of 1 PBX; store: two lines; 3 records written"

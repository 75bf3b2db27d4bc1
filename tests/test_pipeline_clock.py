"""A PBX whose clock is far from ours: its calls in flight are not taken for forgotten ones."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from asterisk_sip import pipeline
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.pipeline_clock import Clocks
from asterisk_sip.stores.base import CallQuery
from asterisk_sip.stores.sqlite import SqliteStore

from .lab.wait import until

DAY_S = 86_400.0


@pytest.mark.parametrize("ahead_s", [-2 * DAY_S, 0.0, 2 * DAY_S])
async def test_only_a_call_that_was_silent_for_long_is_given_up(
    ahead_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "EXPIRE_EVERY_S", 0.0)
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    moved_s = 0.0
    carrying = pipeline.Pipeline(store, clock=lambda: time.time() + moved_s)
    desk = await carrying.add(Surroundings("pbx"), Limits(age_s=3_600.0))
    began = ev.ChannelBegan(time.time() + ahead_s, ev.Channel("PJSIP/a-1", "1.1", "1.1"))
    working = asyncio.create_task(carrying.run())
    desk.door("ami").heard([began])
    await until(lambda: len(desk.board.correlator) == 1, "the call is in flight")
    for _ in range(2):
        await asyncio.sleep(pipeline.TICK_S)
    assert len(desk.board.correlator) == 1
    moved_s = 2 * 3_600.0  # nothing was heard for two hours
    await until(lambda: carrying.counters.records == 1, "it was given up")
    working.cancel()
    await asyncio.wait([working])
    [record] = await store.calls(CallQuery())
    assert record.partial
    await store.close()


def test_a_clock_that_is_set_is_told_once_and_one_that_is_slewed_is_not() -> None:
    clocks = Clocks()
    with capture_logs() as told:
        for number in range(1_000):
            clocks.own(now=1_800_000_000 + number * 0.201, ticks=number * 0.2)  # half a percent too fast
        clocks.own(now=1_800_003_800, ticks=200.0)
        clocks.own(now=1_800_003_800.2, ticks=200.2)
        clocks.own(now=1_800_000_200, ticks=200.4)
    assert [round(line["by_s"], -2) for line in told] == [3600.0, -3600.0]


def test_a_pbx_whose_clock_is_apart_is_told_once_until_they_agree_again() -> None:
    clocks = Clocks()
    with capture_logs() as told:
        for ahead_s in (-0.1, 61.0, 62.0, 59.0, 31.0, 3.0, -0.2, -7200.0, -7199.0):
            clocks.pbx("pbx1", ahead_s)
        clocks.pbx("pbx2", 3_600.0)
    words = [(line["pbx"], line.get("ahead_s")) for line in told]
    assert words == [("pbx1", 61.0), ("pbx1", None), ("pbx1", -7200.0), ("pbx2", 3600.0)]

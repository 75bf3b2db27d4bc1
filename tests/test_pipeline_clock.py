"""A PBX whose clock is far from ours: its calls in flight are not taken for forgotten ones."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from asterisk_sip import pipeline
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.enrich import Surroundings
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

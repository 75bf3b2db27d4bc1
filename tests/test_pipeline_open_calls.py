"""What the store remembers of calls in flight, and of a PBX that was never heard."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.correlator import Correlator
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.events import ChannelSeen, DialEnded, Event
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.state import Call
from asterisk_sip.errors import StoreError
from asterisk_sip.pipeline import Pipeline
from asterisk_sip.sources.ami_wire import Reader, RecordedClock
from asterisk_sip.stores.base import Batch, CallQuery
from asterisk_sip.stores.completeness import completeness
from asterisk_sip.stores.sqlite import SqliteStore
from tests.ami_script import AmiScript
from tests.call_records import failed


async def test_a_call_that_is_saved_and_ends_before_it_is_written_is_not_remembered(tmp_path: Path) -> None:
    script = AmiScript()
    caller = script.incoming()
    begun = len(script.events)
    script.hangup(caller, 21)
    reader = Reader(RecordedClock())
    reader.feed(script.greeting())
    before, after = (reader.feed(b"".join(part)) for part in (script.events[:begun], script.events[begun:]))
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    try:
        pipeline = Pipeline(store)
        desk = await pipeline.add(Surroundings("pbx"), Limits())
        pipeline._handle(desk, list(before))
        pipeline._save_open(script.now, 0.0)
        assert len(pipeline._waiting.open_calls) == 1
        pipeline._handle(desk, list(after))
        assert await pipeline._write_once()
        assert pipeline.counters.records == 1
        assert await store.open_calls("pbx") == []
    finally:
        await store.close()


class Shut(SqliteStore):
    """A store that takes nothing while ``trouble``."""

    trouble = False

    async def write(self, batch: Batch) -> int:
        if self.trouble:
            raise StoreError("the disk is full")
        return await super().write(batch)


async def test_however_long_the_store_takes_nothing_memory_is_bounded_and_what_is_given_up_is_counted(
    tmp_path: Path,
) -> None:
    """Calls that were saved before the outage are forgotten after it: the first ends are kept."""
    store = Shut(tmp_path / "calls.db")
    await store.open()
    try:
        pipeline = Pipeline(store, max_waiting_records=3)
        desk = await pipeline.add(Surroundings("pbx"), Limits())
        reader = Reader(RecordedClock())
        script = AmiScript()
        reader.feed(script.greeting())
        done = len(script.events)

        def said() -> list[Event]:
            nonlocal done
            heard = reader.feed(b"".join(script.events[done:]))
            done = len(script.events)
            return list(heard)

        callers = [script.incoming() for _ in range(2)]
        pipeline._handle(desk, [*said()])
        pipeline._save_open(script.now, 0.0)
        assert await pipeline._write_once()
        assert len(await store.open_calls("pbx")) == 2
        store.trouble = True
        for caller in (*callers, *(script.incoming() for _ in range(10))):
            pipeline._handle(desk, [*said()])
            pipeline._save_open(script.now, 0.0)
            script.hangup(caller, 21)
            pipeline._handle(desk, [*said()])
            assert not await pipeline._write_once()
            assert len(pipeline._waiting.closed) <= 3
            assert len(pipeline._waiting.records) <= 3
        assert (pipeline.counters.lost_records, pipeline.counters.lost_ends) == (9, 9)
        store.trouble = False
        with capture_logs() as told:
            assert await pipeline._write_once()
        assert [(line["event"], line["lost"], line["lost_ends"]) for line in told] == [
            ("the store takes records again", 9, 9)
        ]
        assert await store.open_calls("pbx") == []
        assert len(await store.calls(CallQuery())) == 3
    finally:
        await store.close()


async def test_a_call_that_was_recorded_before_is_not_announced_again(tmp_path: Path) -> None:
    told: list[CallRecord] = []
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    await store.write(Batch([failed(1)]))
    pipeline = Pipeline(store, on_stored=told.extend)
    pipeline._waiting.records += [failed(1), failed(2), failed(2)]
    assert await pipeline._write_once()
    assert told == [failed(2)]
    assert pipeline.counters.records == 1
    await store.close()


async def test_a_pbx_that_was_never_heard_is_told_in_the_store(tmp_path: Path) -> None:
    """A wrong secret from the first start on: nothing is recorded, and nothing may look complete."""
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    began, written = time.time(), asyncio.Event()
    pipeline = Pipeline(store, on_stored=lambda _records: written.set())
    pipeline.clock = lambda: began + 60 * len(pipeline.desks)  # a minute has passed once it listens
    await pipeline.add(Surroundings("pbx"), Limits())
    working = asyncio.create_task(pipeline.run())
    try:
        async with asyncio.timeout(30):
            await written.wait()
        since, until = datetime.fromtimestamp(began - 60, UTC), datetime.fromtimestamp(began + 60, UTC)
        [gap] = await store.gaps(since, until)
        assert (gap.source, gap.ended_at, gap.blind) == ("companion", None, True)
        assert gap.began_at.timestamp() == pytest.approx(began)
        assert completeness([gap], since, until) == pytest.approx(0.5)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await store.close()


async def test_a_call_that_we_fail_to_judge_costs_that_call_alone(tmp_path: Path) -> None:
    """What the far end may write is without end: one record that cannot be made must not end the daemon."""

    def private(record: CallRecord) -> CallRecord:
        if record.dialled == "666":
            raise RuntimeError("a fault of ours")
        return record

    script, reader = AmiScript(), Reader(RecordedClock())
    for exten in ("100", "666", "101"):
        script.hangup(script.incoming(exten=exten), 21)
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    try:
        pipeline = Pipeline(store, private=private)
        desk = await pipeline.add(Surroundings("pbx"), Limits())
        with capture_logs() as told:
            pipeline._handle(desk, list(reader.feed(script.stream())))
        assert await pipeline._write_once()
        assert {call.dialled for call in await store.calls(CallQuery())} == {"100", "101"}
        assert (pipeline.counters.calls, pipeline.counters.lost_records) == (3, 1)
        assert [(line["event"], line["log_level"]) for line in told] == [
            ("a call was lost: it could not be judged", "error")
        ]
    finally:
        await store.close()


async def test_a_call_of_which_we_failed_at_an_event_is_partial_and_the_next_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Correlator, event: DialEnded) -> list[Call]:
        if "one" in event.dest.name:
            raise KeyError(event.dest.name)
        return ended(_self, event)

    ended = Correlator._HANDLERS[DialEnded]
    monkeypatch.setitem(Correlator._HANDLERS, DialEnded, fail)
    script, reader = AmiScript(), Reader(RecordedClock())
    for peer in ("PJSIP/one", "PJSIP/other"):
        caller = script.incoming()
        script.reject(script.dial(caller, peer, "1@acme"), "486 Busy Here")
        script.hangup(caller, 17)
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    try:
        pipeline = Pipeline(store)
        desk = await pipeline.add(Surroundings("pbx"), Limits())
        pipeline._handle(desk, [*reader.feed(script.stream())])
        assert [record.partial for record in pipeline._waiting.records] == [True, False]
    finally:
        await store.close()


async def test_an_event_that_we_fail_at_costs_that_event_alone(tmp_path: Path) -> None:
    script, reader = AmiScript(), Reader(RecordedClock())
    script.hangup(script.incoming(), 21)
    events: list[Event] = [*reader.feed(script.stream())]
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    try:
        pipeline = Pipeline(store)
        desk = await pipeline.add(Surroundings("pbx"), Limits())
        odd = ChannelSeen(script.now, None)  # type: ignore[arg-type]  # wrong on purpose
        with capture_logs() as told:
            pipeline._handle(desk, [odd, odd, *events])
        assert pipeline.counters.calls == 1
        assert pipeline.counters.lost_events == 2
        assert [line["event"] for line in told] == ["events are lost: they cannot be worked on (told once)"]
    finally:
        await store.close()

"""What the store remembers of calls in flight."""

from __future__ import annotations

from pathlib import Path

from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.pipeline import Pipeline
from asterisk_sip.sources.ami_wire import Reader, RecordedClock
from asterisk_sip.stores.sqlite import SqliteStore
from tests.ami_script import AmiScript


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

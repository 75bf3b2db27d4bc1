"""What a courier promises: in order, at least once, nothing lost, and nobody waits for a sink that is slow or dead."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from asterisk_sip.errors import PermanentSinkError, TransientSinkError
from asterisk_sip.sinks.base import KINDS, Delivery, Kind
from asterisk_sip.sinks.courier import Courier
from asterisk_sip.sinks.couriers import Couriers
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.sinks.hand_over import HandOver, Patience
from asterisk_sip.stores.base import Batch, Gap
from asterisk_sip.stores.outbox import gap_delivery_id
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import BEGAN, abandoned, answered, failed
from .lab.wait import until

FAST = Patience(timeout_s=0.3, retry_min_s=0.01, retry_max_s=0.05)


class ScriptedSink:
    """Takes what it is given, unless ``answer`` raises."""

    def __init__(self, wants: Sequence[Kind] = ("failure",), at_most: int = 100) -> None:
        self.wants: frozenset[Kind] = frozenset(wants)
        self.at_most = at_most
        self.taken: list[Delivery] = []
        self.offered = 0
        self.closed = False

    async def open(self) -> None:
        """Nothing is needed."""

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        self.offered += 1
        await self.answer(deliveries)
        self.taken += deliveries

    async def answer(self, _: Sequence[Delivery], /) -> None:
        """Take all of it."""

    async def close(self) -> None:
        self.closed = True

    @property
    def ids(self) -> list[str]:
        return [delivery.id for delivery in self.taken]


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "calls.db", delivers=True)
    await store.open()
    yield store
    await store.close()


def courier(sink: ScriptedSink, store: SqliteStore, name: str = "sink", settings: Patience = FAST) -> Courier:
    return Courier(name, sink, store, DeadLetters(store.path.parent / "dead"), settings)


async def delivered(store: SqliteStore, *sinks: ScriptedSink, batch: Batch) -> Couriers:
    """Let the sinks have a batch; give their couriers, still running."""
    couriers = Couriers([courier(sink, store, f"sink{number}") for number, sink in enumerate(sinks)], store)
    for each in couriers.couriers:  # known from before: a new one would begin behind the batch
        await store.move_cursor(each.name, await store.cursor(each.name))
    couriers.start()
    await store.write(batch)
    couriers.wake()
    return couriers


async def test_what_is_recorded_is_delivered_in_order_and_noted(store: SqliteStore) -> None:
    sink = ScriptedSink(at_most=3)
    records = [failed(number) for number in range(10)]
    couriers = await delivered(store, sink, batch=Batch(records))
    await until(lambda: len(sink.taken) == 10, "all delivered")
    await couriers.stop(5)
    assert sink.ids == [record.id for record in records]
    assert [json.loads(delivery.text)["linkedid"] for delivery in sink.taken] == [each.linkedid for each in records]
    assert not any(delivery.repeated for delivery in sink.taken)
    assert sink.closed
    assert (await store.cursor("sink0")).position == 10


async def test_a_sink_gets_the_kinds_it_wants_and_no_others(store: SqliteStore) -> None:
    failures, everything = ScriptedSink(), ScriptedSink(KINDS)
    gap = Gap("g1", "pbx", "ami", BEGAN, BEGAN, "reset")
    lasting = Gap("g2", "pbx", "ami", BEGAN, None, "reset")
    couriers = await delivered(
        store, failures, everything, batch=Batch([failed(1), answered(2), abandoned(3)], gaps=[gap, lasting])
    )
    await couriers.stop(5)
    assert failures.ids == [failed(1).id, abandoned(3).id]
    assert [(each.kind, each.id) for each in everything.taken] == [
        ("failure", failed(1).id),
        ("answered", answered(2).id),
        ("failure", abandoned(3).id),
        ("gap", gap_delivery_id(gap)),
    ]
    assert json.loads(everything.taken[1].text)["outcome"] == "answered"


async def test_a_sink_that_fails_for_a_while_gets_everything_once_it_is_back(store: SqliteStore) -> None:
    class Flaky(ScriptedSink):
        async def answer(self, _: Sequence[Delivery], /) -> None:
            if self.offered <= 5:
                raise TransientSinkError("the other side restarts")

    sink = Flaky()
    couriers = await delivered(store, sink, batch=Batch([failed(1), failed(2)]))
    await until(lambda: len(sink.taken) == 2, "all delivered")
    await couriers.stop(5)
    assert sink.ids == [failed(1).id, failed(2).id]
    [progress] = [each.progress for each in couriers.couriers]
    assert (progress.failures, progress.failing, progress.delivered) == (5, None, 2)


async def test_a_dead_sink_delays_only_itself(store: SqliteStore) -> None:
    class Hanging(ScriptedSink):
        async def answer(self, _: Sequence[Delivery], /) -> None:
            await asyncio.Event().wait()

    dead, well = Hanging(), ScriptedSink()
    couriers = await delivered(store, dead, well, batch=Batch([failed(1)]))
    await until(lambda: well.ids == [failed(1).id], "the other sink has it")
    await until(lambda: dead.offered >= 2, "the hanging one is tried again")
    assert couriers.couriers[0].progress.failing == "nothing came back within 0.3 s"
    await couriers.stop(0.1)
    assert dead.taken == []
    assert (await store.cursor("sink0")).position == 0


async def test_what_was_taken_before_a_batch_failed_is_not_offered_again(store: SqliteStore) -> None:
    class Partly(ScriptedSink):
        async def answer(self, deliveries: Sequence[Delivery], /) -> None:
            if self.offered == 1:
                self.taken += deliveries[:2]
                raise TransientSinkError("cut off", taken=2)

    sink = Partly()
    couriers = await delivered(store, sink, batch=Batch([failed(number) for number in range(4)]))
    await couriers.stop(5)
    assert sink.ids == [failed(number).id for number in range(4)]


async def test_one_record_that_a_sink_never_takes_is_put_aside_and_the_others_arrive(store: SqliteStore) -> None:
    poison = failed(5).id

    class Picky(ScriptedSink):
        async def answer(self, deliveries: Sequence[Delivery], /) -> None:
            if poison in [delivery.id for delivery in deliveries]:
                raise PermanentSinkError("400: field too long")

    sink = Picky()
    records = [failed(number) for number in range(9)]
    couriers = await delivered(store, sink, batch=Batch(records))
    await couriers.stop(5)
    assert sink.ids == [record.id for record in records if record.id != poison]
    [letter] = (store.path.parent / "dead" / "sink0.jsonl").read_text().splitlines()
    told = json.loads(letter)
    assert (told["id"], told["reason"], told["record"]["id"]) == (poison, "400: field too long", poison)
    assert couriers.couriers[0].progress.dead == 1


async def test_a_dead_letter_that_the_disk_did_not_take_leaves_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, letter = DeadLetters(tmp_path / "dead"), Delivery(1, "failure", "a", "{}")
    await dead.put("sink", letter, "first")

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(TransientSinkError, match="No space left"):
            await dead.put("sink", letter, "second")
    await dead.put("sink", letter, "third")
    assert [json.loads(line)["reason"] for line in dead.file("sink").read_text().splitlines()] == ["first", "third"]
    assert stat.S_IMODE(dead.file("sink").stat().st_mode) == 0o640


async def test_a_sink_that_is_down_and_for_which_nothing_waits_keeps_nobody_from_ending(store: SqliteStore) -> None:
    class Down(ScriptedSink):
        async def open(self) -> None:
            self.offered += 1
            raise TransientSinkError("nobody listens there")

    sink = Down()
    couriers = Couriers([courier(sink, store)], store)
    couriers.start()
    await until(lambda: sink.offered, "it is tried")
    await store.write(Batch([answered(1)]))  # nothing that it wants
    with capture_logs() as logs:
        async with asyncio.timeout(30):
            await couriers.stop(3_600)
    assert logs == []
    assert sink.closed


async def test_a_sink_that_complains_of_what_it_took_holds_nothing(tmp_path: Path) -> None:
    class Complains(ScriptedSink):
        async def answer(self, deliveries: Sequence[Delivery], /) -> None:
            raise PermanentSinkError("taken, but not liked", len(deliveries))

    hands = HandOver("sink", Complains(), DeadLetters(tmp_path / "dead"), FAST)
    await hands.deliver([Delivery(1, "failure", "a", "{}"), Delivery(2, "failure", "b", "{}")])
    assert (hands.progress.delivered, hands.progress.dead, hands.held_s) == (2, 0, 0.0)


async def test_an_error_nobody_thought_of_loses_nothing(store: SqliteStore) -> None:
    class Buggy(ScriptedSink):
        async def answer(self, _: Sequence[Delivery], /) -> None:
            if self.offered == 1:
                raise ZeroDivisionError("oops")

    sink = Buggy()
    couriers = await delivered(store, sink, batch=Batch([failed(1)]))
    await couriers.stop(5)
    assert sink.ids == [failed(1).id]


async def test_after_a_crash_what_may_have_arrived_is_delivered_again_and_marked(store: SqliteStore) -> None:
    class Crashing(ScriptedSink):
        async def answer(self, deliveries: Sequence[Delivery], /) -> None:
            self.taken += deliveries
            await asyncio.Event().wait()  # it arrived, and then the power goes

    sink = Crashing(at_most=2)
    couriers = await delivered(store, sink, batch=Batch([failed(number) for number in range(3)]))
    await until(lambda: len(sink.taken) >= 2, "the first batch arrived")
    await couriers.stop(0)
    after = ScriptedSink(at_most=2)
    again = Couriers([courier(after, store, "sink0")], store)
    again.start()
    await again.stop(5)
    assert [(each.id, each.repeated) for each in after.taken] == [
        (failed(0).id, True),
        (failed(1).id, True),
        (failed(2).id, False),
    ]


async def test_a_new_sink_begins_with_what_is_recorded_from_now_on(store: SqliteStore) -> None:
    await store.write(Batch([failed(1)]))
    sink = ScriptedSink()
    couriers = await delivered(store, sink, batch=Batch([failed(2)]))
    await couriers.stop(5)
    assert sink.ids == [failed(2).id]


async def test_what_every_sink_has_is_forgotten_and_nothing_else(store: SqliteStore) -> None:
    await store.write(Batch([failed(number) for number in range(4)]))
    await store.trim(3)
    assert [each.id for each in await store.deliveries(0, 10)] == [failed(3).id]
    await store.write(Batch([failed(4)]))
    assert [each.position for each in await store.deliveries(0, 10)] == [4, 5]


async def test_a_call_that_was_deleted_before_it_was_delivered_is_counted(store: SqliteStore) -> None:
    await store.move_cursor("sink", await store.cursor("sink"))
    await store.write(Batch([failed(1), failed(2)]))
    with closing(sqlite3.connect(store.path)) as other, other:
        other.execute("DELETE FROM calls WHERE id = ?", (failed(1).id,))
    sink = ScriptedSink()
    carrying = courier(sink, store)
    carrying.finish()
    await carrying.run()
    assert sink.ids == [failed(2).id]
    assert carrying.progress.gone == 1

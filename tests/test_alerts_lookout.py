"""The rules at work in the daemon: what is recorded is judged, told once, and remembered over a restart."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from asterisk_sip.alerts.engine import Engine
from asterisk_sip.alerts.model import Kind, Rule, change_of, change_text
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.daemon_alerts import READER, Lookout
from asterisk_sip.errors import StoreError
from asterisk_sip.sinks.hand_over import Progress
from asterisk_sip.stores import alert_book
from asterisk_sip.stores.alert_book import AlertBook, Entry, Silence
from asterisk_sip.stores.base import Batch, Gap
from asterisk_sip.stores.sqlite import SqliteStore

from .alert_calls import T0, call, run, share
from .call_records import BEGAN, BUSY, answered, failed
from .lab.errors import NotYetError
from .lab.wait import POLL_S, until

CONGESTED = share(window_s=30, min_samples=5)


class Desk:
    """A store with rules at work on it, and a clock that is set by hand: seconds since noon."""

    def __init__(self, store: SqliteStore, *rules: Rule) -> None:
        self.store = store
        self.book = AlertBook(store)
        self.now = 0.0
        self.progress: list[tuple[str, Progress]] = []
        self.lookout = Lookout(rules or (CONGESTED,), ["pbx"], store, self.book, clock=lambda: T0 + self.now)
        self.lookout.sinks = lambda: self.progress

    @contextlib.asynccontextmanager
    async def at_work(self, *, crash: bool = False) -> AsyncIterator[None]:
        """Let the rules work; at the end let them finish, or stop them at once."""
        working = asyncio.create_task(self.lookout.run())
        try:
            await until(lambda: self.lookout.taken_up, "what was known to be taken up")
            yield
            if not crash:
                self.lookout.finish()
                await working
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def record(self, *records: CallRecord, now: float) -> None:
        """Record calls, and let the clock show a time."""
        await self.store.write(Batch(list(records)))
        self.now = now
        self.lookout.wake()

    async def told(self) -> list[tuple[str, str]]:
        """Return (state, trunk) of every notice there is."""
        changes = [change_of(each.text) for each in await self.book.deliveries(0, 1000)]
        return [(each.state.value, each.group.get("trunk", "")) for each in changes]

    async def until(self, *wanted: tuple[str, str]) -> None:
        """Wait until these notices and no others are there."""
        deadline = time.monotonic() + 10
        while (there := await self.told()) != list(wanted):
            if time.monotonic() > deadline:
                raise NotYetError(f"these notices: {wanted}, but {there}")
            await asyncio.sleep(POLL_S)

    async def has_read(self, records: int) -> None:
        """Wait until so many records were judged."""
        await until(lambda: self.lookout.tally.records == records, f"{records} records to be judged")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "calls.db", delivers=True)
    await opened.open()
    yield opened
    await opened.close()


FIRED, CLEARED = ("fired", "carrier-a"), ("cleared", "carrier-a")


async def test_a_trunk_that_starts_to_answer_503_is_told_and_told_again_when_it_is_well(store: SqliteStore) -> None:
    desk = Desk(store)
    async with desk.at_work():
        await desk.record(*map(answered, range(10)), now=12)
        await desk.record(*map(failed, range(10, 30)), now=40)
        await desk.until(FIRED)
        (firing,) = await desk.book.firing()
        assert change_of(firing.fired).samples
        await desk.record(*map(answered, range(40, 75)), now=80)
        await desk.until(FIRED, CLEARED)
        assert await desk.book.firing() == []


async def test_answered_calls_are_counted_though_only_their_totals_are_kept(store: SqliteStore) -> None:
    desk = Desk(store)
    async with desk.at_work():
        calls = [answered(number) if number % 3 else failed(number) for number in range(40)]
        await desk.record(*calls, now=60)
        await desk.has_read(40)
        await desk.record(*map(failed, range(60, 80)), now=90)
        await desk.until(FIRED)
    (entry,) = await desk.book.history()
    fired = change_of(entry.fired)
    assert (fired.numerator, fired.denominator) == (5, 10)
    assert fired.at > BEGAN + timedelta(seconds=60)


async def test_after_a_stop_nothing_fires_twice_and_what_was_left_clears(store: SqliteStore) -> None:
    first = Desk(store)
    async with first.at_work():
        await first.record(*map(failed, range(20)), now=25)
        await first.until(FIRED)
    second = Desk(store)
    second.now = 27
    async with second.at_work():
        await second.record(*map(failed, range(20, 30)), now=40)
        await second.has_read(10)
        await second.until(FIRED)
        await second.record(*map(answered, range(60, 100)), now=110)
        await second.until(FIRED, CLEARED)


async def test_after_a_crash_the_same_is_judged_again_and_told_once(store: SqliteStore) -> None:
    first = Desk(store)
    async with first.at_work(crash=True):
        await first.record(*map(failed, range(20)), now=25)
        await first.until(FIRED)
        assert first.lookout.position == 0  # nothing was saved since the start
    second = Desk(store)
    second.now = 25
    async with second.at_work(crash=True):
        await second.has_read(20)
        await second.record(answered(26), now=29)
        await second.until(FIRED)
    third = Desk(store)
    third.now = 29
    async with third.at_work():
        await third.record(*map(answered, range(40, 80)), now=90)
        await third.until(FIRED, CLEARED)
    assert len(await third.book.history()) == 1


async def test_what_was_recorded_while_nobody_judged_is_judged_afterwards(store: SqliteStore) -> None:
    first = Desk(store)
    async with first.at_work():
        await first.record(answered(0), now=3)
    await store.write(Batch(list(map(failed, range(10, 30)))))
    second = Desk(store)
    second.now = 34
    async with second.at_work():
        await second.until(FIRED)


async def test_an_alert_whose_rule_was_taken_away_is_ended(store: SqliteStore) -> None:
    first = Desk(store)
    async with first.at_work():
        await first.record(*map(failed, range(20)), now=25)
        await first.until(FIRED)
    second = Desk(store, share(name="another"))
    second.now = 30
    async with second.at_work():
        await second.until(FIRED, CLEARED)
    (entry,) = await second.book.history()
    assert entry.cleared is not None
    assert change_of(entry.cleared).detail == "the rule is no longer in the configuration"


async def test_a_silenced_rule_is_recorded_and_told_when_the_silence_is_over(store: SqliteStore) -> None:
    desk = Desk(store)
    await desk.book.silence(Silence("1", "cong*", BEGAN, BEGAN + timedelta(hours=1), "works at the carrier", "root"))
    async with desk.at_work():
        await desk.record(*map(failed, range(20)), now=25)
        await desk.has_read(20)
        await until(lambda: desk.lookout.tally.changes == 1, "it to fire")
        assert await desk.told() == []
        (entry,) = await desk.book.firing()
        assert change_of(entry.fired).muted == "silenced: works at the carrier"
        assert await desk.book.unsilence("cong*", BEGAN + timedelta(seconds=26)) == 1
        await desk.record(failed(26), now=30)
        await desk.until(FIRED)


async def test_a_pbx_that_is_not_heard_is_told_and_no_alert_ends_meanwhile(store: SqliteStore) -> None:
    deaf = Rule("deaf", Kind.GAP, for_s=5, threshold=5, clear=5, group_by=("pbx", "source"))
    many = Rule("many", Kind.COUNT, threshold=10, clear=5, group_by=("trunk",), window_s=30)
    desk = Desk(store, deaf, many)
    gap = Gap("gap-1", "pbx", "ami", BEGAN + timedelta(seconds=24), None, "connection lost")
    async with desk.at_work():
        await desk.record(*map(failed, range(20)), now=25)
        await desk.until(FIRED)
        await store.write(Batch(gaps=[gap]))
        desk.now = 100
        await desk.until(FIRED, ("fired", ""))
        await store.write(Batch(gaps=[replace(gap, ended_at=BEGAN + timedelta(seconds=110))]))
        desk.now = 120
        await desk.until(FIRED, ("fired", ""), ("cleared", ""))
        desk.now = 145
        await desk.until(FIRED, ("fired", ""), ("cleared", ""), CLEARED)


async def test_a_sink_that_takes_nothing_is_told_also_over_a_restart(store: SqliteStore) -> None:
    rule = Rule("sink", Kind.SINK, for_s=5, threshold=5, clear=5, group_by=("sink",))
    first = Desk(store, rule)
    async with first.at_work():
        first.progress = [("hook", Progress(failing="HTTP 500"))]
        await until(lambda: first.lookout.engine.lasting(Kind.SINK), "the sinks to be looked at")
        first.now = 20
        await first.until(("fired", ""))
    second = Desk(store, rule)
    second.now = 25
    second.progress = [("hook", Progress())]
    async with second.at_work():
        second.progress = [("hook", Progress(failing="HTTP 500"))]
        second.now = 30
        await until(lambda: second.lookout.engine.time == T0 + 28, "the time to be judged")
        await second.until(("fired", ""))
        second.progress = [("hook", Progress(delivered=1))]
        await until(lambda: second.lookout.engine.lasting(Kind.SINK)[0].ended, "the sinks to be looked at")
        second.now = 40
        await second.until(("fired", ""), ("cleared", ""))


async def test_a_rule_knows_the_codes_of_the_past_before_it_begins(store: SqliteStore) -> None:
    await store.write(Batch([failed(1), answered(2)]))
    rule = Rule("new", Kind.NEW_CODE, group_by=("trunk", "code"), learn_s=0)
    desk = Desk(store, rule)
    desk.now = 60
    async with desk.at_work():
        await desk.record(failed(60), failed(61, trunk="carrier-b"), now=70)
        await desk.until(("fired", "carrier-b"))


async def test_every_record_of_a_hook_goes_out_once(store: SqliteStore) -> None:
    rule = Rule("each", Kind.HOOK, filter={"code": (503,)}, group_by=("trunk",))
    first = Desk(store, rule)
    hook = ("hook", "carrier-a")
    async with first.at_work(crash=True):
        await first.record(failed(1), answered(2), failed(3), now=10)
        await first.until(hook, hook)
    second = Desk(store, rule)
    second.now = 11
    async with second.at_work():
        await second.record(failed(20), now=30)
        await second.until(hook, hook, hook)


async def test_the_spool_is_kept_until_it_was_judged(store: SqliteStore) -> None:
    desk = Desk(store)
    async with desk.at_work():
        await desk.record(*map(failed, range(5)), now=30)
        await desk.has_read(5)
    assert desk.lookout.position == (await store.cursor(READER)).position == 5


async def test_other_rules_are_taken_between_two_calls_and_what_stays_knows_what_it_knew(store: SqliteStore) -> None:
    going = share(name="going", window_s=30)
    desk = Desk(store, CONGESTED, going)
    async with desk.at_work():
        await desk.record(*map(failed, range(10)), now=15)
        await desk.until(FIRED, FIRED)
        coming = share(name="coming", filter={"code": (486,)}, window_s=30, min_samples=3)
        desk.lookout.change([CONGESTED, coming])
        await desk.until(FIRED, FIRED, CLEARED)  # the rule that is gone fires no more
        await desk.record(*(failed(number, sip=BUSY) for number in range(16, 30)), now=34)
        await desk.until(FIRED, FIRED, CLEARED, FIRED, CLEARED)  # and the one that stays, that these are no 503
        await desk.record(*map(answered, range(40, 75)), now=80)
        await desk.until(FIRED, FIRED, CLEARED, FIRED, CLEARED, CLEARED)
        changes = [change_of(each.text) for each in await desk.book.deliveries(0, 100)]
    assert sorted(each.rule for each in changes) == ["coming"] * 2 + ["congestion"] * 2 + ["going"] * 2


async def test_rules_that_cannot_be_taken_for_a_while_change_nothing_until_they_can(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(store)
    async with desk.at_work():
        await desk.record(*map(failed, range(10)), now=15)
        await desk.until(FIRED)
        engine = desk.lookout.engine
        real, failures = desk.book.firing, []

        async def fails() -> list[Entry]:
            failures.append(1)
            if len(failures) < 2:
                raise StoreError("calls.db: the disk is full")
            return await real()

        monkeypatch.setattr(desk.book, "firing", fails)
        desk.lookout.change([share(name="other")])
        await until(lambda: len(failures) == 1, "the book to be asked")
        assert desk.lookout.engine is engine
        await desk.until(FIRED, CLEARED)
        assert desk.lookout.engine is not engine


async def test_a_record_that_cannot_be_read_is_passed_over_and_the_next_one_judged(store: SqliteStore) -> None:
    desk = Desk(store)
    async with desk.at_work():
        await store.change(
            lambda writer: writer.execute(
                "INSERT INTO outbox (kind, id, text) VALUES ('answered', 'odd', '{\"id\": 1}')"
            )
        )
        await desk.record(*map(failed, range(20)), now=25)
        await desk.until(FIRED)
        assert (desk.lookout.tally.unread, desk.lookout.tally.records) == (1, 21)


async def test_old_alerts_are_forgotten_when_there_are_very_many_but_none_that_fires(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_book, "MOST_ALERTS", 3)
    book = AlertBook(store)
    changes = run(Engine([share()]), [call(100 * number + at) for number in range(8) for at in range(8)], 5_000)
    fires = run(Engine([share(name="old")]), [call(at) for at in range(8)], 20)
    assert len(changes) == 16
    await book.tell([(change, change_text(change)) for change in [*fires, *changes]])
    await book.save({"": ("", "{}")}, READER, 0)
    kept = await book.history()
    assert len([entry for entry in kept if entry.cleared]) == 3
    assert [entry.rule for entry in kept if entry.cleared is None] == ["old"]

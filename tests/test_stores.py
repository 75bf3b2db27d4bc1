"""What a store promises, whichever it is: nothing lost, nothing twice, every question answered truly."""

from __future__ import annotations

import asyncio
import random
import re
import string
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.dialects import postgresql

from asterisk_sip.calls.model import Caller, CallRecord
from asterisk_sip.errors import StoreError
from asterisk_sip.stores import queries
from asterisk_sip.stores.base import EPOCH, Batch, CallQuery, Gap, Keep, OpenCall, Store, TotalsQuery, cursor, ended_at
from asterisk_sip.stores.search import search

from .call_records import BEGAN, BUSY, abandoned, answered, attempt, failed, rescued
from .store_engines import Engine

HOUR = timedelta(hours=1)


async def count(store: Store, *, by: str = "outcome", counted: str = "calls") -> dict[str, int]:
    query = TotalsQuery(BEGAN - HOUR, BEGAN + HOUR, counted=counted, by=(by,))  # type: ignore[arg-type]  # a parameter of the test
    return {getattr(total, by): total.total for total in await store.totals(query)}


class TestNothingLostNothingTwice:
    async def test_a_record_comes_back_as_it_was(self, store: Store) -> None:
        records = [failed(1), rescued(2), abandoned(3)]
        assert await store.write(Batch(records)) == 3
        assert await store.calls(CallQuery()) == records[::-1]

    async def test_the_same_batch_twice_leaves_one_row_a_call_and_counts_once(self, store: Store) -> None:
        batch = Batch([failed(1), rescued(2), answered(3)])
        assert await store.write(batch) == 3
        assert await store.write(batch) == 0
        assert len(await store.calls(CallQuery())) == 2
        assert await count(store) == {"failed": 1, "rescued": 1, "answered": 1}
        assert await count(store, by="disposition", counted="attempts") == {"congestion": 2, "answered": 2}

    async def test_the_same_record_twice_in_one_batch_leaves_one_row(self, store: Store) -> None:
        assert await store.write(Batch([failed(1), failed(1), answered(2), answered(2)])) == 2
        assert await store.calls(CallQuery()) == [failed(1)]
        assert await count(store) == {"failed": 1, "answered": 1}

    async def test_of_a_batch_with_something_unwritable_nothing_is_written(self, engine: Engine, store: Store) -> None:
        bad = OpenCall("pbx", "1", BEGAN, "{}")
        object.__setattr__(bad, "linkedid", None)
        broken = Batch([failed(1)], open_calls=[OpenCall("pbx", "2", BEGAN, "{}"), bad])
        with pytest.raises(StoreError, match=re.escape(engine.place)):
            await store.write(broken)
        assert await store.calls(CallQuery()) == []
        assert await store.open_calls("pbx") == []
        assert await count(store) == {}
        assert await store.write(Batch([failed(1)])) == 1

    async def test_who_stops_waiting_for_a_batch_does_not_tear_it(self, store: Store) -> None:
        batch = Batch([failed(number) for number in range(300)])
        task = asyncio.create_task(store.write(batch))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.write(Batch())  # waits for its turn behind the first
        assert len(await store.calls(CallQuery(limit=1_000))) in {0, 300}  # 0: its turn had not come yet
        await store.write(batch)
        assert await count(store) == {"failed": 300}

    async def test_hostile_text_is_stored_exactly(self, store: Store) -> None:
        caller = Caller("1\x00\x1b[31m", "half a pair \udcff, \u202eright to left", "a%_\\'\"; DROP TABLE calls;--")
        record = replace(failed(1), caller=caller, dialled="\ud800", linkedid="\udc80")
        await store.write(Batch([record], closed=[("pbx", "\udc80")]))
        assert await store.calls(CallQuery()) == [record]

    async def test_a_closed_store_says_so(self, engine: Engine) -> None:
        store = engine.store()
        await store.open()
        await store.close()
        await store.close()
        with pytest.raises(StoreError, match="closed"):
            await store.write(Batch([failed(1)]))


class TestKeep:
    async def test_answered_calls_are_counted_but_not_kept(self, store: Store) -> None:
        await store.write(Batch([answered(1), answered(2), failed(3)]))
        assert await store.calls(CallQuery()) == [failed(3)]
        assert await count(store) == {"answered": 2, "failed": 1}

    async def test_all_calls_are_kept_when_asked(self, engine: Engine) -> None:
        store = engine.store("all")
        await store.open()
        assert await store.write(Batch([answered(1), failed(2)])) == 2
        assert await store.write(Batch([answered(1), failed(2)])) == 0
        assert await store.calls(CallQuery()) == [failed(2), answered(1)]
        assert await count(store) == {"answered": 1, "failed": 1}
        await store.close()

    async def test_a_change_of_mind_counts_no_call_twice(self, engine: Engine) -> None:
        keeps: tuple[Keep, ...] = ("failures", "all", "failures")
        for keep in keeps:
            store = engine.store(keep)
            await store.open()
            await store.write(Batch([answered(1)]))
            assert await count(store) == {"answered": 1}
            await store.close()


class TestCallsInFlight:
    async def test_the_last_state_of_each_is_kept_until_it_is_closed(self, store: Store) -> None:
        old, new = OpenCall("pbx", "1", BEGAN, "old"), OpenCall("pbx", "1", BEGAN + HOUR, "new")
        other, elsewhere = OpenCall("pbx", "2", BEGAN, "{}"), OpenCall("pbx2", "1", BEGAN, "{}")
        await store.write(Batch(open_calls=[old, other, elsewhere]))
        await store.write(Batch(open_calls=[new]))
        assert await store.open_calls("pbx") == [other, new]
        await store.write(Batch(closed=[("pbx", "1"), ("pbx", "never seen")]))
        assert await store.open_calls("pbx") == [other]
        assert await store.open_calls("pbx2") == [elsewhere]

    async def test_a_linkedid_used_again_in_the_batch_that_closes_it_stays_in_flight(self, store: Store) -> None:
        again = OpenCall("pbx", "1", BEGAN, "second call")
        await store.write(Batch(open_calls=[again], closed=[("pbx", "1")]))
        assert await store.open_calls("pbx") == [again]


class TestGaps:
    async def test_a_gap_is_closed_under_its_id(self, store: Store) -> None:
        lasting = Gap("g1", "pbx", "ami", BEGAN, None, "connection refused")
        await store.write(Batch(gaps=[lasting]))
        assert await store.gaps(BEGAN + HOUR, BEGAN + 2 * HOUR) == [lasting]
        ended = replace(lasting, ended_at=BEGAN + timedelta(minutes=5))
        await store.write(Batch(gaps=[ended]))
        assert await store.gaps(BEGAN, BEGAN + HOUR) == [ended]
        assert await store.gaps(BEGAN, BEGAN + HOUR, "pbx") == [ended]
        assert await store.gaps(BEGAN, BEGAN + HOUR, "other") == []
        assert await store.gaps(BEGAN + HOUR, BEGAN + 2 * HOUR) == []


class TestHoldings:
    async def test_a_store_tells_its_size_its_oldest_call_and_what_is_in_flight(self, store: Store) -> None:
        empty = await store.holdings()
        assert (empty.oldest_at, empty.open_calls, empty.spooled, empty.behind) == (None, 0, 0, {})
        await store.write(Batch([failed(5), failed(1)], [OpenCall("pbx", "1", BEGAN, "{}")]))
        held = await store.holdings()
        assert (held.oldest_at, held.open_calls) == (ended_at(failed(1)), 1)
        assert held.size_bytes >= empty.size_bytes > 0


class TestPaging:
    async def test_pages_lose_and_repeat_nothing(self, store: Store) -> None:
        together = [replace(failed(number), ended_at=BEGAN) for number in range(40)]  # all at the same microsecond
        records = [failed(number) for number in range(40, 63)] + together
        await store.write(Batch(records))
        seen: list[CallRecord] = []
        before = None
        while page := await store.calls(CallQuery(limit=7, before=before)):
            seen += page
            before = cursor(page[-1])
            await store.write(Batch([failed(1_000 + len(seen))]))  # newer ones come meanwhile
        assert Counter(record.id for record in seen) == Counter(record.id for record in records)
        assert seen == sorted(seen, key=lambda record: (ended_at(record), record.id), reverse=True)

    @pytest.mark.parametrize("cursor", ["", "abc", "12", "12.", ".x", "1e3.x", "\u0661.x"])
    async def test_what_is_no_cursor_is_refused(self, store: Store, cursor: str) -> None:
        with pytest.raises(ValueError, match="cursor"):
            await store.calls(CallQuery(before=cursor))

    async def test_a_record_without_times_is_listed_last(self, store: Store) -> None:
        timeless = replace(failed(1), started_at=None, ended_at=None, attempts=())
        started = replace(failed(2), ended_at=None, attempts=())
        await store.write(Batch([timeless, started, failed(3)]))
        assert await store.calls(CallQuery()) == [failed(3), started, timeless]
        assert await store.calls(CallQuery(before=cursor(started))) == [timeless]
        assert ended_at(timeless) == EPOCH


class TestTail:
    async def test_records_come_in_the_order_of_writing(self, store: Store) -> None:
        assert await store.last_position() == 0
        await store.write(Batch([failed(5), failed(4)]))
        await store.write(Batch([answered(9), failed(1)]))
        first, second, third = await store.after(0, 10)
        assert [record for _, record in (first, second, third)] == [failed(5), failed(4), failed(1)]
        assert first[0] < second[0] < third[0] == await store.last_position()
        assert await store.after(first[0], 1) == [second]
        assert await store.after(third[0], 10) == []

    async def test_it_can_be_narrowed(self, store: Store) -> None:
        await store.write(Batch([failed(1), failed(2, sip=BUSY)]))
        assert [record for _, record in await store.after(0, 10, CallQuery(code=486))] == [failed(2, sip=BUSY)]
        ends = [await store.position_behind(0, calls) for calls in (1, 2, 3)]
        assert ends[2] is None
        assert len(await store.after(0, 10, upto=ends[0])) == 1
        assert [record for _, record in await store.after(ends[0] or 0, 10, upto=ends[1])] == [failed(2, sip=BUSY)]

    async def test_a_position_is_never_given_twice(self, engine: Engine, store: Store) -> None:
        await store.write(Batch([failed(1), failed(2)]))
        position = await store.last_position()
        await engine.run("DELETE FROM calls WHERE true")
        assert await store.last_position() == position
        await store.write(Batch([failed(3)]))
        assert await store.last_position() > position


MANY = (
    failed(0, trunk="carrier-a"),
    failed(600, trunk="carrier-b", sip=BUSY),
    replace(failed(1_200, trunk="sip_trunk", pbx="other"), dialled="+44 20 7946 0000"),
    rescued(1_800),
    replace(abandoned(2_400), caller=Caller("5551234", None, "bob%")),
    replace(failed(3_000), attempts=()),
)


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (CallQuery(), {0, 1, 2, 3, 4, 5}),
            (CallQuery(limit=2), {4, 5}),
            (CallQuery(since=BEGAN + timedelta(seconds=602)), {1, 2, 3, 4, 5}),
            (CallQuery(since=BEGAN + timedelta(seconds=602, microseconds=1)), {2, 3, 4, 5}),
            (CallQuery(until=BEGAN + timedelta(seconds=602)), {0}),
            (CallQuery(code=486), {1}),
            (CallQuery(code=487), set()),  # a candidate is not a status
            (CallQuery(sip_class=5), {0, 2, 5}),
            (CallQuery(sip_class=2), {3}),
            (CallQuery(sip_class=0), {4}),
            (CallQuery(outcome="rescued"), {3}),
            (CallQuery(disposition="congestion"), {0, 2, 5}),
            (CallQuery(pbx="other"), {2}),
            (CallQuery(trunk="carrier-a"), {0, 3, 4}),  # the rescued call failed there first
            (CallQuery(trunk="carrier-*"), {0, 1, 3, 4}),
            (CallQuery(trunk="*-b"), {1, 3}),
            (CallQuery(trunk="carrier-?"), {0, 1, 3, 4}),
            (CallQuery(trunk="c*a"), {0, 3, 4}),  # * stays inside one name: carrier-b, then ...-a is none
            (CallQuery(trunk="*"), {0, 1, 2, 3, 4}),
            (CallQuery(trunk="*rrier-b*"), {1, 3}),
            (CallQuery(trunk="*b"), {1, 3}),
            (CallQuery(trunk="arrier-b*"), set()),
            (CallQuery(trunk="CARRIER-*"), set()),
            (CallQuery(trunk="sip_trunk"), {2}),
            (CallQuery(trunk="sip_*"), {2}),
            (CallQuery(trunk="sip?trunk"), {2}),
            (CallQuery(trunk="c_rrier-*"), set()),
            (CallQuery(trunk="%"), set()),
            (CallQuery(trunk="carrier-b-out"), {1, 3}),  # an endpoint will do
            (CallQuery(endpoint="alice"), {0, 1, 2, 3, 5}),
            (CallQuery(endpoint="bob%"), {4}),
            (CallQuery(endpoint="b*"), {4}),
            (CallQuery(endpoint="carrier-b-*"), {1, 3}),
            (CallQuery(endpoint="carrier-b"), set()),  # that is the trunk
            (CallQuery(number="5551234"), {4}),
            (CallQuery(number="0123456"), {0, 1, 3, 4, 5}),
            (CallQuery(number="+44"), {2}),
            (CallQuery(number="%"), set()),
            (CallQuery(number="5_5"), set()),
            (CallQuery(number="\x00"), {0, 1, 2, 3, 4, 5}),  # what no number holds asks for nothing
            (CallQuery(number="\udcff"), set()),
            (CallQuery(pbx="\ud800"), set()),
            (CallQuery(code=70_000), set()),
            (CallQuery(attempt_code=503), {0, 2, 3}),
            (CallQuery(attempt_code=503, trunk="carrier-a"), {0, 3}),
            (CallQuery(attempt_code=200, trunk="carrier-a"), set()),  # it was carrier-b that answered
            (CallQuery(attempt_code=486, trunk="carrier-?"), {1}),
            (CallQuery(fault="carrier"), {0, 1, 2, 3, 4, 5}),
            (CallQuery(fault="callee"), set()),
            (CallQuery(country="44"), {2}),
            (CallQuery(country="49", sip_class=5), {0, 5}),
            (CallQuery(country="4%"), set()),
            (CallQuery(code=503, trunk="carrier-a", since=BEGAN, pbx="pbx", number="101"), {0}),
        ],
    )
    async def test_a_filter_finds_exactly(self, store: Store, query: CallQuery, found: set[int]) -> None:
        await store.write(Batch(list(MANY)))
        ids = {record.id for record in await store.calls(query)}
        assert {number for number, record in enumerate(MANY) if record.id in ids} == found
        if query.limit >= len(MANY):
            window = replace(query, since=query.since or BEGAN, until=query.until or BEGAN + HOUR)
            by_step = await store.over_time(window, timedelta(minutes=7))
            assert sum(total.total for total in by_step) == len(found)


async def test_calls_are_counted_by_the_step_they_ended_in(store: Store) -> None:
    await store.write(Batch(list(MANY)))
    counted = await store.over_time(CallQuery(since=BEGAN, until=BEGAN + HOUR), timedelta(minutes=20))
    told = [(total.minute, total.sip_code, total.total) for total in counted]
    steps = [BEGAN + timedelta(minutes=minutes) for minutes in (0, 20, 40)]
    assert told == [
        (steps[0], 486, 1),
        (steps[0], 503, 1),
        (steps[1], 200, 1),
        (steps[1], 503, 1),
        (steps[2], 0, 1),
        (steps[2], 503, 1),
    ]
    with pytest.raises(ValueError, match="from a since to an until"):
        await store.over_time(CallQuery(since=BEGAN), HOUR)


async def test_a_name_is_found_whole_whatever_is_in_it(store: Store) -> None:
    await store.write(Batch([failed(1, trunk="two\nlines"), failed(2, trunk="two"), failed(3, trunk="two%")]))
    for trunk, found in (("two\nlines", 1), ("two\n*", 1), ("two", 2), ("two%", 3)):
        assert await store.calls(CallQuery(trunk=trunk)) == [failed(found, trunk=trunk.replace("*", "lines"))], trunk


class TestDepth:
    async def test_a_search_goes_so_deep_and_on_from_there(self, store: Store) -> None:
        records = [failed(number) for number in range(5)]
        twins = [replace(failed(9), id="00twin1"), replace(failed(9), id="00twin2")]
        newest_first = [*twins[::-1], *records[::-1]]
        await store.write(Batch([*records, *twins]))
        for depth in range(1, 9):
            down_to = await store.depth(CallQuery(since=BEGAN, code=486), depth)  # filters do not count
            assert down_to == (cursor(newest_first[depth - 1]) if depth < len(newest_first) else None)
            deep = CallQuery(down_to=down_to)
            assert await store.calls(deep) == newest_first[: depth if down_to else None]
            if down_to is not None:
                rest = CallQuery(since=BEGAN, until=BEGAN + HOUR, before=down_to)
                assert await store.calls(rest) == newest_first[depth:]
                counted = await store.over_time(rest, HOUR)
                assert sum(total.total for total in counted) == len(newest_first) - depth

    async def test_it_stays_in_the_window(self, store: Store) -> None:
        await store.write(Batch([failed(number) for number in range(10)]))
        window = CallQuery(since=ended_at(failed(2)), until=ended_at(failed(8)), before=cursor(failed(6)))
        assert await store.depth(window, 3) == cursor(failed(3))
        assert await store.depth(window, 4) is None

    async def test_steps_begin_where_they_are_told_to(self, store: Store) -> None:
        await store.write(Batch([failed(0), failed(599), failed(601)]))
        window = CallQuery(since=BEGAN + timedelta(seconds=1), until=BEGAN + HOUR)
        counted = await store.over_time(window, timedelta(minutes=10), BEGAN)
        assert [(total.minute, total.total) for total in counted] == [(BEGAN, 1), (BEGAN + timedelta(minutes=10), 2)]


class TestSearch:
    async def test_who_goes_on_finds_every_call_once_however_little_is_looked_at(self, store: Store) -> None:
        records = [failed(number, sip=BUSY) if number % 7 == 0 else failed(number) for number in range(40)]
        await store.write(Batch(records))
        seen: list[CallRecord] = []
        query, answers = CallQuery(since=BEGAN, code=486, limit=2), 0
        while True:
            found = await search(store, query, at_most=10)
            seen += found.calls
            answers += 1
            if found.following is None:
                break
            query = replace(query, before=found.following)
        assert seen == [record for record in records if record.sip is BUSY][::-1]
        assert answers > 3

    async def test_it_says_whether_it_was_cut_short(self, store: Store) -> None:
        await store.write(Batch([failed(number) for number in range(20)]))
        for code, at_most, cut in ((486, 10, True), (486, 20, False), (503, 5, False)):
            assert (await search(store, CallQuery(since=BEGAN, code=code, limit=3), at_most)).cut == cut
        assert not (await search(store, CallQuery(since=BEGAN, limit=30), 10)).cut, (
            "whatever fits is looked for no further"
        )


class TestTotals:
    async def test_minutes_are_counted_together_under_the_first(self, store: Store) -> None:
        await store.write(Batch([failed(0), failed(899), failed(901), failed(3_000)]))
        query = TotalsQuery(BEGAN, BEGAN + HOUR, by=("minute",), minutes=15)
        found = [(total.minute, total.total) for total in await store.totals(query)]
        assert found == [(BEGAN, 1), (BEGAN + timedelta(minutes=15), 2), (BEGAN + timedelta(minutes=45), 1)]
        hours = replace(query, since=BEGAN - 6 * HOUR, until=BEGAN + 2 * HOUR, by=("hour",), minutes=360)
        assert [(total.hour, total.total) for total in await store.totals(hours)] == [(BEGAN, 4)]

    async def test_calls_count_under_the_minute_they_ended_in(self, store: Store) -> None:
        await store.write(Batch([failed(57), failed(58), failed(59), answered(118)]))
        minute = timedelta(minutes=1)
        by_minute = await store.totals(TotalsQuery(BEGAN, BEGAN + HOUR, by=("minute", "outcome")))
        found = [(total.minute, total.outcome, total.total) for total in by_minute]
        assert found == [
            (BEGAN, "failed", 1),
            (BEGAN + minute, "failed", 2),
            (BEGAN + 2 * minute, "answered", 1),
        ]
        (middle,) = await store.totals(TotalsQuery(BEGAN + minute, BEGAN + 2 * minute, by=()))
        assert (middle.total, middle.outcome) == (2, None)
        assert await store.totals(TotalsQuery(BEGAN + HOUR, BEGAN + 2 * HOUR, by=())) == []
        (always,) = await store.totals(TotalsQuery(EPOCH, datetime.max.replace(tzinfo=UTC), by=()))
        assert always.total == 4

    async def test_attempts_count_by_trunk_and_code(self, store: Store) -> None:
        await store.write(Batch([rescued(1), failed(2), answered(3), abandoned(4)]))
        query = TotalsQuery(BEGAN, BEGAN + HOUR, counted="attempts", by=("trunk", "disposition", "sip_code"))
        found = {(total.trunk, total.disposition, total.sip_code): total.total for total in await store.totals(query)}
        assert found == {
            ("carrier-a", "answered", 200): 1,
            ("carrier-a", "cancelled", 0): 1,
            ("carrier-a", "congestion", 503): 2,
            ("carrier-b", "answered", 200): 1,
        }
        (only_b,) = await store.totals(replace(query, trunk="*-b", by=()))
        assert only_b.total == 1

    async def test_a_call_counts_under_the_trunk_that_decided_it(self, store: Store) -> None:
        first = attempt(1, "carrier-b", BUSY, "busy", BEGAN)
        second = attempt(2, "carrier-a", failed().sip, "congestion", BEGAN)
        await store.write(Batch([rescued(1), replace(failed(2, sip=BUSY), attempts=(first, second))]))
        assert await count(store, by="trunk") == {"carrier-b": 2}

    async def test_talk_time_is_from_answer_to_end(self, store: Store) -> None:
        longer = replace(answered(1), ended_at=BEGAN + timedelta(seconds=100, microseconds=500))
        await store.write(Batch([answered(0), longer, failed(2)]))
        (total,) = await store.totals(TotalsQuery(BEGAN, BEGAN + HOUR, by=(), pbx="pbx"))
        assert (total.total, total.talk_ms) == (3, 1_000 + 98_000)
        assert await store.totals(TotalsQuery(BEGAN, BEGAN + HOUR, pbx="other")) == []


def noise(length: int) -> str:
    """A text that no compression makes short."""
    return "".join(random.Random(1).choices(string.ascii_letters, k=length))


async def test_long_names_and_numbers_out_of_range_stop_no_batch(store: Store) -> None:
    base = failed(1)
    long = replace(
        base.attempts[0],
        trunk=noise(9_000),
        endpoint=noise(9_000),
        q850=replace(base.attempts[0].q850, cause=10**30),
        pdd_ms=10**12,
    )
    record = replace(base, attempts=(long,), linkedid=noise(9_000), dialled=noise(9_000), pbx="p" * 64)
    assert await store.write(Batch([record], [OpenCall("pbx", noise(9_000), BEGAN, "{}")])) == 1
    assert await store.calls(CallQuery(since=BEGAN - HOUR)) == [record]
    assert await store.write(Batch(closed=[("pbx", noise(9_000))])) == 0
    assert await store.open_calls("pbx") == []


def test_the_questions_are_asked_in_words_other_engines_have() -> None:
    everything = CallQuery(BEGAN, BEGAN, 503, 5, "a*", "b?", "failed", "busy", "1", "pbx", 5, cursor(failed()))
    asked = [
        queries.calls_matching(everything),
        queries.calls_after(1, 2, everything),
        queries.open_calls_of("pbx"),
        queries.gaps_touching(BEGAN, BEGAN, "pbx"),
        queries.totals_of(TotalsQuery(BEGAN, BEGAN, by=("minute", "trunk"), pbx="pbx", trunk="a*")),
    ]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    for statement in asked:
        assert str(statement.compile(dialect=dialect)).startswith("SELECT ")


async def test_every_column_holds_what_its_name_says(engine: Engine, store: Store) -> None:
    record = replace(rescued(7), partial=True)
    await store.write(Batch([record]))
    (call,), (tried, _) = [await engine.run(f"SELECT * FROM {table}") for table in ("calls", "attempts")]  # noqa: S608  # constants
    began_us = int(datetime(2026, 11, 1, 12, 0, 7, tzinfo=UTC).timestamp()) * 1_000_000
    expected = {
        "position": await store.last_position(),
        "id": record.id,
        "at_us": began_us + 2_000_000,
        "pbx": "pbx",
        "linkedid": record.linkedid,
        "started_us": began_us,
        "ended_us": began_us + 2_000_000,
        "direction": "outbound",
        "outcome": "rescued",
        "disposition": "answered",
        "sip_code": 200,
        "sip_class": 2,
        "grade": "wire",
        "trunk": "carrier-b",
        "endpoint": "carrier-b-out",
        "route": "\ncarrier-a\ncarrier-a-out\ncarrier-b\ncarrier-b-out\n",
        "caller_endpoint": "alice",
        "caller_number": "101",
        "dialled": "+4930123456",
        "released_by": "network",
        "fault_side": "carrier",
        "partial": 1,
    }
    assert {key: call[key] for key in call if key != "record"} == expected
    assert {key: tried[key] for key in tried if key != "at_us"} == {
        "call_id": record.id,
        "seq": 1,
        "stage": 1,
        "pbx": "pbx",
        "endpoint": "carrier-a-out",
        "trunk": "carrier-a",
        "dialled": "+4930123456",
        "began_us": began_us,
        "ended_us": began_us + 1_000_000,
        "sip_code": 503,
        "sip_class": 5,
        "grade": "wire",
        "disposition": "congestion",
        "dial_status": "CONGESTION",
        "q850": 34,
        "pdd_ms": 120,
        "fault_side": "carrier",
    }

"""Whatever is asked of the totals, the answer is that of a plain count over the records, from every engine."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterisk_sip.calls.delays import bucket_of
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.stores import rollups
from asterisk_sip.stores.base import Batch, Dimension, Store, Total, TotalsQuery, ended_at

from .call_records import BEGAN, BUSY, abandoned, answered, failed, rescued
from .store_engines import ENGINES, Engine, engine_of

TRUNKS = ("carrier-a", "carrier-b", "Carrier-A", "x_y", None)
SPAN_S = 5 * 3600
DAY_ONE = datetime(1969, 12, 31, 22, 0, tzinfo=UTC)  # a clock not yet set, on either side of 1970
MINUTE = timedelta(minutes=1)


def some_calls(count: int) -> list[CallRecord]:
    """Return calls of five hours in 2026 and of five around 1970, the same whenever asked."""
    dice = random.Random(6)  # not for secrets
    return [some_call(dice, number) for number in range(count)]


def some_call(dice: random.Random, number: int) -> CallRecord:
    makers: list[Callable[[int], CallRecord]] = [failed, partial(failed, sip=BUSY), answered, rescued, abandoned]
    record = dice.choice(makers)(number)
    at = dice.choice([BEGAN, BEGAN, DAY_ONE]) + timedelta(seconds=dice.randrange(SPAN_S))
    tried = tuple(
        replace(
            attempt,
            trunk=dice.choice(TRUNKS),
            pdd_ms=dice.choice([None, 0, 90, 1_500, 2_900, 400_000]),
            ended_at=dice.choice([None, at - timedelta(seconds=dice.randrange(200))]),
        )
        for attempt in record.attempts
    )
    return replace(
        record,
        pbx=dice.choice(["pbx", "other"]),
        direction=dice.choice(["inbound", "outbound", None]),
        ended_at=at,
        answered_at=at - timedelta(milliseconds=dice.randrange(90_000)) if record.answered_at else None,
        attempts=tried if dice.random() > 0.1 else (),
    )


RECORDS = some_calls(600)


class Filled:
    """A store that holds RECORDS, and the loop it lives in."""

    def __init__(self, engine: Engine) -> None:
        self._loop = asyncio.new_event_loop()
        self._store = engine.store()
        self._loop.run_until_complete(self._fill(self._store))

    async def _fill(self, store: Store) -> None:
        await store.open()
        dice = random.Random(7)
        left = list(RECORDS)
        while left:  # in batches of any size: what is there already is added to
            size = dice.choice([1, 1, 7, 100])
            await store.write(Batch(left[:size] + RECORDS[:2]))
            left = left[size:]

    def totals(self, query: TotalsQuery) -> list[Total]:
        """Return what the store says."""
        return self._loop.run_until_complete(self._store.totals(query))

    def close(self) -> None:
        """Close the store."""
        self._loop.run_until_complete(self._store.close())
        self._loop.close()


@pytest.fixture(scope="module", params=ENGINES)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    engine = engine_of(request, tmp_path_factory.mktemp("totals"))
    filled = Filled(engine)
    yield filled
    filled.close()


def counted(query: TotalsQuery) -> dict[tuple[Any, ...], list[int]]:
    """Return (total, talk_ms) by what is asked for, counted record by record."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for at, facts, talk_ms in facts_of(query.counted):
        minute = at.replace(second=0, microsecond=0)
        if not query.since <= minute < query.until or (query.pbx is not None and facts["pbx"] != query.pbx):
            continue
        if query.trunk is not None and not fnmatchcase(facts["trunk"], query.trunk):
            continue
        if "pdd" in query.by and facts["pdd"] is None:
            continue
        facts |= {"minute": minute, "hour": minute.replace(minute=0)}
        numbers = sums.setdefault(tuple(facts[name] for name in query.by), [0, 0])
        numbers[0] += 1
        numbers[1] += 0 if "pdd" in query.by else talk_ms
    return sums


def facts_of(what: str) -> Iterator[tuple[datetime, dict[str, Any], int]]:
    """Yield when each call or attempt ended, what it can be told apart by, and how long was talked."""
    for record in RECORDS:
        common = {"pbx": record.pbx, "direction": record.direction or ""}
        if what == "calls":
            same = [
                each for each in record.attempts if (each.disposition, each.sip) == (record.disposition, record.sip)
            ]
            trunk = next((each.trunk or "" for each in reversed(same or record.attempts)), "")
            status = {"disposition": record.disposition, "sip_code": record.sip.code or 0}
            talk = ended_at(record) - (record.answered_at or ended_at(record))
            facts = common | status | {"trunk": trunk, "outcome": record.outcome.value, "pdd": None}
            yield ended_at(record), facts, talk // timedelta(milliseconds=1)
            continue
        for each in record.attempts:
            status = {"disposition": each.disposition, "sip_code": each.sip.code or 0, "outcome": ""}
            pdd = None if each.pdd_ms is None else bucket_of(each.pdd_ms)
            yield each.ended_at or ended_at(record), common | status | {"trunk": each.trunk or "", "pdd": pdd}, 0


def some_time() -> st.SearchStrategy[datetime]:
    """Return times around those of the records: at whole hours, at whole minutes, and in between."""
    seconds = st.integers(-SPAN_S, 2 * SPAN_S)
    rounded = st.builds(lambda second, unit: second // unit * unit, seconds, st.sampled_from([1, 60, 3600]))
    return st.builds(
        lambda start, second: start + timedelta(seconds=second), st.sampled_from([BEGAN, DAY_ONE]), rounded
    )


def some_query() -> st.SearchStrategy[TotalsQuery]:
    """Return questions that have an answer."""
    units: list[tuple[Dimension, ...]] = [(), ("minute",), ("hour",)]
    plain: list[Dimension] = ["pbx", "direction", "trunk", "outcome", "disposition", "sip_code"]
    delays: list[Dimension] = ["pdd", "pbx", "trunk"]

    def query(unit: tuple[Dimension, ...], rest: list[Dimension], counted: Any, *others: Any) -> TotalsQuery:
        since, until, pbx, trunk = others
        return TotalsQuery(since, until, "attempts" if "pdd" in rest else counted, (*unit, *rest), pbx, trunk)

    return st.builds(
        query,
        st.sampled_from(units),
        st.lists(st.sampled_from(plain), unique=True) | st.just(delays) | st.just(delays[:1]),
        st.sampled_from(["calls", "attempts"]),
        some_time(),
        some_time(),
        st.sampled_from([None, "pbx", "nobody"]),
        st.sampled_from([None, "carrier-?", "carrier-b", "x_*", ""]),
    )


@settings(max_examples=300, deadline=None)
@given(query=some_query())
def test_every_answer_is_that_of_a_plain_count(filled: Filled, query: TotalsQuery) -> None:
    found = filled.totals(query)
    keys = [tuple(getattr(total, name) for name in query.by) for total in found]
    assert keys == sorted(keys)
    assert {key: [total.total, total.talk_ms] for key, total in zip(keys, found, strict=True)} == counted(query)
    for total in found:
        assert {name for name in Total._fields[2:] if getattr(total, name) is not None} == set(query.by)


@pytest.mark.parametrize(
    "query",
    [
        TotalsQuery(BEGAN, BEGAN, by=("minute", "hour")),
        TotalsQuery(BEGAN, BEGAN, by=("pdd",)),
        TotalsQuery(BEGAN, BEGAN, "attempts", by=("pdd", "sip_code")),
    ],
)
def test_what_is_not_counted_together_is_refused(filled: Filled, query: TotalsQuery) -> None:
    with pytest.raises(ValueError, match="counted"):
        filled.totals(query)


def test_common_questions_read_the_narrow_tables() -> None:
    assert rollups.by_minute(["minute", "sip_code"]).name == "minute_totals"
    assert rollups.by_minute(["minute", "trunk", "sip_code"]).name == "totals"
    assert rollups.by_hour(["trunk", "sip_code"]).name == "hour_totals"
    assert rollups.by_hour(["hour", "trunk", "pdd"]).name == "hour_pdd"


def test_the_records_are_of_every_kind() -> None:
    assert len(Counter(record.outcome for record in RECORDS)) == 4
    assert len(Counter(each.trunk for record in RECORDS for each in record.attempts)) == len(TRUNKS)

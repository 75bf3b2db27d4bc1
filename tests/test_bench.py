"""The benchmark's own parts: it must not measure something else than it says."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path

import pytest

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.stores.base import CallQuery
from asterisk_sip.stores.sqlite import SqliteStore
from tests.bench import million, page, pages, week
from tests.bench.__main__ import BENCHMARKS
from tests.bench.recording import CALLS
from tests.call_records import BEGAN

FAR = BEGAN + timedelta(days=30)


def test_every_benchmark_has_its_place_on_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in page.PAGES.glob("*.md"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(page, "PAGES", tmp_path)
    for name in BENCHMARKS:
        page.put(name, f"figures of {name}")
        page.put(name, f"newer figures of {name}")
    text = "".join(path.read_text() for path in tmp_path.glob("*.md"))
    assert [text.count(f"\nnewer figures of {name}\n") for name in BENCHMARKS] == [1] * len(BENCHMARKS)
    assert "\nfigures of" not in text
    with pytest.raises(ValueError, match="no page has a place"):
        page.put("nothing", "1")


async def test_the_rounds_of_the_long_run_are_calls_of_their_own_that_all_fail(tmp_path: Path) -> None:
    steps = await million.run(10 * CALLS, tmp_path / "calls.db")
    store = SqliteStore(tmp_path / "calls.db", readonly=True)
    await store.open()
    calls = await store.calls(CallQuery(limit=100_000))
    await store.close()
    assert len(calls) >= sum(step.calls for step in steps) >= 10 * CALLS
    assert {(call.outcome, call.partial) for call in calls} == {("failed", False)}
    assert {call.sip.code for call in calls} == {403, 404, 480, 486, 503, 608}


def test_rounds_differ_in_ids_and_times_alone() -> None:
    first, second = itertools.islice(million.rounds(), 2)
    assert len(first) == len(second)
    ids = [{line for line in data.split(b"\r\n") if line.startswith(b"Uniqueid: ")} for data in (first, second)]
    assert len(ids[0]) == len(ids[1]) == 2 * CALLS
    assert not ids[0] & ids[1]


def test_every_page_that_is_measured_is_served_and_the_copies_are_calls_as_the_store_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "TIMES", 1)
    table = pages.report(tmp_path, 2_000, tmp_path)
    assert "refused" not in table
    assert table.count("\n| ") > 60
    calls = asyncio.run(some_of_each_day(tmp_path / "calls-2000.db"))
    assert len({call.started_at.date() for call in calls if call.started_at}) > week.DAYS
    for call in calls:
        assert call.started_at is not None
        assert int(call.id[:8], 16) == int(call.started_at.timestamp())
        assert all(
            each.began_at and abs(each.began_at - call.started_at) < timedelta(hours=1) for each in call.attempts
        )


async def some_of_each_day(path: Path) -> list[CallRecord]:
    store = SqliteStore(path, readonly=True)
    await store.open()
    calls = await store.calls(CallQuery(limit=10_000))
    assert [call.id for call in calls] == [row.id for row in await store.ended(BEGAN, FAR, None, 10_000)][::-1]
    await store.close()
    return calls

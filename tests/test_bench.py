"""The benchmark's own parts: it must not measure something else than it says."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from asterisk_sip.stores.base import CallQuery
from asterisk_sip.stores.sqlite import SqliteStore
from tests.bench import million, page
from tests.bench.__main__ import BENCHMARKS
from tests.bench.recording import CALLS


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

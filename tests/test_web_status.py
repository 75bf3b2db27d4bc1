"""The pages Status, Codes and Live, read without script."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from asterisk_sip.calls.model import Caller, SipStatus
from asterisk_sip.health import DoorHealth, Health, PbxHealth, SinkHealth, WorkHealth
from asterisk_sip.metrics import Samples
from asterisk_sip.stores.base import Batch, Gap
from asterisk_sip.stores.spool import Cursor
from asterisk_sip.stores.sqlite import SqliteStore
from asterisk_sip.web import live
from asterisk_sip.web.app import application
from asterisk_sip.web.operations import Program
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import Shelf
from asterisk_sip.web.show import lasted

from .call_records import BUSY, failed
from .test_web_pages import Site
from .web_site import lately

HOSTILE = "<script>alert(1)</script>${SHELL(id)}"
SHOWN = "&lt;script&gt;alert(1)&lt;/script&gt;${SHELL(id)}"
NOW = datetime.now(UTC)
UNLISTED = SipStatus(499, HOSTILE, 4)
RECORDS = [
    *(lately(failed(number, sip=BUSY)) for number in range(3)),
    replace(lately(failed(4, sip=UNLISTED)), dialled=HOSTILE, caller=Caller(HOSTILE, HOSTILE, HOSTILE)),
]
LASTING = Gap("1", HOSTILE, "ami", NOW - timedelta(hours=1), None, HOSTILE)
OVER = Gap("2", "pbx", "ari", NOW - timedelta(hours=3), NOW - timedelta(hours=2), "restarted", blind=False)
SICK = Health(
    "running",
    pbxs=(
        PbxHealth("pbx", True, "22.10.1", (DoorHealth("ami", True), DoorHealth("ari", False, HOSTILE)), 7, 3.2, {}, 1),
    ),
    sinks=(
        SinkHealth("hook", HOSTILE, 1_234, 125.0, 10, 0, 2, 0, 9),
        SinkHealth("lines", None, 0, 0.0, 55, 0, 0, 0, 0),
    ),
    work=WorkHealth(5_000, 3, 40, 0, 2, 200_000, 1),
)


@dataclass
class Fixed:
    """A program that tells this of itself."""

    told: Health

    async def health(self) -> Health:
        """Return it."""
        return self.told

    async def samples(self) -> Samples:
        """Return no numbers."""
        return {}


Opened = Callable[..., Any]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """Serves the pages over a filled store, or over none, beside a program, or alone."""
    async with AsyncExitStack() as left:

        async def build(program: Program | None = None, *, filled: bool = True) -> Site:
            path = tmp_path / "calls.db"
            if filled:
                store = SqliteStore(path, delivers=True)
                await store.open()
                await store.move_cursor("hook", Cursor(0, 0))
                await store.write(Batch(RECORDS, gaps=[LASTING, OVER], listened={"pbx": NOW}))
                await store.close()
            shelf = Shelf(lambda: SqliteStore(path, readonly=True), ("pbx",))
            runner = await listen(application(shelf, None, program), "127.0.0.1", 0)
            left.push_async_callback(shelf.close)
            left.push_async_callback(runner.cleanup)
            session = await left.enter_async_context(aiohttp.ClientSession())
            return Site("http://{}:{}".format(*runner.addresses[0]), session)

        yield build


def words_of(html: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


async def test_status_says_what_needs_a_person_and_what_works(opened: Opened) -> None:
    site = await opened(Fixed(SICK))
    text = await site.page("/status")
    assert "Does not do its work" in text
    shown = words_of(text)
    assert f"sink hook it has taken nothing for 125 s: {SHOWN}" in shown
    assert f"● ami ✕ ari {SHOWN}" in shown
    assert "✕ takes nothing for 2 min 5 s:" in shown
    assert "1 234 10 2" in shown, "waiting, delivered, put aside"
    assert "clock is 3 s ahead" in shown
    assert "Asterisk 22.10.1" in shown
    assert re.search(r"for 1 h( \d+ min)?, and lasts", shown)
    assert HOSTILE not in text


async def test_without_a_program_status_tells_what_the_store_holds(opened: Opened) -> None:
    shown = words_of(await (await opened()).page("/status"))
    assert "All is well" in shown
    assert re.search("hook \u2013 5 \u2013 \u2013", shown), "four calls and a gap wait for it"
    assert "Waiting for sinks and alerts 5" in shown
    assert "calls.db Size 0." in shown
    assert re.search(r"✕ " + re.escape(SHOWN) + r" ✕ ami", shown), "the gap that lasts"


async def test_status_is_shown_even_when_the_store_cannot_be_read(opened: Opened) -> None:
    site = await opened(filled=False)
    shown = words_of(await site.page("/status"))
    assert "Does not do its work" in shown
    assert "nothing was written yet" in shown or "no such" in shown or "calls.db" in shown


async def test_codes_show_meaning_side_and_how_often_they_were_seen_here(opened: Opened) -> None:
    site = await opened()
    shown = words_of(await site.page("/codes"))
    assert re.search(r"486 Busy Here .{5,200} busy called party 3 3", shown)
    assert "Normal call clearing" in shown
    text = await site.page("/codes?seen=1")
    shown = words_of(text)
    assert "486 Busy Here" in shown
    assert "499" in shown, "a code that is in no table"
    assert "404 Not Found" not in shown
    assert '<a href="/failures?code=486&amp;since=7d&amp;outcome=any">3</a>' in text
    assert "3 calls" in words_of(await site.page("/failures?code=486&since=7d&outcome=any")), "the same ones"


@pytest.mark.parametrize(
    ("asked", "found", "left_out"),
    [
        ("486", "Busy Here", "Not Found"),
        ("q850:34", "No circuit/channel available", "Busy Here"),
        ("BUSY", "600", "404"),
    ],
)
async def test_codes_are_found_by_number_name_and_meaning(
    opened: Opened, asked: str, found: str, left_out: str
) -> None:
    shown = words_of(await (await opened()).page(f"/codes?q={asked}"))
    assert found in shown
    assert left_out not in shown


async def test_a_search_without_a_find_says_what_to_do(opened: Opened) -> None:
    site = await opened()
    text = await site.page(f"/codes?q={HOSTILE.replace('#', '')}")
    assert "No code and no cause fits." in text
    assert HOSTILE not in text
    assert "Page not" not in await site.page("/codes?q=")


async def test_a_code_has_a_page_with_the_next_step_in_the_readers_language(opened: Opened) -> None:
    site = await opened()
    shown = words_of(await site.page("/codes/486"))
    assert "Seen here: 3 24 h · 3 7 days" in shown
    assert "What to do" in shown
    assert "Was zu tun ist" in await site.page("/codes/503?lang=de")
    assert "603+" in await site.page("/codes/603%2B")
    cause = await site.page("/codes/q850:17")
    assert "AST_CAUSE_USER_BUSY" in cause
    assert 'href="/codes/486"' in cause
    assert "names no code and no cause" in await site.page("/codes/tired", status=404)


async def test_live_shows_the_newest_calls_and_follows_those_that_fit_its_address(opened: Opened) -> None:
    site = await opened()
    text = await site.page("/live")
    assert text.count("data-id=") == 4
    assert SHOWN in text
    assert HOSTILE not in text
    assert 'data-live="/api/v1/stream" data-after="4"' in text
    text = await site.page("/live?code=486&number=49*&outcome=failed")
    assert 'data-live="/api/v1/stream?code=486&amp;outcome=failed&amp;number=49%2A"' in text
    assert "code=&#39;banana&#39;" in await site.page("/live?code=banana", status=400)


async def test_a_stream_on_which_nothing_happens_says_that_it_is_there(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEAT_S", 0.0)
    site = await opened()
    async with asyncio.timeout(20), site.session.get(f"{site.url}/api/v1/stream?after=4&code=404") as response:
        lines = [(await response.content.readline()).decode().strip() for _ in range(5)]
    assert lines[2:4] == ["id: 4", "event: here"]
    assert json.loads(lines[4].removeprefix("data: ")) == {"position": 4}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (125, "2 min 5 s"), (3_600, "1 h"), (12_000, "3 h 20 min"), (90_000, "1 d 1 h")],
)
def test_how_long_something_took_is_told_in_two_units(seconds: float, text: str) -> None:
    assert lasted(timedelta(seconds=seconds)) == text

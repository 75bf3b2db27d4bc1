"""The pages over a filled store, read without script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from asterisk_sip.calls.model import CallRecord, SipStatus
from asterisk_sip.catalog import LANGUAGES
from asterisk_sip.stores.base import Batch
from asterisk_sip.stores.sqlite import SqliteStore
from asterisk_sip.web.app import application
from asterisk_sip.web.pages import PAGES
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import Shelf
from asterisk_sip.web.words import words

from .call_records import BEGAN, BUSY, abandoned, failed, rescued

HOSTILE = "<script>alert(1)</script>${7*7}{{7*7}}"


@dataclass
class Site:
    """The pages at an address."""

    url: str
    session: aiohttp.ClientSession

    async def page(self, path: str, *, status: int = 200, **headers: str) -> str:
        """Return the HTML of a page."""
        asked = {"Accept": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.session.get(self.url + path, headers=asked) as response:
            text = await response.text()
            assert response.status == status, text
            assert "script-src 'self'; style-src 'self'" in response.headers["Content-Security-Policy"]
            return text


def lately(record: CallRecord) -> CallRecord:
    """Return a record as of some minutes ago."""
    shift = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5) - BEGAN
    tried = tuple(
        replace(
            each, began_at=each.began_at and each.began_at + shift, ended_at=each.ended_at and each.ended_at + shift
        )
        for each in record.attempts
    )
    started_at, ended_at = (at and at + shift for at in (record.started_at, record.ended_at))
    return replace(record, started_at=started_at, ended_at=ended_at, attempts=tried)


RECORDS = [
    failed(1),
    failed(2, sip=BUSY, trunk="carrier-b"),
    rescued(3),
    abandoned(4),
    replace(failed(6, sip=SipStatus(500, HOSTILE, 5)), dialled=HOSTILE),
]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    path = tmp_path / "calls.db"
    store = SqliteStore(path)
    await store.open()
    await store.write(Batch([lately(record) for record in RECORDS], listened={"pbx": datetime.now(UTC)}))
    await store.close()
    shelf = Shelf(lambda: SqliteStore(path, readonly=True), ("pbx",))
    runner = await listen(application(shelf), "127.0.0.1", 0)
    host, port = runner.addresses[0]
    async with aiohttp.ClientSession() as session:
        yield Site(f"http://{host}:{port}", session)
    await runner.cleanup()
    await shelf.close()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_language_has_every_word(lang: str) -> None:
    assert words(lang).keys() == words("en").keys()


@pytest.mark.parametrize("path", [page.path for page in PAGES if "{" not in page.path])
@pytest.mark.parametrize("lang", LANGUAGES)
async def test_a_page_is_shown_in_the_language_asked_for(site: Site, path: str, lang: str) -> None:
    text = await site.page(path, Accept_Language=f"tlh, {lang};q=0.8, en;q=0.1")
    assert f'<html lang="{lang}">' in text
    assert HOSTILE[:8] not in text


async def test_what_is_no_page_is_told_as_a_page(site: Site) -> None:
    assert "/nowhere is not a page" in await site.page("/nowhere", status=404)
    assert "since=&#39;yesterday&#39; cannot be taken" in await site.page("/failures?since=yesterday", status=400)
    assert "no call has this id" in await site.page("/calls/0", status=404)


async def test_a_file_may_be_kept_for_good_as_its_address_holds_its_hash(site: Site) -> None:
    text = await site.page("/")
    address = text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    async with site.session.get(site.url + address) as response:
        assert response.status == 200
        assert "immutable" in response.headers["Cache-Control"]

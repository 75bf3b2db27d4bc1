"""The pages over a filled store, read without script."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import aiohttp
import pytest

from asterisk_sip.calls.model import Evidence, Grade
from asterisk_sip.catalog import LANGUAGES
from asterisk_sip.errors import TookTooLongError
from asterisk_sip.stores import search
from asterisk_sip.stores.base import Batch, ended_at
from asterisk_sip.stores.sqlite import SqliteStore
from asterisk_sip.web.pages import PAGES
from asterisk_sip.web.words import words

from .browser.site import Served
from .call_records import answered, failed
from .web_site import RECORDS, fill, lately

PATHS = [page.path for page in PAGES if "{" not in page.path]

_BEFORE = r"(?:\w+ <b>|<span[^>]*>\d+</span> <span[^>]*>)?"
_NUMBERED = re.compile(rf'<a [^>]*?href="(/failures\?[^"]+)"[^>]*>{_BEFORE}(\d+)(?:</b>|</span>)?</a>')

_BARS = re.compile(r'<a href="(/failures\?[^"]+)" tabindex="-1"><rect[^>]*><title>[^<]* (\d+)</title>')


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

    async def text(self, path: str) -> str:
        """Return what is not a page."""
        async with self.session.get(self.url + path) as response:
            text = await response.text()
            assert response.status == 200, text
            return text


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Served(tmp_path) as served, aiohttp.ClientSession() as session:
        await fill(served.store)
        yield Site(served.url, session)


def shown_calls(page: str) -> int:
    """How many calls a page of failures says there are."""
    found = re.search(r'<h2 id="found">(\d+) calls?</h2>', page)
    assert found is not None
    return int(found[1])


def call_links(page: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(r'<td class="when"><a href="([^"]+)"', page)]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_language_has_every_word(lang: str) -> None:
    assert words(lang).keys() == words("en").keys()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("lang", LANGUAGES)
async def test_a_page_is_shown_in_the_language_asked_for(site: Site, path: str, lang: str) -> None:
    text = await site.page(path, Accept_Language=f"tlh, {lang};q=0.8, en;q=0.1")
    assert f'<html lang="{lang}">' in text


async def test_what_is_no_page_is_told_as_a_page(site: Site) -> None:
    assert "/nowhere is not a page" in await site.page("/nowhere", status=404)
    assert "since=&#39;yesterday&#39; cannot be taken" in await site.page("/failures?since=yesterday", status=400)
    assert "no call has this id" in await site.page("/calls/0", status=404)


async def test_a_file_may_be_kept_for_good_as_its_address_holds_its_hash(site: Site) -> None:
    text = await site.page("/")
    address = text.partition('<link rel="stylesheet" href="/static/app')[2].partition('"')[0]
    async with site.session.get(f"{site.url}/static/app{address}") as response:
        assert response.status == 200
        assert "immutable" in response.headers["Cache-Control"]


async def test_hostile_text_is_text_on_every_page(site: Site) -> None:
    overview, failures = await site.page("/"), await site.page("/failures?outcome=any")
    calls = [await site.page(link) for link in call_links(failures)]
    assert len(calls) == len(RECORDS)
    for page in (overview, failures, *calls):
        assert "<script>window" not in page
        assert "<img src=x" not in page
        assert "\u202e" not in page, "it would turn around what follows"
    assert any(html.escape("${7*7}{{7*7}}") in page for page in calls)
    assert not [page for page in calls if re.search(r'href="javascript:', page)]


async def test_what_asterisk_made_up_itself_does_not_say_that_the_trunk_is_full(tmp_path: Path) -> None:
    received = lately(failed(61))
    [first] = received.attempts
    made_up = replace(first, evidence=Evidence(Grade.LOCAL, "TechCause", ()))
    local = replace(lately(failed(62)), attempts=(made_up,))
    async with Served(tmp_path) as served, aiohttp.ClientSession() as session:
        await served.store.write(Batch([received, local]))
        site = Site(served.url, session)
        assert "the trunk is full" in await site.page(f"/calls/{received.id}")
        page = await site.page(f"/calls/{local.id}")
    assert "the trunk is full" not in page
    assert "Circuit/channel congestion" in page


async def test_every_number_on_the_overview_leads_to_as_many_calls(site: Site) -> None:
    page = await site.page("/")
    links = _NUMBERED.findall(page)
    links += _BARS.findall(page)
    assert len(links) > 12
    for link, number in links:
        found = await site.page(html.unescape(link))
        assert (shown_calls(found), len(call_links(found))) == (int(number), int(number)), link


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("", 8),
        ("outcome=any", 10),
        ("outcome=rescued", 1),
        ("class=4", 6),
        ("code=486", 6),
        ("trunk=carrier-b&outcome=any", 2),
        ("attempt_code=503&outcome=any", 2),
        ("fault=carrier", 8),
        ("fault=callee", 0),
        ("country=DE", 7),
        ("country=44", 0),
        ("number=4930123456&disposition=busy", 6),
        ("since=1h&until=1h", 0),
        ("since=0001-01-01T00:00Z&until=9999-12-31T23:59Z", 8),
        ("since=2020-01-01T00:00:01Z", 8),
        ("until=1960-01-01T00:00Z&since=1950-01-01T00:00Z", 0),
        ("number=%2B49%2030/123-456", 7),
        ("code=&trunk=&until=", 8),
    ],
)
async def test_a_filter_shows_counts_and_gives_away_the_same_calls(site: Site, asked: str, count: int) -> None:
    page = await site.page(f"/failures?{asked}")
    assert (shown_calls(page), len(call_links(page))) == (count, count)
    links = dict(re.findall(r'<a href="([^"]+)">(CSV|JSON)</a>', page))
    files = {kind: html.unescape(link) for link, kind in links.items()}
    rows = list(csv.DictReader(io.StringIO(await site.text(files["CSV"]))))
    records = json.loads(await site.text(files["JSON"]))["calls"]
    ids = [link.rpartition("/")[2] for link in call_links(page)]
    assert ids == [row["id"] for row in rows] == [record["id"] for record in records]


async def test_calls_come_page_by_page_each_once(site: Site) -> None:
    seen: list[str] = []
    link = "/failures?outcome=any&limit=3"
    while link:
        page = await site.page(html.unescape(link))
        seen += call_links(page)
        link = next(iter(re.findall(r'<a class="button" href="([^"]+)">Older', page)), "")
    assert len(seen) == len(set(seen)) == len(RECORDS)


async def test_a_search_that_was_cut_short_says_how_far_it_came_and_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_AT_MOST", 3)
    page = await site.page("/failures?country=44&outcome=any")
    assert "Only the newest 3 calls of this time were looked at, back to" in page
    assert "No call fits" not in page
    answers = 1
    while older := re.findall(r'<a class="button" href="([^"]+)">Older', page):
        page = await site.page(html.unescape(older[0]))
        answers += 1
    assert "No call fits" in page
    assert answers == 4, "ten calls, three at a time"
    link, found = "/api/v1/calls?country=44", 0
    while True:
        told = json.loads(await site.text(link))
        found += 1
        if told["next"] is None:
            break
        link = f"/api/v1/calls?country=44&before={told['next']}"
    assert found == 4
    assert "Only the newest 3 calls were looked at" in await site.page("/live?country=44")
    page = await site.page("/failures?country=49&outcome=any&limit=2")
    assert '<h2 id="found">≥ 3 calls</h2>' in page, "the counts say how far they go"
    assert 'class="uncounted"' in page
    assert "Only the newest 3 calls" in page


async def test_a_window_of_odd_seconds_is_counted_exactly(tmp_path: Path) -> None:
    records = [lately(failed(number), days_ago=number % 3) for number in range(0, 200, 7)]
    ends = sorted(ended_at(record) for record in records)
    async with Served(tmp_path) as served, aiohttp.ClientSession() as session:
        await served.store.write(Batch(records))
        site = Site(served.url, session)
        for first, last in ((0, -1), (3, -4), (1, 2), (5, 6)):
            since, until = (quote(ends[each].isoformat()) for each in (first, last))
            page = await site.page(f"/failures?since={since}&until={until}")
            assert shown_calls(page) == len(call_links(page)) == len(ends[first:last]), (first, last)
            pieces = re.findall(
                r'<a href="(/failures\?[^"]+)" tabindex="-1"><rect[^>]*><title>[^<]* (\d+)</title>', page
            )
            for link, number in pieces:
                assert len(call_links(await site.page(html.unescape(link)))) == int(number)


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_what_takes_too_long_is_told_with_what_to_ask_instead(
    site: Site, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_long(*_: object) -> NoReturn:
        raise TookTooLongError("calls.db: the answer would have taken too long")

    monkeypatch.setattr(SqliteStore, "depth", too_long)
    told = words(lang)("error.too_long", s="10")
    page = await site.page(f"/failures?lang={lang}", status=503)
    assert html.escape(told) in page.replace("&#39;", "&#x27;")
    async with site.session.get(f"{site.url}/api/v1/calls?country=49") as response:
        assert (response.status, response.content_type) == (503, "application/problem+json")
        assert (await response.json(content_type=None))["detail"] == words("en")("error.too_long", s="10")


async def test_a_store_without_calls_says_what_to_do(tmp_path: Path) -> None:
    async with Served(tmp_path) as served, aiohttp.ClientSession() as session:
        site = Site(served.url, session)
        assert "asterisk-sip check" in await site.page("/")
        assert "Take a filter away" in await site.page("/failures")


async def test_a_week_is_compared_with_the_one_before_when_that_was_recorded_whole(tmp_path: Path) -> None:
    now = [lately(failed(number)) for number in range(40)]
    then = [lately(answered(100 + number), days_ago=7) for number in range(40)]
    for earlier, told in (([], "no week before yet"), ([lately(failed(200), days_ago=9)], "last week 100.0")):
        folder = tmp_path / str(len(earlier))
        folder.mkdir()
        async with Served(folder) as served, aiohttp.ClientSession() as session:
            await served.store.write(Batch([*now, *then, *earlier]))
            tiles = (await Site(served.url, session).page("/")).partition('<ul class="tiles">')[2].partition("</ul>")[0]
            assert told in tiles
            assert ("worse" in tiles) == bool(earlier)


async def test_of_very_many_trunks_the_busiest_are_shown(tmp_path: Path) -> None:
    async with Served(tmp_path) as served, aiohttp.ClientSession() as session:
        await served.store.write(Batch([lately(failed(number, trunk=f"trunk-{number}")) for number in range(45)]))
        page = await Site(served.url, session).page("/")
        assert "the 40 busiest of 45" in page


async def test_too_few_to_say_is_not_told_as_nothing(site: Site) -> None:
    page = await site.page("/")
    assert "too few" in page
    assert "0.0" not in re.sub(r"0\.0\d", "", page.partition('id="trunks"')[2].partition("</table>")[0])

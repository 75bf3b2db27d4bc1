"""Alerts over HTTP, without a browser: what the API tells, and what its forms take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from asterisk_sip.alerts.engine import Engine
from asterisk_sip.alerts.model import Rule, change_text
from asterisk_sip.stores.alert_book import AlertBook
from asterisk_sip.stores.sqlite import SqliteStore
from asterisk_sip.web.app import application
from asterisk_sip.web.ledger import Ledger
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import Shelf

from .alert_calls import call, run, share
from .call_records import write

RULE = share(window_s=60)


class Site:
    """The pages over a book in which one alert fires and one is over."""

    def __init__(self, url: str, book: AlertBook, session: aiohttp.ClientSession) -> None:
        self.url, self.book, self.session = url, book, session

    async def post(self, path: str, **form: str) -> int:
        """Send a form, with the token of the page; return the status."""
        async with self.session.get(self.url + "/alerts", headers={"Accept": "text/html"}) as page:
            text = await page.text()
        csrf = text.partition('name="csrf" value="')[2].partition('"')[0]
        headers = {"Origin": self.url}  # as a browser does
        asked = self.session.post(self.url + path, data={"csrf": csrf, **form}, headers=headers, allow_redirects=False)
        async with asked as response:
            return response.status


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    path = tmp_path / "calls.db"
    store = SqliteStore(path)
    await store.open()
    book = AlertBook(store, delivers=False)
    calls = [call(second, trunk="acme", number=second) for second in range(10)]
    changes = run(Engine([RULE]), calls, 500)
    changes += run(Engine([RULE]), [call(600 + second, trunk="beta", number=second) for second in range(10)], 620)
    await book.tell([(change, change_text(change)) for change in changes])
    ledger, shelf = Ledger((RULE,), path), Shelf(lambda: SqliteStore(path, readonly=True))
    runner = await listen(application(shelf, ledger=ledger), "127.0.0.1", 0)
    host, port = runner.addresses[0]
    async with aiohttp.ClientSession() as session:
        yield Site(f"http://{host}:{port}", book, session)
    await runner.cleanup()
    await ledger.close()
    await shelf.close()
    await store.close()


async def test_the_api_tells_what_fires_and_what_fired(site: Site) -> None:
    async with site.session.get(
        f"{site.url}/api/v1/alerts?since=2026-11-01T00:00Z&until=2026-11-02T00:00Z"
    ) as response:
        told = await response.json()
    (firing,) = told["firing"]
    assert (firing["state"], firing["fired"]["group"]) == ("firing", {"trunk": "beta"})
    assert [(each["state"], each["fired"]["group"]["trunk"]) for each in told["history"]] == [
        ("firing", "beta"),
        ("cleared", "acme"),
    ]


async def test_a_form_silences_a_rule_that_there_is_for_a_time_that_there_is_and_with_a_reason(site: Site) -> None:
    assert await site.post("/alerts/silence", rule=RULE.name, why="works", **{"for": "2h"}) == 303
    (silence,) = await site.book.silences(datetime.now(UTC))
    assert (silence.rule, silence.why) == (RULE.name, "works")
    assert timedelta(hours=1, minutes=59) < silence.until - datetime.now(UTC) <= timedelta(hours=2)
    assert await site.post("/alerts/silence", rule="nothing", why="works", **{"for": "2h"}) == 404
    assert await site.post("/alerts/silence", rule=RULE.name, why="works", **{"for": "9y"}) == 400
    assert await site.post("/alerts/silence", rule=RULE.name, why=" ", **{"for": "2h"}) == 400
    assert await site.post("/alerts/silence", rule=RULE.name, why="a\nb", **{"for": "2h"}) == 400
    assert await site.post("/alerts/unsilence", rule=RULE.name) == 303
    assert await site.book.silences(datetime.now(UTC)) == []


async def test_a_form_without_the_token_of_a_page_changes_nothing(site: Site) -> None:
    (firing,) = await site.book.firing()
    assert await site.post(f"/alerts/{firing.id}/acknowledge", csrf="wrong") == 403
    assert await site.post("/alerts/silence", csrf="", rule=RULE.name, why="x", **{"for": "2h"}) == 403
    (firing,) = await site.book.firing()
    assert firing.acknowledged_by is None
    assert await site.post(f"/alerts/{firing.id}/acknowledge", why="calling them") == 303
    (firing,) = await site.book.firing()
    assert (firing.acknowledged_by, firing.why) == ("the page", "calling them")
    assert await site.post("/alerts/0000/acknowledge") == 404


async def test_an_alert_that_is_not_there_is_no_page(site: Site) -> None:
    async with site.session.get(f"{site.url}/alerts/ffff", headers={"Accept": "text/html"}) as response:
        assert response.status == 404
        assert "no alert has this id" in await response.text()


@pytest.mark.parametrize(("rules", "told"), [((), False), ((RULE,), True)])
async def test_where_nothing_is_watched_nothing_is_called_well(
    tmp_path: Path, rules: tuple[Rule, ...], *, told: bool
) -> None:
    path = tmp_path / "calls.db"
    await write(path)
    ledger, shelf = Ledger(rules, path), Shelf(lambda: SqliteStore(path, readonly=True))
    runner = await listen(application(shelf, ledger=ledger), "127.0.0.1", 0)
    host, port = runner.addresses[0]
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/alerts") as response:
        assert ("All is well" in await response.text()) is told
    await runner.cleanup()
    await ledger.close()
    await shelf.close()

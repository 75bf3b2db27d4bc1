"""The page Live in Chromium: calls arrive, the reader pauses, the link is lost and found; calls of a real Asterisk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from asterisk_sip.calls.model import Caller, CallRecord, SipStatus
from asterisk_sip.stores.base import Batch
from tests.call_records import BUSY, failed, rescued
from tests.e2e import Companion
from tests.lab.lab import Lab
from tests.lab.sip_script import rejecting
from tests.played import free_port
from tests.web_site import lately

from .chromium import PHONE, fits, reader
from .site import Served

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

HOSTILE = "<script>alert(1)</script>${SHELL(id)}"
BACKWARDS = "\u202eevil\u200b\x1b[31m"


def hostile(number: int) -> CallRecord:
    """A call in which everything that others write is hostile."""
    record = lately(failed(number, sip=SipStatus(500, HOSTILE, 5)))
    [attempt] = record.attempts
    attempts = (replace(attempt, trunk=HOSTILE, sip=record.sip),)
    return replace(record, dialled=HOSTILE, caller=Caller(HOSTILE, BACKWARDS, HOSTILE), attempts=attempts)


async def rows(page: Page) -> int:
    return await page.locator("[data-live] tbody tr").count()


async def says(page: Page, text: str) -> None:
    await expect(page.locator("[data-live-state]")).to_have_text(text, timeout=30_000)


async def test_a_call_appears_as_text_whatever_the_far_end_wrote(tmp_path: Path) -> None:
    async with Served(tmp_path) as site, reader(site.url) as someone:
        page = await someone.page("/live")
        await says(page, "Listening")
        await expect(page.get_by_text("No call yet that failed.")).to_be_visible()
        await site.store.write(Batch([hostile(1)]))
        row = page.locator("[data-live] tbody tr")
        await expect(row).to_have_count(1)
        await expect(page.get_by_text("No call yet that failed.")).to_be_hidden()
        assert await row.locator(".status").inner_text() == f"500 {HOSTILE}"
        assert await row.locator(".dialled").inner_text() == HOSTILE
        as_it_came = await row.locator(".caller").inner_text()
        assert as_it_came == f"{HOSTILE} \ufffdevil\ufffd\ufffd[31m", "nothing turns the writing round"
        assert await row.locator(".route").inner_text() == f"{HOSTILE} 500"
        assert await row.locator(".outcome .tag").get_attribute("class") == "tag failed"
        assert "UTC" in (await row.locator("time").get_attribute("title") or "")
        await page.reload()
        assert await row.locator(".status").inner_text() == f"500 {HOSTILE}", "as the server writes it"
        assert await row.locator(".caller").inner_text() == as_it_came
        await row.locator(".when a").click()
        assert page.url.endswith(hostile(1).id)


async def test_a_reader_pauses_and_misses_nothing(tmp_path: Path) -> None:
    async with Served(tmp_path) as site, reader(site.url) as someone:
        await site.store.write(Batch([lately(failed(1))]))
        page = await someone.page("/live", viewport=PHONE, locale="de-DE")
        await says(page, "Hört zu")
        await page.get_by_role("button", name="Anhalten").click()
        await site.store.write(Batch([lately(failed(2)), lately(rescued(3))]))
        await says(page, "Angehalten · 2 neue")
        assert await rows(page) == 1
        await page.get_by_role("button", name="Weiter").press("Enter")
        await says(page, "Hört zu")
        assert await rows(page) == 3
        assert await page.locator("tbody tr").first.get_attribute("data-id") == rescued(3).id, "the newest on top"
        assert await fits(page)


async def test_a_lost_link_is_told_and_what_came_meanwhile_is_caught_up(tmp_path: Path) -> None:
    async with Served(tmp_path) as site, reader(site.url) as someone:
        someone.allowed = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING")
        page = await someone.page("/live")
        await says(page, "Listening")
        await site.store.write(Batch([lately(failed(1))]))
        await expect(page.locator("[data-live] tbody tr")).to_have_count(1)
        await site.stop()
        await says(page, "Link lost, trying again")
        await site.store.write(Batch([lately(failed(2))]))
        await site.start()
        await says(page, "Listening")
        await expect(page.locator("[data-live] tbody tr")).to_have_count(2)


async def test_the_list_stays_bounded_and_follows_the_filter_of_its_address(tmp_path: Path) -> None:
    async with Served(tmp_path) as site, reader(site.url) as someone:
        everything = await someone.page("/live")
        busy = await someone.page("/live?code=486")
        await says(everything, "Listening")
        await says(busy, "Listening")
        others = [lately(failed(number)) for number in range(250)]
        await site.store.write(Batch([*others, lately(failed(999, sip=BUSY))]))
        await expect(busy.locator("tbody tr")).to_have_count(1)
        await expect(everything.locator(f'[data-id="{failed(999).id}"]')).to_have_count(1)
        assert await rows(everything) == 200


@pytest.mark.lab
async def test_a_real_call_that_a_trunk_refuses_arrives_within_a_second_or_so(lab22: Lab, tmp_path: Path) -> None:
    lab22.acme.scripts["hostile"] = rejecting(486, HOSTILE.encode())
    port = free_port()
    companion = Companion(tmp_path, lab22.pbx)
    companion.config.write_text(f"{companion.config.read_text()}\n[web]\nport = {port}\n")
    async with companion, reader(f"http://127.0.0.1:{port}") as someone:
        page = await someone.page("/live")
        await says(page, "Listening")
        await lab22.caller.call("trunk.acme.hostile")
        row = page.locator("[data-live] tbody tr")
        await expect(row).to_have_count(1, timeout=10_000)
        assert await row.locator(".status").inner_text() == f"486 {HOSTILE}"
        assert await row.locator(".route").inner_text() == "acme 486"
        await row.locator(".when a").click()
        await expect(page.locator("main")).to_contain_text(HOSTILE)
        await page.goto(f"{someone.home}/status")
        await expect(page.get_by_text("All is well")).to_be_visible()
        await expect(page.locator("#links + *, section[aria-labelledby=links]").first).to_be_visible()
        await expect(page.get_by_role("row", name="pbx1")).to_contain_text("ami")
        await page.goto(f"{someone.home}/codes?seen=1")
        await expect(page.get_by_role("row", name="486")).to_contain_text("Busy Here")
        assert await companion.stop() == 0

"""Overview, Failures and Call in Chromium: what they show, how they are used, what they never do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from asterisk_sip.web.pages import PAGES
from tests.call_records import rescued
from tests.web_site import HOSTILE, RECORDS, fill, hostile

from .chromium import DESK, PHONE, Reader, fits, reader
from .site import Served

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PATHS = [*(page.path for page in PAGES if "{" not in page.path), f"/calls/{rescued(3).id}", f"/calls/{hostile().id}"]


@pytest_asyncio.fixture
async def someone(tmp_path: Path) -> AsyncIterator[Reader]:
    async with Served(tmp_path) as site:
        await fill(site.store)
        async with reader(site.url) as found:
            yield found


async def drawn(page: Page) -> Any:
    """The box of the chart that the script drew."""
    chart = page.locator(".chart .u-over")
    await expect(chart).to_be_visible()
    return await chart.bounding_box()


async def test_every_page_is_quiet_safe_and_fits_a_phone_and_a_wall(someone: Reader) -> None:
    for viewport, scheme in ((PHONE, "dark"), ({"width": 2560, "height": 1440}, "light")):
        page = await someone.page(viewport=viewport, color_scheme=scheme)
        for path in PATHS:
            await page.goto(someone.home + path)
            await expect(page.locator("main h1, main h2").first).to_be_visible()
            assert await fits(page), (path, viewport)
            assert await page.evaluate("window.hacked") is None, path


@pytest.mark.parametrize("lang", ["en", "de", "es", "fr", "pt"])
async def test_on_a_phone_the_page_that_is_read_is_named_in_sight(someone: Reader, lang: str) -> None:
    page = await someone.page(f"/status?lang={lang}", viewport=PHONE)
    await expect(page.locator("nav [aria-current]")).to_be_in_viewport(ratio=0.99)
    if lang == "en":  # the others may have to be drawn aside
        for name in await page.locator("nav a").all():
            await expect(name).to_be_in_viewport(ratio=0.99)


async def test_hints_in_fields_are_read_whole(someone: Reader) -> None:
    page = await someone.page("/failures", viewport={"width": 1440, "height": 900})
    hints = await page.evaluate(
        """[...document.querySelectorAll(".filters input[placeholder]")].filter((field) => field.offsetWidth).map(
            (field) => {
                field.value = field.placeholder;
                return [field.placeholder, field.scrollWidth - field.clientWidth];
            })"""
    )
    assert len(hints) > 5
    assert [hint for hint, over in hints if over > 0] == []


async def test_the_overview_compares_counts_and_leads_to_the_calls(someone: Reader) -> None:
    page = await someone.page()
    tiles = page.locator(".tiles li")
    await expect(tiles.nth(1)).to_contain_text("Failed")
    await expect(tiles.nth(1).locator(".value")).to_contain_text("8")
    await expect(page.get_by_role("row", name=re.compile("^486 Busy Here"))).to_contain_text(
        "The called party is busy."
    )
    await expect(page.get_by_role("row", name=re.compile("pbx"))).to_contain_text("heard until")
    await page.locator(".heat").get_by_role("link", name="2", exact=True).click()
    await expect(page.locator("#found")).to_have_text("2 calls")
    await expect(page.locator(".chips")).to_contain_text("Trunk carrier-a")


async def test_the_overview_renews_itself(someone: Reader) -> None:
    page = await someone.page()
    await drawn(page)
    await page.get_by_role("link", name="7 days").focus()
    await page.evaluate("document.querySelector('#codes').textContent = 'old'")
    await page.evaluate("htmx.ajax('GET', '/', {target: '#overview', select: '#overview', swap: 'outerMorph'})")
    await expect(page.locator("#codes")).to_have_text("What failed calls ended with")
    await expect(page.get_by_role("link", name="7 days")).to_be_focused()
    await drawn(page)
    await expect(page.locator(".chart .uplot")).to_have_count(1)
    assert await page.locator("#overview time").first.get_attribute("title")


async def test_a_time_drawn_across_the_chart_becomes_a_filter(someone: Reader) -> None:
    page = await someone.page("/failures?outcome=any&since=1h")
    box = await drawn(page)
    await page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 60)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 60, steps=4)
    await expect(page.locator(".chart .u-select")).to_be_visible()
    async with page.expect_navigation():
        await page.mouse.up()
    assert re.search(r"outcome=any&since=20\S+Z&until=20\S+Z", page.url.replace("%3A", ":"))
    await expect(page.locator("#found")).to_have_text(f"{len(RECORDS)} calls")


async def test_what_is_under_the_pointer_is_told(someone: Reader) -> None:
    page = await someone.page("/failures?since=1h")
    box = await drawn(page)
    tip = page.locator(".chart .tip")
    for share in range(60, 100):
        await page.mouse.move(box["x"] + share / 100 * box["width"], box["y"] + 60)
        if "4xx" in (await tip.text_content() or ""):
            break
    await expect(tip).to_contain_text("4xx")


async def test_a_filter_is_chosen_seen_in_the_address_and_taken_away(someone: Reader) -> None:
    page = await someone.page("/failures")
    async with page.expect_navigation():
        await page.locator("select[name=class]").select_option("4xx")
    await expect(page.locator("#found")).to_have_text("6 calls")
    assert page.url.endswith("?outcome=failed&class=4")
    await page.get_by_role("combobox", name="Trunk").fill("carrier-b")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    await expect(page.locator("#found")).to_have_text("1 call")
    await page.get_by_role("link", name="Trunk carrier-b").click()
    await expect(page.locator("#found")).to_have_text("6 calls")


async def test_a_call_is_told_drawn_and_copied_for_the_carrier(someone: Reader) -> None:
    page = await someone.page(f"/calls/{rescued(3).id}", permissions=["clipboard-read", "clipboard-write"])
    await expect(page.locator(".story")).to_contain_text("then carrier-b answered")
    await expect(page.locator(".chain .track")).to_have_count(2)
    await expect(page.locator("#attempt-1")).to_contain_text("the status line as it was received")
    assert not await page.locator("#ticket-1").is_visible()
    await page.get_by_text("Text for the carrier").click()
    await page.get_by_role("button", name="Copy").first.click()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert "503 Service Unavailable" in copied
    assert "abc@192.0.2.1" in copied


async def test_hostile_text_is_shown_as_it_came(someone: Reader) -> None:
    page = await someone.page(f"/calls/{hostile().id}")
    await expect(page.locator(".story")).to_contain_text(HOSTILE)
    await expect(page.locator("h1")).to_contain_text(HOSTILE)
    await expect(page.locator(".ladder").first).to_contain_text(HOSTILE)
    assert await page.evaluate("window.hacked") is None
    assert await page.locator("main img, main script").count() == 0


async def test_times_are_in_the_readers_zone_and_in_utc_on_hover(someone: Reader) -> None:
    page = await someone.page("/failures", timezone_id="Asia/Tokyo")
    shown = page.locator(".calls time").first
    utc = await shown.get_attribute("datetime") or ""
    assert await shown.get_attribute("title") == utc.replace("T", " ").replace("Z", "") + " UTC"
    hour = (int(utc[11:13]) + 9) % 24
    assert f"{hour:02}{utc[13:19]}" in await shown.inner_text()


async def test_without_script_everything_can_be_read(someone: Reader) -> None:
    page = await someone.page(java_script_enabled=False)
    await expect(page.locator(".chart svg rect").first).to_be_visible()
    await expect(page.locator("time").first).to_contain_text("UTC")
    bar = page.locator(".chart svg a").first
    await page.goto(someone.home + (await bar.get_attribute("href") or ""))
    assert await page.locator(".calls tbody tr").count() > 0
    await page.goto(f"{someone.home}/calls/{rescued(3).id}")
    await page.get_by_text("Raw record").click()
    await expect(page.locator("#raw")).to_contain_text('"outcome": "rescued"')


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(someone: Reader) -> None:
    page = await someone.page("/failures")
    await drawn(page)
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
    wanted: int = await page.evaluate(
        "[...document.querySelectorAll('a[href]:not([tabindex]), button, select, input:not([type=hidden])')]"
        ".filter(each => each.checkVisibility()).length"
    )
    reached = set()
    for _ in range(2 * wanted):
        place, name, outline = await page.evaluate(
            "(() => { const all = [...document.querySelectorAll('*')], one = document.activeElement;"
            " return [all.indexOf(one), one.outerHTML.slice(0, 80), getComputedStyle(one).outlineStyle]; })()"
        )
        if place in reached or name.startswith("<body"):
            break
        reached.add(place)
        assert outline != "none", name
        await page.keyboard.press("Tab")
    assert len(reached) >= wanted


async def test_the_theme_that_was_chosen_stays(someone: Reader) -> None:
    page = await someone.page(viewport=DESK, color_scheme="light")
    light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.get_by_role("button", name="Light or dark").click()
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    await page.goto(f"{someone.home}/failures")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


async def test_the_language_that_was_chosen_stays(someone: Reader) -> None:
    page = await someone.page()
    async with page.expect_navigation():
        await page.get_by_label("Language").select_option("Deutsch")
    await expect(page.locator("h1")).to_have_text("Übersicht")
    await page.goto(f"{someone.home}/failures")
    await expect(page.locator("h1")).to_have_text("Fehlschläge")

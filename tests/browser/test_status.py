"""Status and Codes in Chromium, from a telephone to a desk, light and dark, in the longest language."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import expect

from asterisk_sip.stores.base import Batch
from asterisk_sip.stores.spool import Cursor
from tests.test_web_status import HOSTILE, LASTING, NOW, OVER, RECORDS, SICK, Fixed

from .chromium import DESK, PHONE, fits, reader
from .site import Served

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

Scheme = Literal["light", "dark"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_status_and_codes_fit_every_window_and_show_what_is_hostile_as_text(
    size: dict[str, int], scheme: Scheme, tmp_path: Path
) -> None:
    async with Served(tmp_path, program=Fixed(SICK)) as site, reader(site.url) as someone:
        await site.store.move_cursor("hook", Cursor(0, 0))
        await site.store.write(Batch(RECORDS, gaps=[LASTING, OVER], listened={"pbx": NOW}))
        page = await someone.page("/status", viewport=size, color_scheme=scheme, locale="fr-FR")
        await expect(page.get_by_text("Ne fait pas son travail")).to_be_visible()
        assert await fits(page)
        assert (await page.locator("body").inner_text()).count(HOSTILE) >= 5
        for path in ("/codes", "/codes?seen=1", "/codes/486", "/codes/q850:34"):
            await page.goto(site.url + path)
            assert await fits(page), path


async def test_status_renews_itself_and_a_search_needs_no_script(tmp_path: Path) -> None:
    program = Fixed(SICK)
    async with Served(tmp_path, program=program) as site, reader(site.url) as someone:
        page = await someone.page("/status")
        await expect(page.get_by_text("Does not do its work")).to_be_visible()
        program.told = type(SICK)("running")
        await expect(page.get_by_text("All is well")).to_be_visible(timeout=20_000)
        page = await someone.page("/codes", java_script_enabled=False)
        await page.get_by_role("searchbox").fill("codec")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("row", name="488")).to_be_visible()
        await page.get_by_role("link", name="488").click()
        await expect(page.get_by_role("heading", name="What to do")).to_be_visible()

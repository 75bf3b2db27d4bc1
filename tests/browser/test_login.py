"""The login in Chromium: the form works under the strict policy, and a link on another page finds the session."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from asterisk_sip.stores.base import Batch
from asterisk_sip.web.access import Rules
from asterisk_sip.web.proof import Known
from tests.call_records import failed
from tests.test_web_access import PASSWORD, cheap
from tests.web_site import lately

from .chromium import PHONE, fits, reader
from .site import Served

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

RULES = Rules(users={"bob": Known("bob", "viewer", cheap(PASSWORD))})


async def log_in(page: Page, password: str = PASSWORD) -> None:
    await page.get_by_label("Name").fill("bob")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


async def test_a_reader_logs_in_reads_and_logs_out(tmp_path: Path) -> None:
    async with Served(tmp_path, RULES) as site, reader(site.url) as someone:
        someone.allowed = ("status of 403",)
        await site.store.write(Batch([lately(failed(1))]))
        page = await someone.page("/live?code=503", viewport=PHONE)
        assert await fits(page)
        await log_in(page, "not this one")
        await expect(page.get_by_role("alert")).to_contain_text("do not go together")
        await log_in(page)
        assert page.url == f"{site.url}/live?code=503", "where the reader wanted to go"
        await expect(page.locator("[data-live-state]")).to_have_text("Listening")
        assert await page.evaluate("document.cookie") == "", "no script sees the session"
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await page.go_back()
        await page.reload()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_a_link_on_another_page_finds_the_session_and_a_form_there_does_not(tmp_path: Path) -> None:
    async with Served(tmp_path, RULES) as site:
        target = f"{site.url}/codes/486"
        html = (
            f"<a href='{target}'>the call</a><form method=post action='{site.url}/logout'><button>out</button></form>"
        )
        elsewhere = web.Application()

        async def other_page(_request: web.Request) -> web.Response:
            return web.Response(text=html, content_type="text/html")

        elsewhere.router.add_get("/", other_page)
        runner = web.AppRunner(elsewhere)
        await runner.setup()
        await web.TCPSite(runner, "localhost", 0).start()
        port = runner.addresses[0][1]
        async with reader(site.url) as someone:
            other = f"http://localhost:{port}/"
            someone.allowed = (other, f"{other}favicon.ico", "favicon", "status of 403", "status of 404")
            page = await someone.page("/login")
            await log_in(page)
            await page.goto(other)
            await page.get_by_text("the call").click()
            await expect(page.get_by_role("heading", name="486")).to_be_visible()
            await page.goto(other)
            await page.get_by_text("out").click()
            await expect(page.get_by_text("a page elsewhere asked for this")).to_be_visible()
            await page.goto(target)
            await expect(page.get_by_role("button", name="Log out")).to_be_visible()
        await runner.cleanup()

"""Debian's Chromium, watched: no error on its console, no request that leaves us, no breach of the policy."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}


def program() -> str:
    """Return the path of Chromium; without it, fail in CI and skip elsewhere."""
    found = shutil.which("chromium")
    if found is None:
        reason = "chromium is not there: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Reader:
    """Somebody with a browser. ``faults``: what no page of ours may do; looked at when the reader leaves."""

    def __init__(self, browser: Browser, home: str) -> None:
        self._browser = browser
        self.home = home.rstrip("/")
        self.faults: list[str] = []
        self.allowed: tuple[str, ...] = ()

    async def page(self, path: str = "", **options: Any) -> Page:
        """Open a path in a window of its own, in English and at Berlin unless told otherwise."""
        usual = {"locale": "en-GB", "timezone_id": "Europe/Berlin", "viewport": DESK}
        context: BrowserContext = await self._browser.new_context(**{**usual, **options})
        context.on("request", self._requested)
        page = await context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        await page.goto(self.home + path)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(each in message.text for each in self.allowed):
            self.faults.append(f"console: {message.text}")

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((f"{self.home}/", "data:")) and request.url not in self.allowed:
            self.faults.append(f"asked elsewhere: {request.url}")


@contextlib.asynccontextmanager
async def reader(home: str) -> AsyncIterator[Reader]:
    """Let somebody read the pages below an address; no page may have done what it may not."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        try:
            found = Reader(browser, home)
            yield found
            assert found.faults == []
        finally:
            await browser.close()


async def fits(page: Page) -> bool:
    """Return whether a page is no wider than its window."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

"""The pages of alerts in Chromium: what fires, a chart with its threshold, silence, and who has taken it on."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from asterisk_sip.alerts.engine import Engine
from asterisk_sip.alerts.engine_mute import Silenced
from asterisk_sip.alerts.model import Change, Kind, QuietHours, Rule, Severity, change_text
from asterisk_sip.calls.model import CallRecord, to_json
from asterisk_sip.stores.alert_book import AlertBook
from asterisk_sip.stores.base import Batch
from asterisk_sip.web.access import Rules
from tests.alert_calls import share
from tests.call_records import answered, failed
from tests.test_cli_alerts import moved
from tests.test_web_access import PASSWORD, USERS

from .chromium import DESK, PHONE, Reader, fits, reader
from .site import Served

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

Scheme = Literal["light", "dark"]

HOSTILE = "<script>alert(1)</script>{{7*7}}"
RULES = (
    share(window_s=60, min_samples=10, clear=0.2, severity=Severity.CRITICAL),
    Rule("many", Kind.COUNT, 20, 5, filter={"code": (503,)}, group_by=("trunk",), window_s=60),
    Rule(HOSTILE, Kind.COUNT, 20, 5, filter={"code": (503,)}, group_by=("trunk",), window_s=60),
    Rule("asr", Kind.RATIO, 0.4, 0.5, "below", ratio="asr", counted="attempts", group_by=("trunk", "country")),
    Rule("slow", Kind.PDD, 5000, 4000, counted="attempts", group_by=("trunk",), severity=Severity.INFO),
    Rule("deaf", Kind.GAP, 60, 60, for_s=60, group_by=("pbx", "source")),
    Rule(
        "night",
        Kind.COUNT,
        1,
        1,
        filter={"code": (503,)},
        quiet=QuietHours(datetime.min.time(), datetime.max.time(), UTC),
    ),
)


async def lived(site: Served) -> list[Change]:
    """Record a trunk that answered 503 for two minutes and recovered, and one that still does; judge it."""
    now = datetime.now(UTC).replace(microsecond=0)
    calls: list[CallRecord] = []
    for second in range(0, 900, 2):
        at = now - timedelta(seconds=900 - second)
        bad = 300 <= second < 420 and second % 8
        calls.append(moved(failed(second) if bad else answered(second), at))
        late = failed(second + 1, trunk="carrier-b") if second > 780 else answered(second + 1, "carrier-b")
        calls.append(moved(late, at))
    await site.store.write(Batch(calls))
    engine = Engine(RULES, ["pbx"])
    engine.silence([Silenced("many", now.timestamp() + 3600, "works at the carrier")])
    changes = [change for call in calls for change in engine.feed(to_json(call))]
    changes += engine.tick(now.timestamp() + 2)
    await AlertBook(site.store).tell([(change, change_text(change)) for change in changes])
    return changes


async def logged_in(someone: Reader, name: str) -> Page:
    page = await someone.page("/login?next=/alerts")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Rules")).to_be_visible()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_what_fires_and_what_did_fits_every_window_with_its_threshold_drawn(
    size: dict[str, int], scheme: Scheme, tmp_path: Path
) -> None:
    async with Served(tmp_path, alerts=RULES) as site, reader(site.url) as someone:
        await lived(site)
        page = await someone.page("/alerts", viewport=size, color_scheme=scheme, locale="de-DE")
        await expect(page.get_by_role("heading", name="Jetzt aktiv")).to_be_visible()
        await expect(page.get_by_text(HOSTILE).first).to_be_visible()
        assert await fits(page)
        await shot(page, f"alerts-{size['width']}-{scheme}")
        await page.locator(".alarms a b").filter(has_text="carrier-b").first.click()
        await expect(page.locator(".trace line.threshold")).to_have_count(1)
        drawn = await page.locator(".trace path").get_attribute("d")
        assert drawn is not None
        assert drawn.count("L") > 100
        assert await fits(page)
        await shot(page, f"alert-{size['width']}-{scheme}")
        await page.get_by_role("link", name="Anrufe zeigen").click()
        await expect(page.locator("tbody tr").first).to_be_visible()


async def test_an_admin_silences_a_rule_and_takes_an_alert_on_and_a_viewer_cannot(tmp_path: Path) -> None:
    async with Served(tmp_path, USERS, alerts=RULES) as site, reader(site.url) as someone:
        await lived(site)
        page = await logged_in(someone, "alice")
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="congestion", exact=True)).first
        await row.get_by_role("combobox").select_option("8h")
        await row.get_by_label("Why").fill("works at the carrier")
        await row.get_by_role("button", name="Silence").click()
        await expect(row.get_by_text("silent until")).to_be_visible()
        await expect(row.get_by_text("alice: works at the carrier")).to_be_visible()
        await row.get_by_role("button", name="Tell again").click()
        await expect(row.get_by_text("silent until")).to_have_count(0)
        alarm = page.locator(".alarms li").filter(has_text="congestion").first
        await alarm.get_by_label("What is being done").fill("calling them")
        await alarm.get_by_role("button", name="I take it on").click()
        await expect(page.get_by_text("taken on by alice")).to_be_visible()
        await expect(page.get_by_text("calling them")).to_be_visible()
        await expect(page.locator(".trace line.clear")).to_have_count(1)
        await shot(page, "alert")
        page = await logged_in(someone, "bob")
        await expect(page.get_by_role("button", name="Silence")).to_have_count(0)
        await expect(page.get_by_text("taken on by alice")).to_be_visible()


async def test_without_rules_the_page_says_how_to_begin(tmp_path: Path) -> None:
    async with Served(tmp_path, Rules()) as site, reader(site.url) as someone:
        page = await someone.page("/alerts")
        await expect(page.get_by_text("There are no rules.")).to_be_visible()
        await expect(page.get_by_text("All is well")).to_have_count(0)  # nobody looks


async def shot(page: Page, name: str) -> None:
    """Keep a picture, when somebody wants to look at it."""
    folder = os.environ.get("ASTERISK_SIP_TEST_SHOTS")
    if folder:
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)

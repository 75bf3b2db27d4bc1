"""What a real Alertmanager is told: alerts that last as long as they fire, under labels that stay the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from asterisk_sip.alerts.hooks_alertmanager import AlertmanagerSettings, AlertmanagerTarget
from asterisk_sip.alerts.letter import Scribe
from asterisk_sip.alerts.model import Change, State
from asterisk_sip.errors import PermanentSinkError, TransientSinkError
from asterisk_sip.sinks.base import Delivery
from asterisk_sip.sinks.poster import PostSettings

from .alertmanager import alertmanager
from .lab.wait import until
from .notices import FIRED, change, told
from .webhook_target import webhook_target

NOW = datetime.now(UTC)
FIRES = replace(FIRED, since=NOW - timedelta(minutes=3), at=NOW)
OVER = replace(FIRES, id="c2", state=State.CLEARED, value=0.01, at=NOW)


def delivery(*changes: Change) -> Delivery:
    return Delivery(1, "notice", changes[0].id, Scribe().write(told(*changes)))


@asynccontextmanager
async def target(
    url: str, firing: list[Change] | None = None, resend_s: float = 60.0, **labels: str
) -> AsyncIterator[AlertmanagerTarget]:
    async def fires() -> list[Change]:
        return [] if firing is None else list(firing)

    made = AlertmanagerTarget(AlertmanagerSettings(PostSettings(f"{url}/api/v2/alerts"), resend_s, labels), fires)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def test_a_real_alertmanager_shows_what_fires_and_ends_what_is_over(tmp_path: Path) -> None:
    async with alertmanager(tmp_path) as server, target(server.url, team="voice") as made:
        await made.write([delivery(FIRES)])
        [alert] = await server.has(1)
        assert alert["labels"] == {
            "alertname": "carrier congestion",
            "severity": "critical",
            "kind": "share",
            "source": "asterisk-sip",
            "team": "voice",
            "trunk": "acme",
        }
        assert alert["annotations"]["summary"].startswith("acme: 503 Service Unavailable on 37 of 80 calls")
        assert alert["generatorURL"].startswith("https://sip.example.net/failures?")
        assert alert["status"]["state"] == "active"
        ends_in = datetime.fromisoformat(alert["endsAt"]) - datetime.now(UTC)
        assert timedelta(minutes=3) < ends_in <= timedelta(minutes=4)
        await made.write([delivery(OVER)])
        await server.has(0)


async def test_a_real_alertmanager_takes_whatever_a_group_holds(tmp_path: Path) -> None:
    names = {"sip.code": "503", "0odd": "\u202e<b>" + "x" * 5_000, "": "nameless", "alertname": "ours is kept"}
    many = {f"g{number}": "v" for number in range(60)}
    odd = replace(FIRES, id="odd", alert_id="odd", group={**names, **many})
    async with alertmanager(tmp_path) as server, target(server.url) as made:
        await made.write([delivery(FIRES, odd)])
        alerts = {alert["labels"].get("sip_code"): alert["labels"] for alert in await server.has(2)}
    labels = alerts["503"]
    assert labels["alertname"] == "carrier congestion"
    assert len(labels) <= 20
    assert max(map(len, labels.values())) <= 200


async def test_an_alert_does_not_end_in_alertmanager_while_it_fires_not_even_after_a_restart_of_ours(
    tmp_path: Path,
) -> None:
    """It lasts for four times 0.3 s there; it is watched for longer than that, through a restart."""
    firing = [FIRES]
    async with alertmanager(tmp_path) as server:
        async with target(server.url, firing, resend_s=0.3) as made:
            await made.write([delivery(FIRES)])
            await server.has(1)
        for _ in range(2):
            async with target(server.url, firing, resend_s=0.3):
                for _ in range(4):
                    before = await server.has(1)
                    await until_later(server, before)
        [alert] = await server.has(1)
        assert alert["labels"]["trunk"] == "acme"
        await server.has(0)  # told no more, it ends by itself


async def until_later(server: Any, before: list[dict[str, Any]]) -> None:
    """Wait until the one alert was told again: it ends later now."""
    async with asyncio.timeout(20):
        while (await server.has(1))[0]["endsAt"] <= before[0]["endsAt"]:  # noqa: ASYNC110  another program tells it
            await asyncio.sleep(0.02)


async def test_a_record_that_matched_a_hook_is_an_alert_that_ends_by_itself() -> None:
    async with webhook_target() as got, target(got.url.partition("/calls")[0]) as made:
        await made.write([delivery(replace(FIRES, state=State.HOOK))])
    [alert] = json.loads(got.posts[0].body)
    lasts = datetime.fromisoformat(alert["endsAt"]) - datetime.fromisoformat(alert["startsAt"])
    assert lasts == timedelta(minutes=5)


@pytest.mark.parametrize(("status", "error"), [(503, TransientSinkError), (400, PermanentSinkError)])
async def test_what_alertmanager_answers_says_whether_it_is_told_again(status: int, error: type[Exception]) -> None:
    async with (
        webhook_target(lambda _: web.Response(status=status)) as got,
        target(got.url.partition("/calls")[0]) as made,
    ):
        with pytest.raises(error):
            await made.write([delivery(FIRES)])


async def test_what_is_over_is_not_told_again() -> None:
    firing = [FIRES]
    async with webhook_target() as got, target(got.url.partition("/calls")[0], firing, resend_s=0.05) as made:
        await made.write([delivery(FIRES)])
        await until(lambda: got.has(3), "it is told again")
        firing.clear()
        await made.write([delivery(OVER)])
        last = len(got.posts)
        firing.append(change(alert_id="another", group={"trunk": "globex"}))
        await until(lambda: got.has(last + 2), "another one is told again")
    trunks = {alert["labels"]["trunk"] for post in got.posts[last:] for alert in json.loads(post.body)}
    assert trunks == {"globex"}

"""A trunk of a real Asterisk that begins to answer 503: who is told, when, how often, and that it is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from .e2e import Companion
from .lab.lab import Lab
from .lab.sip_script import rejecting
from .lab.wait import until
from .played import free_port
from .webhook_target import Post, Target, webhook_target

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

WINDOW_S = 10
LATE_S = 5.0
OUTAGE_S = float(os.environ.get("ASTERISK_SIP_TEST_OUTAGE_S", "5"))
EVERY_S = 0.4
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

ALERTS = """
[web]
port = {port}
public_url = "http://127.0.0.1:{port}"

[delivery]
retry_min_s = 0.1
retry_max_s = 1.0

[notice]
group_interval_s = 0.0

[[alert_target.webhook]]
name = "ops"
url = "{ops}"
secret_file = "ops.secret"

[[alert_target.webhook]]
name = "broken"
url = "{broken}"

[[alerts]]
name = "congestion"
kind = "share"
counted = "attempts"
filter = {{ code = 503 }}
group_by = ["trunk"]
window_s = {window_s}
min_samples = 5
threshold = 0.5
clear = 0.2
severity = "critical"
"""


@contextlib.asynccontextmanager
async def calls_over_acme(lab: Lab) -> AsyncIterator[None]:
    """Place one call after the other, as long as the body runs; acme answers each as its script says by then."""

    async def place() -> None:
        async with asyncio.TaskGroup() as calls:
            while True:
                calls.create_task(lab.caller.call("trunk.acme.svc"))
                await asyncio.sleep(EVERY_S)

    placing = asyncio.create_task(place())
    try:
        yield
    finally:
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)


def states(posts: list[Post]) -> list[str]:
    return [post.event["type"].removeprefix("asterisk-sip.alert.") for post in posts]


async def shown(link: str) -> list[dict[str, Any]]:
    """The calls that the link of a notice leads to, by the API."""
    parts = urlsplit(link)
    assert parts.path == "/failures"
    async with aiohttp.ClientSession() as session, session.get(link) as page:
        assert page.status == 200
    url = f"{parts.scheme}://{parts.netloc}/api/v1/calls?{parts.query}&limit=500"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        found = await response.json()
    calls: list[dict[str, Any]] = found["calls"]
    return calls


async def test_a_trunk_that_answers_503_is_told_in_time_signed_and_when_it_is_over_and_once_to_who_was_down(
    lab22: Lab, tmp_path: Path
) -> None:
    lab, down, taken = lab22, {"until": float("inf")}, list[Post]()

    def answer(post: Post) -> web.Response:
        if time.monotonic() < down["until"]:
            return web.Response(status=500)
        taken.append(post)
        return web.Response(status=204)

    async with webhook_target() as ops, webhook_target(answer) as broken:
        companion = configured(tmp_path, lab, ops, broken)
        async with companion:
            lab.acme.scripts["svc"] = rejecting(486)
            async with calls_over_acme(lab):
                await until(lambda: companion.count() >= 10, "calls are recorded", 30)
                lab.acme.scripts["svc"] = rejecting(503)
                await until(lambda: ops.has(1), "who is well is told", WINDOW_S + LATE_S)
                down["until"] = time.monotonic() + OUTAGE_S
                [fired] = ops.posts
                assert Webhook(SECRET).verify(fired.body, fired.headers) == fired.event
                told = fired.event["data"]
                [alert] = told["alerts"]
                found = await shown(alert["link"])
                lab.acme.scripts["svc"] = rejecting(486)
                await until(lambda: ops.has(2), "it is told that it is over", 2 * WINDOW_S + LATE_S)
            await until(lambda: states(taken)[-1:] == ["cleared"], "who was down is told too", 60)
            assert await companion.stop() == 0
    assert states(ops.posts) == ["fired", "cleared"]
    assert told["headline"].startswith("acme: 503 Service Unavailable on ")
    assert (alert["sip_code"], alert["group"], alert["completeness"]) == (503, {"trunk": "acme"}, 1.0)
    assert len(alert["samples"]) == 3
    assert {sample["id"] for sample in alert["samples"]} <= {call["id"] for call in found}
    assert {call["sip"]["code"] for call in found} == {503}
    assert len(found) == alert["numerator"]
    assert "to " in told["text"]
    over = ops.posts[1].event["data"]["alerts"][0]
    assert over["alert_id"] == alert["alert_id"]
    assert "over after" in over["headline"]
    assert len(broken.posts) > len(taken)
    assert states(taken) == ["fired", "cleared"]
    assert [post.event["data"]["alerts"][0]["id"] for post in taken] == [alert["id"], over["id"]]
    assert not (tmp_path / "dead-letters").exists()


def configured(folder: Path, lab: Lab, ops: Target, broken: Target) -> Companion:
    companion = Companion(folder, lab.pbx)
    (folder / "ops.secret").write_text(SECRET)
    (folder / "ops.secret").chmod(0o600)
    rules = ALERTS.format(port=free_port(), ops=ops.url, broken=broken.url, window_s=WINDOW_S)
    companion.config.write_text(companion.config.read_text() + rules)
    return companion

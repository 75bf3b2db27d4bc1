"""A trunk of a real Asterisk that begins to answer 503: who is told, when, how often, and that it is over."""

from __future__ import annotations

import asyncio
import contextlib
import json
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

from .alertmanager import alertmanager
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

[[alert_target.webhook]]
name = "records"
url = "{records}"

[[alert_target.exec]]
name = "pager"
argv = ["/bin/sh", "-c", "cat >> {folder}/paged; echo >> {folder}/paged"]

[[alert_target.alertmanager]]
name = "alertmanager"
url = "{alertmanager}"
resend_s = 1.0

[[alert_target.apprise]]
name = "chat"
urls_file = "chat.urls"
lang = "de"

[[alerts]]
name = "nobody-there"
kind = "hook"
filter = {{ code = 404 }}
targets = ["records"]

[[alerts]]
name = "congestion"
targets = ["ops", "broken", "pager", "alertmanager", "chat"]
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


class Everybody:
    """All targets: who is well, who is down, who is told of single records, a chat; a real Alertmanager, a program."""

    def __init__(self, folder: Path, well: Target, down: Target, records: Target, chat: Target) -> None:
        self.well, self.records, self.chat = well, records, chat
        self.tried, self.taken = down.posts, list[Post]()
        self.back_at = float("inf")
        self._folder = folder
        down.answer = self._answer
        chat.answer = lambda _: web.Response(status=200)

    def _answer(self, post: Post) -> web.Response:
        if time.monotonic() < self.back_at:
            return web.Response(status=500)
        self.taken.append(post)
        return web.Response(status=204)

    def paged(self) -> list[str]:
        """The first lines that the program was given."""
        path = self._folder / "paged"
        return [json.loads(line)["headline"] for line in path.read_text().splitlines()] if path.exists() else []

    def companion(self, lab: Lab, down: Target, alertmanager_url: str) -> Companion:
        """Return the program, configured to tell all of them; not yet started."""
        companion = Companion(self._folder, lab.pbx)
        chat_url = self.chat.url.replace("http://", "json://")
        for name, secret in (("ops.secret", SECRET), ("chat.urls", chat_url)):
            (self._folder / name).write_text(secret)
            (self._folder / name).chmod(0o600)
        urls = {"ops": self.well.url, "broken": down.url, "records": self.records.url, "alertmanager": alertmanager_url}
        rules = ALERTS.format(port=free_port(), window_s=WINDOW_S, folder=self._folder, **urls)
        companion.config.write_text(companion.config.read_text() + rules)
        return companion


async def test_a_trunk_that_answers_503_is_told_in_time_signed_and_when_it_is_over_and_once_to_who_was_down(
    lab22: Lab, tmp_path: Path
) -> None:
    (tmp_path / "alertmanager").mkdir()
    async with (
        webhook_target() as ops,
        webhook_target() as down,
        webhook_target() as records,
        webhook_target() as chat,
        alertmanager(tmp_path / "alertmanager") as server,
    ):
        all_ = Everybody(tmp_path, ops, down, records, chat)
        async with all_.companion(lab22, down, server.url) as companion:
            lab22.acme.scripts["svc"] = rejecting(486)
            async with calls_over_acme(lab22):
                await until(lambda: companion.count() >= 10, "calls are recorded")
                lab22.acme.scripts["svc"] = rejecting(503)
                await until(lambda: ops.has(1), "who is well is told", WINDOW_S + LATE_S)
                all_.back_at = time.monotonic() + OUTAGE_S
                await it_says_what_it_should(ops.posts[0])
                [seen] = await server.has(1)
                await lab22.caller.call("trunk.acme.404")
                await until(lambda: records.has(1), "a record that matches a hook goes out at once", LATE_S)
                lab22.acme.scripts["svc"] = rejecting(486)
                await until(lambda: ops.has(2), "it is told that it is over", 2 * WINDOW_S + LATE_S)
            await until(lambda: states(all_.taken)[-1:] == ["cleared"], "who was down is told too", 60)
            await until(lambda: len(all_.paged()) == 2 and chat.has(2), "program and chat are told too")
            await server.has(0)
            assert await companion.stop() == 0
    assert states(ops.posts) == states(all_.taken) == ["fired", "cleared"]
    assert len(all_.tried) > len(all_.taken)
    ids = [[alert_of(post)["id"] for post in posts] for posts in (ops.posts, all_.taken)]
    assert ids[0] == ids[1]
    over = alert_of(ops.posts[1])
    assert over["alert_id"] == alert_of(ops.posts[0])["alert_id"]
    assert all_.paged() == [alert_of(post)["headline"] for post in ops.posts]
    assert "over after" in over["headline"]
    assert "vorbei nach" in json.loads(chat.posts[1].body)["title"]
    assert (seen["labels"]["alertname"], seen["labels"]["trunk"]) == ("congestion", "acme")
    assert states(records.posts) == ["hook"]
    assert alert_of(records.posts[0])["sip_code"] == 404
    assert not (tmp_path / "dead-letters").exists()


def alert_of(post: Post) -> dict[str, Any]:
    """The one alert of a notice."""
    [alert] = post.event["data"]["alerts"]
    found: dict[str, Any] = alert
    return found


async def it_says_what_it_should(fired: Post) -> None:
    """It is from us, its first line suffices, and its link leads to exactly the calls it counted."""
    assert Webhook(SECRET).verify(fired.body, fired.headers) == fired.event
    alert = alert_of(fired)
    assert alert["headline"].startswith("acme: 503 Service Unavailable on ")
    assert (alert["sip_code"], alert["group"], alert["completeness"]) == (503, {"trunk": "acme"}, 1.0)
    found = await shown(alert["link"])
    assert {call["sip"]["code"] for call in found} == {503}
    assert len(found) == alert["numerator"]
    assert len(alert["samples"]) == 3
    assert {sample["id"] for sample in alert["samples"]} <= {call["id"] for call in found}

"""What Apprise sends to a real server, and what it is not told to send twice."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest
from aiohttp import web

from asterisk_sip.alerts import hooks_apprise
from asterisk_sip.alerts.hooks_apprise import AppriseSettings, AppriseTarget
from asterisk_sip.alerts.letter import Scribe
from asterisk_sip.alerts.model import Change
from asterisk_sip.errors import PermanentSinkError, TransientSinkError
from asterisk_sip.sinks.base import Delivery

from .mail_server import mail_server
from .notices import CLEARED, FIRED, told
from .webhook_target import Post, Target, webhook_target


def delivery(*changes: Change) -> Delivery:
    return Delivery(1, "notice", changes[0].id, Scribe().write(told(*changes)))


def json_url(target: Target, path: str) -> str:
    """The URL by which Apprise posts JSON to a target; its query holds a password."""
    return target.url.replace("http://", "json://user:hidden@").partition("/calls")[0] + path


@pytest.mark.parametrize(("form", "begins"), [("text", "Rule: carrier congestion"), ("html", "<!doctype html>")])
async def test_a_notice_arrives_with_its_first_line_as_the_title(form: str, begins: str) -> None:
    async with webhook_target(lambda _: web.Response(status=200)) as target:
        sink = AppriseTarget(AppriseSettings((json_url(target, "/a"),), form))  # type: ignore[arg-type]  # a parameter of the test
        await sink.open()
        await sink.write([delivery(FIRED)])
        await sink.write([delivery(CLEARED)])
        await sink.close()
    fired, cleared = (json.loads(post.body) for post in target.posts)
    assert fired["title"] == "acme: 503 Service Unavailable on 37 of 80 calls in 5 min (46 %), since 03:12 UTC"
    assert fired["message"].startswith(begins)
    assert (fired["type"], cleared["type"]) == ("failure", "success")


async def test_of_several_urls_only_those_that_failed_are_tried_again_and_no_password_is_told() -> None:
    broken = {"/b": True}

    def answer(post: Post) -> web.Response:
        return web.Response(status=500 if broken.get(post.path) else 200)

    async with webhook_target(answer) as target:
        settings = AppriseSettings(tuple(json_url(target, path) for path in ("/a", "/b", "/c")))
        sink = AppriseTarget(settings)
        await sink.open()
        with pytest.raises(TransientSinkError, match=r"^apprise: not taken by URL 2 \(JSON\)$"):
            await sink.write([delivery(FIRED)])
        broken.clear()
        await sink.write([delivery(FIRED)])
        await sink.close()
    assert [post.path for post in target.posts] == ["/a", "/b", "/c", "/b"]
    assert "hidden" not in repr(settings)


async def test_a_notice_that_took_too_long_and_arrived_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        """A service that answers when it is let."""

        def __init__(self) -> None:
            self.asked, self.answer, self.times = threading.Event(), threading.Event(), 0

        def notify(self, **_: object) -> bool:
            self.times += 1
            self.asked.set()
            return self.answer.wait(30)

    slow = Slow()
    monkeypatch.setattr(hooks_apprise, "load", lambda _urls: [slow])
    sink = AppriseTarget(AppriseSettings(("json://127.0.0.1/",)))
    await sink.open()
    late = asyncio.create_task(sink.write([delivery(FIRED)]))
    await asyncio.to_thread(slow.asked.wait, 30)
    late.cancel()  # nobody waits any more, and it is offered again
    again = asyncio.create_task(sink.write([delivery(FIRED)]))
    slow.answer.set()
    await again
    await sink.close()
    assert slow.times == 1


async def test_apprise_loads_and_sends_in_a_thread_of_its_own_while_the_loop_goes_on() -> None:
    async with webhook_target(lambda _: web.Response(status=200)) as target:
        sink = AppriseTarget(AppriseSettings((json_url(target, "/a"),)))
        await sink.open()
        assert any(thread.name.startswith("apprise") for thread in threading.enumerate())
        await asyncio.gather(sink.write([delivery(FIRED)]), asyncio.sleep(0))
        await sink.close()
    assert target.has(1)  # served by the very loop that would have been blocked


async def test_what_is_no_url_of_apprise_is_told_by_its_place_alone(tmp_path: Path) -> None:
    sink = AppriseTarget(AppriseSettings(("json://127.0.0.1/", f"nosuch://hidden@{tmp_path.name}")))
    with pytest.raises(PermanentSinkError, match=r"^apprise knows no such URL: number 2 of 2$"):
        await sink.open()
    await sink.close()


async def test_a_mail_has_the_first_line_as_its_subject_and_the_same_as_html_and_text() -> None:
    async with mail_server() as mailbox:
        address = f"127.0.0.1:{mailbox.port}"
        url = f"mailto://user:hidden@{address}?from=pbx@example.net&to=noc@example.net&mode=insecure"
        sink = AppriseTarget(AppriseSettings((url,), "html"))
        await sink.open()
        await sink.write([delivery(FIRED)])
        await sink.close()
    [mail] = mailbox.mails
    assert mail["Subject"] == "acme: 503 Service Unavailable on 37 of 80 calls in 5 min (46 %), since 03:12 UTC"
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert "<li>Send the call through another trunk.</li>" in html.get_content()
    assert "Send the call through another trunk." in text.get_content()

"""What a webhook receives, and what each of its answers leads to."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.record_text import record_text
from asterisk_sip.errors import ConfigError, PermanentSinkError, TransientSinkError
from asterisk_sip.sinks.base import KINDS, Delivery, Kind
from asterisk_sip.sinks.courier import Courier
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.sinks.hand_over import Patience
from asterisk_sip.sinks.webhook import WebhookSettings, WebhookSink
from asterisk_sip.stores.base import Batch, Gap, gap_json
from asterisk_sip.stores.sqlite import SqliteStore

from .ami_server import Certificates
from .call_records import BEGAN, abandoned, answered, failed, rescued
from .config_texts import MINIMAL, ONE, faults, read
from .webhook_target import Answer, Post, Target, webhook_target

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_c2VjcmV0IG9mIGxhc3QgeWVhciwgMzIgYnl0ZXM="


def delivery(record: CallRecord, *, repeated: bool = False) -> Delivery:
    kind: Kind = "answered" if record.outcome == "answered" else "failure"
    return Delivery(1, kind, record.id, record_text(record), repeated)


def deliveries(count: int) -> list[Delivery]:
    return [delivery(failed(number)) for number in range(count)]


@asynccontextmanager
async def sink_to(target: Target, **settings: object) -> AsyncIterator[WebhookSink]:
    sink = WebhookSink(replace(WebhookSettings(target.url, frozenset(KINDS)), **settings))  # type: ignore[arg-type]  # of any type
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


def answering(*statuses: int, **headers: str) -> Answer:
    """Answer one status after the other; the last one for ever."""
    left = list(statuses)

    def answer(_: Post) -> web.Response:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0], headers=headers, text="the reason")

    return answer


async def test_a_record_comes_as_a_cloud_event() -> None:
    record = failed(1)
    async with webhook_target() as target, sink_to(target) as sink:
        await sink.write([delivery(record)])
    [post] = target.posts
    assert post.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert post.headers["webhook-id"] == record.id
    assert post.path == "/calls?token=of-the-url"
    assert post.event == {
        "specversion": "1.0",
        "id": record.id,
        "source": "/pbx",
        "type": "asterisk-sip.call.failed",
        "time": "2026-11-01T12:00:03.000000Z",
        "datacontenttype": "application/json",
        "data": json.loads(record_text(record)),
    }


async def test_each_kind_has_a_type_of_its_own_and_a_repeat_is_marked() -> None:
    gap = Gap("gap-1", "pbx", "ami", BEGAN, BEGAN + timedelta(seconds=3), "reset")
    told = [delivery(each) for each in (failed(1), rescued(2), abandoned(3), answered(4))]
    told.append(Delivery(5, "gap", gap.id, json.dumps(gap_json(gap)), repeated=True))
    async with webhook_target() as target, sink_to(target) as sink:
        await sink.write(told)
    events = {post.event["id"]: post.event for post in target.posts}
    words = [events[each.id]["type"].removeprefix("asterisk-sip.") for each in told]
    assert words == ["call.failed", "call.rescued", "call.abandoned", "call.answered", "gap"]
    assert [event.get("repeated") for event in events.values()].count(True) == 1
    assert (events["gap-1"]["repeated"], events["gap-1"]["data"]["reason"]) == (True, "reset")


async def test_who_knows_the_new_or_the_old_secret_can_tell_who_sent_it() -> None:
    async with webhook_target() as target, sink_to(target, secrets=(SECRET, OLD_SECRET)) as sink:
        await sink.write(deliveries(1))
    [post] = target.posts
    for secret in (SECRET, OLD_SECRET):
        assert Webhook(secret).verify(post.body, post.headers) == post.event
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(post.body.replace("503", "200"), post.headers)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 301])
async def test_what_may_change_is_tried_again(status: int) -> None:
    async with webhook_target(answering(status)) as target, sink_to(target) as sink:
        with pytest.raises(TransientSinkError, match=str(status)) as caught:
            await sink.write(deliveries(1))
    assert (len(target.posts), caught.value.taken, caught.value.not_before_s) == (1, 0, None)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 413, 422])
async def test_what_will_not_change_is_told_with_the_answer(status: int) -> None:
    async with webhook_target(answering(status)) as target, sink_to(target) as sink:
        with pytest.raises(PermanentSinkError, match=f"answered {status}: the reason"):
            await sink.write(deliveries(1))


async def test_the_target_says_how_long_to_wait() -> None:
    async with webhook_target(answering(429, **{"Retry-After": "17"})) as target, sink_to(target) as sink:
        with pytest.raises(TransientSinkError) as caught:
            await sink.write(deliveries(1))
        assert caught.value.not_before_s == 17
        at = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        target.answer = answering(503, **{"Retry-After": at})
        with pytest.raises(TransientSinkError) as caught:
            await sink.write(deliveries(1))
        assert 3_000 < (caught.value.not_before_s or 0) <= 3_600
        target.answer = answering(503, **{"Retry-After": "soon"})
        with pytest.raises(TransientSinkError) as caught:
            await sink.write(deliveries(1))
        assert caught.value.not_before_s is None


async def test_a_target_that_is_not_there_or_does_not_answer_is_tried_again_and_its_url_stays_secret() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/secret-path?token=hidden"
        async with sink_to(Target(url=nobody)) as sink:
            with pytest.raises(TransientSinkError) as caught:
                await sink.write(deliveries(1))
            assert "secret-path" not in str(caught.value)
            assert "hidden" not in str(caught.value)
    async with webhook_target(lambda _: None) as target, sink_to(target, timeout_s=0.2) as sink:
        with pytest.raises(TransientSinkError, match=r"http://127\.0\.0\.1:\d+: no answer within 0\.2 s"):
            await sink.write(deliveries(1))


async def test_who_signed_the_certificate_of_the_target_matters(tmp_path: Path) -> None:
    made = Certificates.make(tmp_path)
    async with webhook_target(tls=made.server) as target:
        async with sink_to(target) as sink:
            with pytest.raises(TransientSinkError, match="CERTIFICATE_VERIFY_FAILED"):
                await sink.write(deliveries(1))
        async with sink_to(target, ca_file=made.ca_file) as sink:
            await sink.write(deliveries(1))
    assert len(target.posts) == 1


async def test_of_a_batch_that_failed_only_what_is_missing_is_sent_again() -> None:
    batch = deliveries(5)
    troubled = {batch[2].id: 503, batch[3].id: 400}

    def answer(post: Post) -> web.Response:
        return web.Response(status=troubled.get(post.event["id"], 204))

    async with webhook_target(answer) as target, sink_to(target) as sink:
        with pytest.raises(TransientSinkError) as caught:
            await sink.write(batch)
        assert caught.value.taken == 2
        assert len(target.posts) == 5
        del troubled[batch[2].id]
        with pytest.raises(PermanentSinkError) as refused:
            await sink.write(batch[2:])
        assert refused.value.taken == 1
        with pytest.raises(PermanentSinkError):
            await sink.write(batch[3:4])
        await sink.write(batch[4:])
    assert target.ids()[5:] == [batch[2].id]
    assert target.posts[5].event["repeated"] is True


async def test_no_more_requests_at_a_time_than_allowed() -> None:
    async with webhook_target() as target, sink_to(target, parallel=3) as sink:
        assert sink.at_most == 3
        for _ in range(4):
            await sink.write(deliveries(3))
    assert target.most_at_a_time <= 3


async def test_behind_a_courier_a_500_delays_and_a_400_is_put_aside(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "calls.db", delivers=True)
    await store.open()
    records = [failed(number) for number in range(40)]
    poison, slow = records[11].id, {records[5].id, records[30].id}

    def answer(post: Post) -> web.Response:
        id_ = post.event["id"]
        if id_ == poison:
            return web.Response(status=422, text="too long")
        if id_ in slow:
            slow.discard(id_)
            return web.Response(status=500)
        return web.Response(status=200)

    async with webhook_target(answer) as target:
        sink = WebhookSink(WebhookSettings(target.url))
        courier = Courier("hook", sink, store, DeadLetters(tmp_path / "dead"), Patience(5, 0.01, 0.02))
        await store.move_cursor("hook", await store.cursor("hook"))
        await store.write(Batch(records))
        courier.finish()
        await courier.run()
    await store.close()
    came = target.ids()
    assert {*came} == {record.id for record in records}
    assert sorted(came.count(record.id) for record in records) == [1] * 38 + [2, 2]
    [letter] = (tmp_path / "dead" / "hook.jsonl").read_text().splitlines()
    assert json.loads(letter)["reason"].endswith("answered 422: too long")
    assert (courier.progress.delivered, courier.progress.dead) == (39, 1)


# The configuration

HOOK = MINIMAL + '[[sink.webhook]]\nname = "my-hook"\nurl = "https://example.net/x?t=1"\n'


def test_the_secret_of_a_webhook_comes_by_its_name_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    [hook] = read(file, HOOK, ONE | {"ASTERISK_SIP_SINK_MY_HOOK_SECRET": f"{SECRET} {OLD_SECRET}"}).sink.webhook
    assert hook.secret is not None
    assert hook.secret.get_secret_value() == f"{SECRET} {OLD_SECRET}"
    assert SECRET not in repr(hook)
    (tmp_path / "hook.secret").write_text(SECRET + "\n")
    (tmp_path / "hook.secret").chmod(0o600)
    [hook] = read(file, HOOK + 'secret_file = "hook.secret"').sink.webhook
    assert hook.secret is not None
    assert read(file, HOOK).sink.webhook[0].secret is None
    config = read(file, HOOK, ONE | {"ASTERISK_SIP_SINK_OTHER_SECRET": SECRET})
    assert config.warnings == ("ASTERISK_SIP_SINK_OTHER_SECRET is set, but not used: no sink of that name asks for it",)


def test_a_secret_that_is_none_and_one_in_the_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    short = {"ASTERISK_SIP_SINK_MY_HOOK_SECRET": "whsec_c2hvcnQ="}
    assert faults(file, HOOK, ONE | short) == {
        "ASTERISK_SIP_SINK_MY_HOOK_SECRET": "must be whsec_ and 24 to 64 bytes in base64, "
        "or several of these with a blank between"
    }
    assert list(faults(file, HOOK + f'secret = "{SECRET}"')) == ["sink.webhook[0].secret"]


@pytest.mark.parametrize(
    "url", ["example.net", "ftp://example.net/", "https://u:p@example.net/", "https:///x", "http://a b/"]
)
def test_what_is_no_url_is_refused(tmp_path: Path, url: str) -> None:
    text = HOOK.replace("https://example.net/x?t=1", url)
    assert list(faults(tmp_path / "a.toml", text)) == ["sink.webhook[0].url"]


def test_two_webhooks_whose_secrets_have_one_variable_are_refused(tmp_path: Path) -> None:
    text = HOOK + '[[sink.webhook]]\nname = "my.hook"\nurl = "https://example.net/"\n'
    with pytest.raises(ConfigError, match="too like the name of"):
        read(tmp_path / "a.toml", text)

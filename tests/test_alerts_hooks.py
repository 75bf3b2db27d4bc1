"""What targets get of a queue of changes: once, together what belongs together, and none waits for another."""

from __future__ import annotations

import asyncio
import json
import math
import os
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from asterisk_sip.alerts.hooks_compose import StoreComposer
from asterisk_sip.alerts.hooks_courier import Clock, HookCourier
from asterisk_sip.alerts.hooks_exec import ExecSettings, ExecTarget
from asterisk_sip.alerts.hooks_links import PageLinks
from asterisk_sip.alerts.hooks_manners import Bucket, Manners, group_wait_s
from asterisk_sip.alerts.hooks_webhook import WebhookTarget
from asterisk_sip.alerts.model import Change, Severity, State, change_text
from asterisk_sip.config import Config
from asterisk_sip.daemon_alert_replay import Replayed, replay_dead
from asterisk_sip.daemon_alert_targets import firing
from asterisk_sip.errors import AsteriskSipError, PermanentSinkError, TransientSinkError
from asterisk_sip.sinks.base import Delivery, Sink
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.sinks.hand_over import Patience
from asterisk_sip.sinks.poster import PostSettings
from asterisk_sip.stores.alert_book import AlertBook
from asterisk_sip.stores.base import Batch
from asterisk_sip.stores.erasure import without
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import failed
from .config_texts import MINIMAL, read
from .lab.wait import until
from .notices import CLEARED, FIRED, RULE, change
from .webhook_target import Answer, Post, Target, webhook_target

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW_SECRET = "whsec_c2VjcmV0IG9mIG5leHQgeWVhciwgMzIgYnl0ZXM="
AT_ONCE = Manners(group_wait_s=0, group_interval_s=0, per_minute=6_000, burst=1_000)
QUICK = Patience(5, 0.01, 0.05)


def post(target: Target, **settings: object) -> PostSettings:
    return PostSettings(target.url, **settings)  # type: ignore[arg-type]  # of any type


class Bench:
    """A store with its queue of notices, and couriers that carry from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SqliteStore(folder / "calls.db")
        self.book = AlertBook(self.store)
        self.composer = StoreComposer(self.store, {RULE.name: RULE}, PageLinks("https://sip.example.net/"))
        self._running: list[asyncio.Task[None]] = []
        self._couriers: list[HookCourier] = []

    async def carry(self, name: str, target: Sink, manners: Manners = AT_ONCE, **other: Any) -> HookCourier:
        """Start a courier that has been there before whatever is told from now on."""
        dead = DeadLetters(self.folder / "dead")
        courier = HookCourier(name, target, self.book, dead, self.composer, manners=manners, patience=QUICK, **other)
        await self.book.move_cursor(name, await self.book.cursor(name))
        self._couriers.append(courier)
        self._running.append(asyncio.create_task(courier.run()))
        return courier

    async def tell(self, *changes: Change) -> None:
        await self.book.tell([(each, change_text(each)) for each in changes])
        for courier in self._couriers:
            courier.wake()

    async def finish(self) -> None:
        """Let all deliver what there is."""
        for courier in self._couriers:
            courier.finish()
        await asyncio.wait_for(asyncio.gather(*self._running), 30)

    async def crash(self) -> None:
        """End the couriers as a power cut does: nothing more is noted."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running, self._couriers = [], []


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.store.open()
    yield bench
    await bench.crash()
    await bench.store.close()


def answering(statuses: list[int]) -> Answer:
    """Answer one status after the other, the last one for ever."""
    return lambda _: web.Response(status=statuses.pop(0) if len(statuses) > 1 else statuses[0])


# The webhook


async def test_a_notice_comes_as_a_signed_cloud_event_that_the_library_of_the_standard_verifies(bench: Bench) -> None:
    records = [failed(number, trunk="acme") for number in range(3)]
    await bench.store.write(Batch(records))
    async with webhook_target() as target:
        await bench.carry("ops", WebhookTarget(post(target), (NEW_SECRET, SECRET)))
        await bench.tell(change(samples=tuple(record.id for record in records)))
        await bench.finish()
    [got] = target.posts
    for secret in (SECRET, NEW_SECRET):  # while the secret changes, both know who sent it
        assert Webhook(secret).verify(got.body, got.headers) == got.event
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(got.body.replace("503", "200"), got.headers)
    event = got.event
    assert got.headers["webhook-id"] == event["id"] == event["data"]["id"]
    assert (event["specversion"], event["type"], event["source"]) == ("1.0", "asterisk-sip.alert.fired", "/alerts")
    [alert] = event["data"]["alerts"]
    assert [sample["id"] for sample in alert["samples"]] == [record.id for record in records]
    assert alert["link"].startswith("https://sip.example.net/failures?since=2026-11-27T03%3A10%3A00Z&until=")
    assert alert["samples"][0]["link"] == f"https://sip.example.net/calls/{records[0].id}"


async def test_a_target_that_answers_500_gets_the_notice_when_it_is_back_once_and_another_does_not_wait(
    bench: Bench,
) -> None:
    status = {"is": 500}
    async with webhook_target(lambda _: web.Response(status=status["is"])) as broken, webhook_target() as well:
        await bench.carry("broken", WebhookTarget(post(broken)))
        await bench.carry("well", WebhookTarget(post(well)))
        await bench.tell(FIRED)
        await until(lambda: broken.has(5) and well.has(1), "one is tried again and again, the other has it")
        await bench.tell(CLEARED)
        await until(lambda: well.has(2), "the other goes on")
        status["is"] = 204
        before = len(broken.posts)
        await bench.finish()
    taken = broken.posts[before:]
    assert [each.event["type"].rpartition(".")[2] for each in taken] == ["fired", "cleared"]
    assert len({each.headers["webhook-id"] for each in broken.posts}) == 2
    assert not (bench.folder / "dead").exists()


async def test_after_a_crash_before_the_answer_was_noted_the_same_notice_comes_again_and_says_so(bench: Bench) -> None:
    async with webhook_target(lambda _: None) as hangs:
        await bench.carry("ops", WebhookTarget(post(hangs)))
        await bench.tell(FIRED)
        await until(lambda: hangs.has(1), "the notice is under way")
        await bench.crash()
    await bench.tell(CLEARED)
    async with webhook_target() as target:
        await bench.carry("ops", WebhookTarget(post(target)))
        await bench.finish()
    again, later = target.posts
    assert again.event["id"] == hangs.posts[0].event["id"]
    assert (again.event["repeated"], "repeated" in later.event) == (True, False)
    assert [len(each.event["data"]["alerts"]) for each in target.posts] == [1, 1]


async def test_what_a_target_will_never_take_is_put_aside_whole(bench: Bench) -> None:
    async with webhook_target(answering([400, 204])) as target:
        courier = await bench.carry("ops", WebhookTarget(post(target)))
        await bench.tell(FIRED)
        await until(lambda: courier.progress.dead == 1, "it is put aside")
        await bench.tell(CLEARED)
        await bench.finish()
    [line] = (bench.folder / "dead" / "ops.jsonl").read_text().splitlines()
    letter = json.loads(line)
    assert (letter["kind"], letter["id"]) == ("notice", target.posts[0].event["id"])
    assert letter["record"] == target.posts[0].event["data"]


async def test_a_notice_that_nobody_took_for_a_day_is_put_aside(bench: Bench) -> None:
    now = {"is": FIRED.at + timedelta(minutes=1)}
    async with webhook_target(lambda _: web.Response(status=503)) as target:
        clock = Clock(now=lambda: now["is"])
        courier = await bench.carry("ops", WebhookTarget(post(target)), clock=clock)
        await bench.tell(FIRED)
        await until(lambda: target.has(3), "it is tried")
        assert courier.progress.dead == 0
        now["is"] += timedelta(days=1)
        await until(lambda: courier.progress.dead == 1, "it is given up")
    assert "was not taken for 24 h" in (bench.folder / "dead" / "ops.jsonl").read_text()


async def test_a_rule_that_names_targets_is_told_to_these_only_and_what_is_muted_to_nobody(bench: Bench) -> None:
    async with webhook_target() as one, webhook_target() as two:
        await bench.carry("one", WebhookTarget(post(one)))
        await bench.carry("two", WebhookTarget(post(two)))
        await bench.tell(change(id="1", targets=("two",)), change(id="2", muted="quiet hours"), change(id="3"))
        await bench.finish()
    ids = [[alert["id"] for each in target.posts for alert in each.event["data"]["alerts"]] for target in (one, two)]
    assert ids == [["3"], ["1", "3"]]


async def test_many_firings_come_as_one_notice(bench: Bench) -> None:
    manners = replace(AT_ONCE, group_wait_s=0.3)
    async with webhook_target() as target:
        await bench.carry("ops", WebhookTarget(post(target)), manners)
        for number in range(20):
            await bench.tell(change(id=str(number), group={"trunk": f"t{number}"}))
        await until(lambda: target.has(1), "the notice comes")
        await bench.finish()
    assert [len(each.event["data"]["alerts"]) for each in target.posts] == [20]


async def test_a_target_that_is_too_far_behind_is_told_how_many_it_missed(bench: Bench) -> None:
    await bench.book.move_cursor("ops", await bench.book.cursor("ops"))
    await bench.tell(*(change(id=str(number)) for number in range(30)))
    async with webhook_target() as target:
        await bench.carry("ops", WebhookTarget(post(target)), replace(AT_ONCE, queue_max=10))
        await bench.book.move_cursor("ops", replace(await bench.book.cursor("ops")))
        await bench.finish()
    [got] = target.posts
    assert got.event["data"]["missed"] == 20
    assert [alert["id"] for alert in got.event["data"]["alerts"]] == [str(number) for number in range(20, 30)]


async def test_a_password_in_a_header_or_url_is_in_no_message_and_no_repr(bench: Bench) -> None:
    async with webhook_target(lambda _: web.Response(status=500)) as target:
        settings = post(target, headers={"Authorization": "Bearer hidden-token"})
        with structlog.testing.capture_logs() as logged:
            courier = await bench.carry("ops", WebhookTarget(settings, (SECRET,)))
            await bench.tell(FIRED)
            await until(lambda: target.has(2), "it is tried")
        assert target.posts[0].headers["Authorization"] == "Bearer hidden-token"
        shown = f"{logged} {settings!r} {courier.progress.failing}"
    for secret in ("hidden-token", "of-the-url", SECRET):
        assert secret not in shown


# Manners


def test_what_fires_waits_for_others_and_what_is_critical_for_no_interval() -> None:
    manners = Manners(group_wait_s=2, group_interval_s=30, group_max=3)
    calm = change(severity=Severity.WARNING)

    def wait_s(changes: list[Change], waited_s: float = 0.0, quiet_s: float = math.inf) -> float:
        return group_wait_s(changes, waited_s, quiet_s, manners)

    assert wait_s([calm]) == 2
    assert wait_s([calm], waited_s=2) == 0
    assert wait_s([calm], quiet_s=1) == 29
    assert wait_s([FIRED], quiet_s=1) == 2
    assert wait_s([CLEARED], quiet_s=0) == 30
    assert wait_s([calm] * 3, quiet_s=0) == 0
    assert wait_s([calm, change(state=State.HOOK)], quiet_s=0) == 0
    assert wait_s([]) == 0


def test_a_target_gets_no_more_than_its_rate_and_a_burst_of_them() -> None:
    bucket = Bucket(per_minute=60, burst=3)
    sent, now_s = 0, 100.0
    while now_s < 110.0:
        if bucket.wait_s(now_s) == 0:
            bucket.take(now_s)
            sent += 1
        now_s += 0.01
    assert 12 <= sent <= 13
    assert Bucket(60, 1).wait_s(0.0) == 0
    bucket = Bucket(60, 1)
    bucket.take(0.0)
    assert bucket.wait_s(0.0) == 1.0
    assert bucket.wait_s(0.4) == pytest.approx(0.6)


async def test_what_comes_faster_than_the_rate_is_told_together(bench: Bench) -> None:
    clock_s = {"is": 0.0}
    manners = replace(AT_ONCE, per_minute=60, burst=1)
    async with webhook_target() as target:
        courier = await bench.carry(
            "ops", WebhookTarget(post(target)), manners, clock=Clock(monotonic_s=lambda: clock_s["is"])
        )
        await bench.tell(change(id="1"))
        await until(lambda: target.has(1), "the first one comes at once")
        for number in range(2, 7):
            await bench.tell(change(id=str(number)))
        clock_s["is"] = 1.0
        courier.wake()
        await until(lambda: target.has(2), "the others come")
    assert [len(each.event["data"]["alerts"]) for each in target.posts] == [1, 5]


# The program


def delivery(text: str = '{"at": "2026-11-27T03:15:00Z"}') -> Delivery:
    return Delivery(1, "notice", "n1", text)


def program(folder: Path, text: str) -> tuple[str, ...]:
    path = folder / "program"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return (str(path),)


def run(argv: Sequence[str], timeout_s: float = 10.0, **other: Any) -> Callable[[], Any]:
    return lambda: ExecTarget(ExecSettings(tuple(argv), timeout_s, **other)).write([delivery()])


async def test_a_program_gets_the_notice_on_its_input_and_a_bare_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTERISK_SIP_AMI_SECRET", "hidden")
    monkeypatch.setenv("TEAM", "voice")
    argv = program(
        tmp_path, f'cat > {tmp_path}/in; env > {tmp_path}/env; echo "$@" > {tmp_path}/args; pwd >> {tmp_path}/args'
    )
    await run([*argv, "a b", "$(id)", "; rm -rf x"], pass_env=("TEAM", "NOT_SET"))()
    assert (tmp_path / "in").read_text() == delivery().text
    environment = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert environment.keys() - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "LANG", "TEAM"}
    assert (tmp_path / "args").read_text() == "a b $(id) ; rm -rf x\n/\n"


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        ("echo no route >&2; exit 3", TransientSinkError, "ended with exit code 3: no route$"),
        ("exit 65", PermanentSinkError, "ended with exit code 65$"),
        ("kill -TERM $$", TransientSinkError, "was ended by signal 15$"),
    ],
)
async def test_how_a_program_ends_says_whether_it_is_run_again(
    text: str, error: type[Exception], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=reason):
        await run(program(tmp_path, text))()


async def test_a_program_that_is_not_there_or_may_not_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    for path in ("gone", "text"):
        with pytest.raises(TransientSinkError, match=f"{path}: (No such file|Permission denied)"):
            await run([str(tmp_path / path)])()


async def test_a_program_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    argv = program(tmp_path, f"sleep 300 & echo $! > {tmp_path}/child; trap '' TERM; wait; sleep 300")
    with pytest.raises(TransientSinkError, match=r"did not end within 0\.5 s"):
        await run(argv, timeout_s=0.5)()
    child = int((tmp_path / "child").read_text())
    await until(partial(is_gone, child), "the child is ended too")


async def test_a_program_that_ends_but_leaves_a_child_that_holds_its_output_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    argv = program(tmp_path, f"sleep 300 & echo $! > {tmp_path}/child; exit 0")
    await asyncio.wait_for(run(argv, timeout_s=60)(), 20)
    await until(partial(is_gone, int((tmp_path / "child").read_text())), "what it left behind is ended")


async def test_a_program_that_reads_nothing_and_says_much_is_no_trouble(tmp_path: Path) -> None:
    big = Delivery(1, "notice", "n1", "x" * 1_000_000)
    await ExecTarget(ExecSettings(program(tmp_path, "head -c 5000000 /dev/zero; exit 0"))).write([big])


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


# What was put aside


def put_aside(folder: Path, *ids: str) -> Path:
    path = folder / "dead-letters" / "alerts" / "ops.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"at": "2026-11-27T03:15:00Z", "state": "fired"}
    letters = [{"id": id_, "kind": "notice", "reason": "answered 400", "record": record} for id_ in ids]
    path.write_text("".join(json.dumps(letter) + "\n" for letter in letters))
    return path


def with_target(folder: Path, url: str) -> Config:
    text = f'{MINIMAL}[[alert_target.webhook]]\nname = "ops"\nurl = "{url}"\n'
    return read(folder / "asterisk-sip.toml", text)


async def test_what_was_put_aside_is_sent_again_and_what_is_refused_again_stays(tmp_path: Path) -> None:
    path = put_aside(tmp_path, "1", "2", "3")
    (path.with_suffix(".sending")).write_text(json.dumps({"id": "0", "record": {"at": "x", "state": "hook"}}) + "\n")

    def answer(post: Post) -> web.Response:
        return web.Response(status=400 if post.event["id"] == "2" else 204)

    async with webhook_target(answer) as target:
        config = with_target(tmp_path, target.url)
        found = await replay_dead(config, "ops")
        assert (found.sent, found.left) == (3, 1)
        assert found.reason is not None
        assert found.reason.endswith("answered 400")
        assert target.ids() == ["0", "1", "2", "3"]  # "0" was left by a replay that was cut off
        assert all(post.event["repeated"] for post in target.posts)
        assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["2"]
        target.answer = lambda _: web.Response(status=204)
        assert await replay_dead(config, "ops") == Replayed(1, 0, None)
    assert [each.name for each in path.parent.iterdir()] == []
    assert await replay_dead(config, "ops") == Replayed(0, 0, None)


async def test_what_a_purge_erased_is_not_sent(tmp_path: Path) -> None:
    path = put_aside(tmp_path, "1", "2")
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(without(first) + second)
    async with webhook_target() as target:
        assert await replay_dead(with_target(tmp_path, target.url), "ops") == Replayed(1, 0, None)
    assert target.ids() == ["2"]


async def test_a_replay_to_a_target_that_is_down_loses_nothing_and_tries_one_only(tmp_path: Path) -> None:
    path = put_aside(tmp_path, "1", "2", "3")
    async with webhook_target(lambda _: web.Response(status=503)) as target:
        found = await replay_dead(with_target(tmp_path, target.url), "ops")
    assert (found.sent, found.left, len(target.posts)) == (0, 3, 1)
    assert len(path.read_text().splitlines()) == 3


async def test_a_replay_to_nobody_says_who_there_is(tmp_path: Path) -> None:
    with pytest.raises(AsteriskSipError, match="no target is called 'opps'; there are: ops"):
        await replay_dead(with_target(tmp_path, "http://127.0.0.1:9/"), "opps")


async def test_alertmanager_is_told_again_only_of_what_fires_was_told_and_is_for_it(bench: Bench) -> None:
    of = {"alert_id": "1"}, {"alert_id": "2", "targets": ("am",)}, {"alert_id": "3", "targets": ("other",)}
    fires = [change(id=each["alert_id"], **each) for each in of]
    muted = change(id="4", alert_id="4", muted="quiet hours")
    over = change(id="5", alert_id="5")
    await bench.tell(*fires, muted, over, replace(CLEARED, id="6", alert_id="5"))
    assert {each.alert_id for each in await firing(bench.book, "am")} == {"1", "2"}

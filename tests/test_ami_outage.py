"""Outages of an AMI link: each is noticed, told once and in order, and ends by itself; no action is sent twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import LinkLostError
from tests.ami_client import Down, Recorder, Up, eventually, hangup, opened, patient, running, until_up
from tests.ami_messages import Action, message
from tests.ami_server import Connection, ScriptedAmi


@pytest.fixture
async def pbx() -> AsyncIterator[ScriptedAmi]:
    async with ScriptedAmi() as server:
        yield server


async def half_close(pbx: ScriptedAmi) -> None:
    pbx.half_close()


async def fin(pbx: ScriptedAmi) -> None:
    pbx.drop()


async def rst(pbx: ScriptedAmi) -> None:
    pbx.reset()


async def restart(pbx: ScriptedAmi) -> None:
    await pbx.send(message(("Event", "Shutdown"), Privilege="system,all", Shutdown="Cleanly", Restart="True"))
    await pbx.stop()
    await pbx.start()


async def silence(pbx: ScriptedAmi) -> None:
    """The machine is gone and says nothing more."""
    pbx.silent.add("ping")
    count = len([action for action in pbx.actions if action["Action"] == "Ping"])
    await pbx.wait_for_action("Ping", count + 1)
    await pbx.wait_for_close(pbx.connections[-1])
    pbx.silent.clear()


@pytest.mark.parametrize("outage", [half_close, fin, rst, restart, silence])
async def test_an_outage_is_told_once_and_ends_by_itself(
    pbx: ScriptedAmi, outage: Callable[[ScriptedAmi], Awaitable[None]]
) -> None:
    timing = {"ping_interval_s": 0.05, "ping_timeout_s": 0.05} if outage is silence else {}
    listener = Recorder()
    async with running(patient(pbx, **timing), listener) as source:
        for count in (1, 2):
            await until_up(listener, count)
            await pbx.wait_for_action("CoreShowChannels", count)
            await pbx.send(hangup(f"1.{count}"))
            await eventually(lambda: len(listener.hung_up) == count, "the event")  # noqa: B023  awaited at once
            await outage(pbx)
            await eventually(lambda: len(listener.of(Down)) == count, "the outage")  # noqa: B023  awaited at once
        await until_up(listener, 3)
        assert source.last_error is None
    assert [type(told) for told in listener.told if isinstance(told, Up | Down | ev.HungUp)] == [
        *(Up, ev.HungUp, Down),
        *(Up, ev.HungUp, Down),
        *(Up, Down),
    ]
    assert listener.of(Down)[-1] == Down("stopped")
    assert all(down.reason for down in listener.of(Down))


async def test_a_shutdown_is_heard_before_the_link_goes_down(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    async with running(patient(pbx), listener):
        await until_up(listener)
        await restart(pbx)
        await until_up(listener, 2)
    kinds = [type(told) for told in listener.told if isinstance(told, Up | Down | ev.ShutDown)]
    assert kinds == [Up, ev.ShutDown, Down, Up, Down]


async def test_the_last_events_before_the_end_of_the_connection_are_heard(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    async with running(patient(pbx), listener):
        await pbx.wait_for_action("CoreShowChannels")  # the last we say: what a peer has not read makes it send RST
        await pbx.send(b"".join(hangup(f"1.{i}") for i in range(1_000)) + b"Event: Hangup\r\nUniqueid: cut")
        pbx.drop()
        await until_up(listener, 2)
        await pbx.send(hangup("2.1"))
        await eventually(lambda: listener.hung_up[-1:] == ["2.1"], "the event of the next link")
    assert listener.hung_up == [*(f"1.{i}" for i in range(1_000)), "2.1"]


async def test_a_dead_peer_is_noticed_by_the_first_ping_that_is_not_answered(pbx: ScriptedAmi) -> None:
    pbx.silent.add("ping")
    listener = Recorder()
    async with running(patient(pbx, ping_interval_s=0.05, ping_timeout_s=0.05), listener):
        await until_up(listener, 3)
    assert listener.of(Down)[:2] == [Down("no answer to Ping within 0.05 s")] * 2
    for connection in pbx.connections[:2]:
        said = [action["Action"] for action in connection.actions]
        assert said == ["Challenge", "Login", "CoreSettings", "CoreShowChannels", "Ping"]


async def test_nothing_of_a_dead_peer_that_comes_back_is_heard_after_its_link_was_given_up(pbx: ScriptedAmi) -> None:
    pbx.silent.add("ping")
    listener = Recorder()
    async with running(
        patient(pbx, ping_interval_s=0.05, ping_timeout_s=0.05, retry_min_s=60, retry_max_s=60), listener
    ):
        await pbx.wait_for_action("Ping")
        first = pbx.current
        with contextlib.suppress(ConnectionError):
            while not listener.of(Down):
                await first.write(hangup("1.1"), ())
                await asyncio.sleep(0)
        await pbx.wait_for_close(first)
        await eventually(lambda: listener.of(Down), "the outage")
    assert isinstance(listener.told[-1], Down)
    assert listener.hung_up


async def test_a_peer_that_answers_every_ping_stays(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    async with opened(patient(pbx, ping_interval_s=0.001), listener) as link:
        staying = asyncio.create_task(link.stay())
        await pbx.wait_for_action("Ping", 50)
        assert link.protocol is not None
        assert len(link.protocol.responses) <= 1
        assert not staying.done()
        pbx.drop()
        assert await staying == "Asterisk closed the connection"


class Hesitant(ScriptedAmi):
    """Answers pings when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def _answer(self, connection: Connection, action: Action) -> bool:
        if action["Action"] == "Ping":
            await self.may_answer.wait()
        return await super()._answer(connection, action)


async def test_a_ping_answered_late_but_in_time_keeps_the_link_and_no_other_is_sent_meanwhile() -> None:
    async with Hesitant() as pbx, opened(patient(pbx, ping_interval_s=0.01), Recorder()) as link:
        staying = asyncio.create_task(link.stay())
        await pbx.wait_for_action("Ping")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(staying), 0.1)  # many times the interval
        assert len([action for action in pbx.actions if action["Action"] == "Ping"]) == 1
        assert link.protocol is not None
        assert len(link.protocol.responses) == 1
        pbx.may_answer.set()
        await pbx.wait_for_action("Ping", 3)
        assert not staying.done()
        staying.cancel()
        await asyncio.wait([staying])


async def test_a_ping_answered_after_its_deadline_does_not_disturb_the_next_link() -> None:
    async with Hesitant() as pbx:
        listener = Recorder()
        async with running(patient(pbx, ping_interval_s=0.05, ping_timeout_s=0.05), listener):
            await until_up(listener, 2)
            pbx.may_answer.set()
            await pbx.wait_for_action("Ping", 5)
            assert listener.links == ["up", "down", "up"]


async def test_no_action_is_ever_sent_twice(pbx: ScriptedAmi) -> None:
    pbx.silent.add("coreshowchannels")
    listener = Recorder()
    async with running(patient(pbx), listener):
        for count in range(1, 6):
            await pbx.wait_for_action("CoreShowChannels", count)
            pbx.reset()
    assert [connection.number for connection in pbx.connections] == list(range(len(pbx.connections)))
    ids = Counter(action["ActionID"] for action in pbx.actions)
    assert set(ids.values()) == {1}
    for connection in pbx.connections[:5]:
        said = [action["Action"] for action in connection.actions]
        assert said == ["Challenge", "Login", "CoreSettings", "CoreShowChannels"]


async def test_an_action_that_waits_when_the_link_is_lost_fails_at_once_and_is_forgotten(pbx: ScriptedAmi) -> None:
    pbx.silent.add("originate")
    async with opened(patient(pbx), Recorder()) as link:
        asking = asyncio.create_task(link.ask({"Action": "Originate"}))
        await pbx.wait_for_action("Originate")
        pbx.drop()
        with pytest.raises(LinkLostError, match="Asterisk closed the connection"):
            await asking
        assert link.protocol is not None
        assert link.protocol.responses == {}
    assert [action["Action"] for action in pbx.actions].count("Originate") == 1

"""Stopping an AMI source, whatever it is doing: no task, no socket, no reconnect is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import structlog

from asterisk_sip.sources.ami import AmiLink, AmiSource
from asterisk_sip.sources.ami_protocol import WireProtocol
from tests.ami_client import Down, Recorder, eventually, hangup, loop_watched, patient, stop, until_up
from tests.ami_messages import BANNER
from tests.ami_server import ScriptedAmi


@pytest.fixture
async def pbx() -> AsyncIterator[ScriptedAmi]:
    async with ScriptedAmi() as server:
        yield server


@contextlib.asynccontextmanager
async def started(pbx: ScriptedAmi, listener: Recorder, **changes: object) -> AsyncIterator[asyncio.Task[None]]:
    """A source at work, to be stopped in the block; then all is looked at."""
    async with loop_watched():
        task = asyncio.create_task(AmiSource("pbx", patient(pbx, **changes), listener).run())
        yield task
        assert task.done()
    connections = len(pbx.connections)
    for connection in pbx.connections:
        await pbx.wait_for_close(connection)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(pbx.connections) == connections


def said(pbx: ScriptedAmi) -> list[str]:
    return [action["Action"] for action in pbx.actions]


async def test_while_connected_it_logs_off_and_tells_so(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    async with started(pbx, listener) as task:
        await pbx.wait_for_action("CoreShowChannels")
        await pbx.send(hangup("1.1"))
        await eventually(lambda: listener.hung_up, "the event")
        await stop(task)
        assert listener.told[-1] == Down("stopped")
    assert listener.links == ["up", "down"]
    assert said(pbx)[-1] == "Logoff"


async def test_what_asterisk_says_while_we_log_off_is_heard_before_the_end(pbx: ScriptedAmi) -> None:
    pbx.silent.add("logoff")
    listener = Recorder()
    async with started(pbx, listener) as task:
        await until_up(listener)
        task.cancel()
        logoff = await pbx.wait_for_action("Logoff")
        await pbx.send(hangup("1.1"))
        await pbx.send_response("Goodbye", ActionID=logoff["ActionID"])
        await asyncio.wait([task])
    assert listener.hung_up == ["1.1"]
    assert listener.told[-1] == Down("stopped")


async def test_a_second_cancel_does_not_wait_for_the_farewell(pbx: ScriptedAmi) -> None:
    pbx.silent.add("logoff")
    listener = Recorder()
    async with started(pbx, listener) as task:
        await until_up(listener)
        task.cancel()
        await pbx.wait_for_action("Logoff")
        await stop(task)
        assert listener.told[-1] == Down("stopped")
    assert said(pbx).count("Logoff") == 1


async def test_an_asterisk_that_does_not_answer_the_farewell_cannot_hold_us(
    pbx: ScriptedAmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asterisk_sip.sources.ami.CLOSE_TIMEOUT_S", 0.05)
    pbx.silent.add("logoff")
    listener = Recorder()
    async with started(pbx, listener) as task:
        await until_up(listener)
        await stop(task)
    assert listener.links == ["up", "down"]


async def test_while_connecting(pbx: ScriptedAmi) -> None:
    """A TLS handshake that the other side never takes up: the connection is being made for as long as we like."""
    pbx.banner = b""
    listener = Recorder()
    async with started(pbx, listener, tls=True) as task:
        await pbx.wait_for_connection()
        await stop(task)
    assert listener.told == []


async def test_while_waiting_for_the_greeting(pbx: ScriptedAmi) -> None:
    pbx.banner = b""
    listener = Recorder()
    async with started(pbx, listener) as task:
        await pbx.wait_for_connection()
        await stop(task)
    assert listener.told == []
    assert said(pbx) == []


@pytest.mark.parametrize("action", ["Challenge", "Login", "CoreSettings", "CoreShowChannels"])
async def test_while_any_answer_is_awaited(pbx: ScriptedAmi, action: str) -> None:
    pbx.silent.add(action.lower())
    listener = Recorder()
    async with started(pbx, listener) as task:
        await pbx.wait_for_action(action)
        await stop(task)
    assert said(pbx).count(action) == 1
    logged_in = action.startswith("Core")
    assert (said(pbx)[-1] == "Logoff") == logged_in
    assert listener.links == (["up", "down"] if action == "CoreShowChannels" else [])


async def test_while_waiting_to_try_again(pbx: ScriptedAmi) -> None:
    pbx.drop_after_banner = True
    listener = Recorder()
    async with started(pbx, listener, retry_min_s=60.0, retry_max_s=60.0) as task:
        await pbx.wait_for_connection()
        await pbx.wait_for_close(pbx.connections[0])
        await stop(task)
    assert listener.told == []


async def test_while_waiting_after_a_refusal(pbx: ScriptedAmi) -> None:
    pbx.refuse_login = True
    async with started(pbx, Recorder()) as task:
        await pbx.wait_for_action("Login")
        await pbx.wait_for_close(pbx.connections[0])
        await stop(task)


@pytest.mark.parametrize("banner", [BANNER, b"no AMI\r\n"])
async def test_at_any_turn_of_the_loop(pbx: ScriptedAmi, banner: bytes) -> None:
    """From the first step to the link being up or refused, whatever comes in between."""
    pbx.banner = banner
    async with loop_watched():
        for turns in range(60):
            listener = Recorder()
            task = asyncio.create_task(AmiSource("pbx", patient(pbx), listener).run())
            for _ in range(turns):
                await asyncio.sleep(0)
            await stop(task)
            assert listener.links in ([], ["up", "down"])
    for connection in pbx.connections:
        await pbx.wait_for_close(connection)
    assert listener.links == (["up", "down"] if banner == BANNER else [])


async def test_a_wrong_greeting_that_nobody_waits_for_any_more_is_no_complaint() -> None:
    async with loop_watched():
        WireProtocol(Recorder(), 1_000, structlog.get_logger()).data_received(b"no AMI\r\n")


async def test_a_link_may_be_closed_twice_and_before_it_was_opened(pbx: ScriptedAmi) -> None:
    async with loop_watched():
        link = AmiLink(patient(pbx), Recorder())
        await link.close()
        await link.open()
        await link.close()
        assert link.protocol is not None
        assert link.protocol.lost.done()
        assert link.protocol.transport.get_extra_info("socket").fileno() == -1
        await link.close()
    assert said(pbx).count("Logoff") == 1

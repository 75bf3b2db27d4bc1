"""The ARI door to which Asterisk connects: who may, what is heard, and what becomes of a connection that dies."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from structlog.testing import capture_logs

from asterisk_sip.calls import events as ev
from asterisk_sip.sources import ari_listener
from asterisk_sip.sources.ari import AriSettings
from asterisk_sip.sources.ari_listener import AriDoor, AriListener
from asterisk_sip.sources.listener import Losses
from tests.ami_client import Down, Recorder, Up, at_work, eventually
from tests.ari_asterisk import OutboundAsterisk
from tests.ari_server import SECRET, channel, destroyed


def door(name: str = "pbx1", listener: Recorder | None = None, **changes: float) -> AriDoor:
    settings = AriSettings("", 0, "asterisk-sip", SECRET, **{"gather_ms": 1, **changes})  # type: ignore[arg-type]  # numbers only
    return AriDoor(name, settings, listener or Recorder())


@contextlib.asynccontextmanager
async def listening(*doors: AriDoor, port: int = 0) -> AsyncIterator[AriListener]:
    """A listener at work; cancelled at the end. Nothing may be left behind."""
    server = AriListener("127.0.0.1", port, doors)
    server.backoff.min_s = server.backoff.max_s = 0.01
    async with at_work(server):
        if not port:
            await eventually(lambda: server.port, "it listens")
        yield server


def port_of(server: AriListener) -> int:
    assert server.port is not None
    return server.port


async def test_an_asterisk_that_connects_is_heard() -> None:
    listener = Recorder()
    async with listening(door(listener=listener)) as server, OutboundAsterisk(port_of(server)) as pbx:
        pbx.answers["channels"] = [channel("1.1")]
        await eventually(lambda: listener.of(ev.ChannelsListed), "the list")
        await pbx.send(destroyed("1.1"))
        await eventually(lambda: listener.hung_up == ["1.1"], "the event")
    assert listener.of(Up) == [Up("22.10.1")]
    assert listener.of(ev.ChannelsListed)[0].channels[0].uniqueid == "1.1"
    assert listener.links == ["up", "down"]
    assert pbx.asked == ["asterisk/info?only=system", "bridges", "channels"]


async def test_several_pbxs_connect_to_one_address_each_by_its_path() -> None:
    one, two = Recorder(), Recorder()
    async with (
        listening(door("pbx1", one), door("pbx2", two)) as server,
        OutboundAsterisk(port_of(server), "pbx1") as pbx1,
        OutboundAsterisk(port_of(server), "pbx2") as pbx2,
    ):
        await eventually(lambda: one.links == two.links == ["up"], "both are up")
        await pbx1.send(destroyed("1.1"))
        await pbx2.send(destroyed("2.2"))
        await eventually(lambda: one.hung_up and two.hung_up, "both events")
        await pbx1.close()
        await eventually(lambda: one.links == ["up", "down"], "one is down")
        assert two.links == ["up"]
    assert (one.hung_up, two.hung_up) == (["1.1"], ["2.2"])


@pytest.mark.parametrize(
    ("path", "username", "password", "status"),
    [
        ("pbx1", "asterisk-sip", "wrong", 401),
        ("pbx1", "asterisk-sip", "", 401),
        ("pbx1", "other", SECRET, 401),
        ("other", "asterisk-sip", SECRET, 404),
        ("", "asterisk-sip", SECRET, 404),
    ],
)
async def test_nobody_else_is_let_in_and_the_log_tells_once(
    path: str, username: str, password: str, status: int
) -> None:
    listener = Recorder()
    with capture_logs() as logs:
        async with listening(door(listener=listener)) as server:
            for _ in range(3):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    await OutboundAsterisk(port_of(server), path, username, password).connect()
                assert caught.value.status == status
    assert listener.told == []
    assert len([entry for entry in logs if entry["log_level"] == "warning"]) == 1
    assert SECRET not in str(logs)


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer x", "basic \xff", "Basic " + "x" * 5_000])
async def test_a_header_that_proves_nothing_is_refused(header: str) -> None:
    async with listening(door()) as server, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.port}/pbx1"
        async with session.get(url, headers={"Authorization": header} if header else {}) as response:
            assert response.status == 401


async def test_a_question_that_is_no_websocket_is_told_so() -> None:
    async with listening(door()) as server, aiohttp.ClientSession() as session:
        headers = {"Authorization": aiohttp.encode_basic_auth("asterisk-sip", SECRET)}
        async with session.get(f"http://127.0.0.1:{server.port}/pbx1", headers=headers) as response:
            assert response.status == 426


async def test_what_says_nothing_or_no_http_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_listener, "CLOSE_TIMEOUT_S", 0.1)
    async with listening(door()) as server:
        for said in (b"", b"GET / HT", b"\xff" * 100 + b"\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(said)
            await asyncio.wait_for(reader.read(), 5)
            writer.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(None, r"no answer to GET /asterisk/info?only=system within 0.1 s"), (404, "404 Nope"), ({}, "does not tell")],
)
async def test_an_asterisk_that_does_not_introduce_itself_is_closed(answer: object, reason: str) -> None:
    listener = Recorder()
    with capture_logs() as logs:
        async with listening(door(listener=listener, connect_timeout_s=0.1)) as server:
            for _ in range(2):
                pbx = OutboundAsterisk(port_of(server))
                pbx.answers["asterisk/info?only=system"] = answer
                async with pbx:
                    await pbx.ended()
    assert listener.links == []
    [told] = [entry for entry in logs if entry["event"] == "not listening"]
    assert reason in told["reason"]


@pytest.mark.parametrize("answer", [None, 500, {}])
async def test_a_link_that_does_not_tell_what_lives_is_given_up(answer: object) -> None:
    listener = Recorder()
    async with listening(door(listener=listener, connect_timeout_s=0.1)) as server:
        pbx = OutboundAsterisk(port_of(server))
        pbx.answers["channels"] = answer
        async with pbx:
            await pbx.ended()
            await eventually(lambda: listener.links == ["up", "down"], "the link is given up")


async def test_a_connection_that_dies_is_told_and_the_next_is_heard() -> None:
    listener = Recorder()
    with capture_logs() as logs:
        async with listening(door(listener=listener)) as server:
            for count in (1, 2):
                pbx = await OutboundAsterisk(port_of(server)).connect()
                await eventually(lambda: listener.links.count("up") == count, "up")  # noqa: B023  awaited at once
                await pbx.close()
                await eventually(lambda: listener.links.count("down") == count, "down")  # noqa: B023  awaited at once
    assert {down.reason for down in listener.of(Down)} == {"Asterisk closed the connection"}
    assert [entry["event"] for entry in logs if "listening" in entry["event"]] == ["listening", "not listening"] * 2


async def test_a_dead_peer_is_noticed() -> None:
    listener = Recorder()
    async with listening(door(listener=listener, heartbeat_s=0.2)) as server:
        pbx = await OutboundAsterisk(port_of(server)).connect(autoping=False)
        await eventually(lambda: listener.of(Down), "the outage")
        await pbx.close()
    assert listener.of(Down) == [Down("no answer to a ping within 0.1 s")]


async def test_an_asterisk_that_connects_anew_takes_the_place_of_its_old_connection() -> None:
    listener = Recorder()
    async with listening(door(listener=listener)) as server, OutboundAsterisk(port_of(server)) as old:
        await eventually(lambda: listener.links == ["up"], "the old one is up")
        async with OutboundAsterisk(port_of(server)) as new:
            await eventually(lambda: listener.links == ["up", "down", "up"], "the new one is up")
            await old.ended()
            await new.send(destroyed("2.2"))
            await eventually(lambda: listener.hung_up == ["2.2"], "the event")
    assert listener.of(Down)[0] == Down("Asterisk connected anew")


async def test_messages_that_cannot_be_read_cost_only_themselves() -> None:
    listener = Recorder()
    watched = door(listener=listener, max_message_bytes=5_000)
    async with listening(watched) as server, OutboundAsterisk(port_of(server)) as pbx:
        await eventually(lambda: listener.links, "up")
        await pbx.socket.send_str('{"type":"RESTResponse","request_id":"nobody asked"}')
        await pbx.socket.send_str('{"type":"RESTResponse"')
        await pbx.socket.send_bytes(b"\0")
        await pbx.send(destroyed("1.1", filler="x" * 10_000), destroyed("1.2"))
        await eventually(lambda: listener.hung_up == ["1.2"], "the event after")
        assert watched.losses == Losses(unreadable=2, oversized=1)
    assert watched.losses == Losses(unreadable=2, oversized=1)


async def test_an_address_that_cannot_be_had_is_told_once_and_tried_again() -> None:
    with socket.socket() as held, capture_logs() as logs:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        listener = Recorder()
        async with listening(door(listener=listener), port=port) as server:
            await eventually(lambda: listener.of(Down), "the refusal")
            held.close()
            await eventually(lambda: server.port == port, "it listens")
    assert len([entry for entry in logs if "cannot listen" in entry["event"]]) == 1


async def test_a_pbx_that_never_connects_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_listener, "MISSING_AFTER_S", 0.01)
    with capture_logs() as logs:
        async with listening(door("pbx1"), door("pbx2")):
            await eventually(
                lambda: len([entry for entry in logs if "has not connected" in entry["event"]]) == 2, "the warning"
            )

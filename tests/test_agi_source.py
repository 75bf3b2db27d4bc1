"""The FastAGI server: what it takes, what it refuses, and that it never makes anybody wait."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import time
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from asterisk_sip.calls import events as ev
from asterisk_sip.sources import agi
from asterisk_sip.sources.agi import AgiDoor, AgiSettings, AgiSource
from tests.lab.wait import until
from tests.test_agi_wire import request
from tests.test_handler_wire import line

GOOD = line(uniqueid="1.1")


class Heard:
    """What a source told, in order."""

    def __init__(self) -> None:
        self.events: list[ev.Event] = []
        self.raws: list[bytes] = []
        self.news: list[str] = []

    def heard(self, events: list[ev.Event]) -> None:
        self.events += events

    def raw(self, data: bytes) -> None:
        self.raws.append(data)

    def link_up(self, version: str | None) -> None:
        self.news.append(f"up {version}")

    def link_down(self, reason: str) -> None:
        self.news.append(f"down: {reason}")

    def lost(self, count: int, reason: str) -> None:
        self.news.append(f"lost {count}: {reason}")


class Deaf(Heard):
    """One who raises whatever he hears."""

    def heard(self, events: list[ev.Event]) -> None:
        raise RuntimeError(f"deaf to {len(events)}")


@contextlib.asynccontextmanager
async def listening(
    *listeners: Heard, deadline_ms: int = 5_000, max_connections: int = 200
) -> AsyncIterator[AgiSource]:
    """A source on a port of its own, for the PBXs pbx1, pbx2 and so on."""
    doors = [AgiDoor(f"pbx{number}", listener) for number, listener in enumerate(listeners, 1)]
    source = AgiSource(AgiSettings("127.0.0.1", 0, deadline_ms, max_connections), doors)
    task = asyncio.create_task(source.run())
    try:
        await until(lambda: source.port, "the server listens")
        yield source
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def send(source: AgiSource, data: bytes) -> bytes:
    """Send a request; give what comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(data)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_report_reaches_its_pbx_and_the_connection_is_closed_at_once() -> None:
    one, two = Heard(), Heard()
    async with listening(one, two) as source:
        assert await send(source, request(argument=GOOD, path="pbx2")) == b""
        assert source.connections == 0
    [report] = two.events
    assert isinstance(report, ev.HandlerReport)
    assert (report.source, report.channel.uniqueid) == ("AGI", "1.1")
    assert one.events == []
    assert two.news == ["up None", "down: stopped listening"]


async def test_a_report_can_be_recorded_as_one_line_of_json() -> None:
    one = Heard()
    async with listening(one) as source:
        await send(source, request(argument=GOOD))
    [raw] = one.raws
    assert raw.endswith(b"\n")
    told = json.loads(raw)
    assert (told["door"], told["report"]) == ("agi", GOOD)


async def test_what_is_no_report_is_refused_counted_and_logged_once() -> None:
    one = Heard()
    with capture_logs() as logs:
        async with listening(one, deadline_ms=50) as source:
            for _ in range(3):
                for data in (
                    b"GET / HTTP/1.1\r\n\r\n",
                    request(argument="nonsense"),
                    request(argument=GOOD, uniqueid="2.2"),
                ):
                    await send(source, data)
                await send(source, request(argument=GOOD, path="pbx9"))
            assert (source.counts.unreadable, source.counts.unknown_path) == (9, 3)
    assert one.events == []
    warnings = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert sorted(set(warnings)) == sorted(warnings)
    assert "no PBX of that name reports here (told once)" in warnings


async def test_an_end_that_the_caller_wrote_is_not_taken_for_the_true_one() -> None:
    """Asterisk writes line by line: what he wrote may come as a whole before the rest."""
    one = Heard()
    data = request("55\n\nagi_threadid: 1\nagi_arg_1: v=1\n\n", GOOD)
    forged_end = data.index(b"v=1\n\n") + len(b"v=1\n\n")
    async with listening(one) as source:
        reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
        writer.write(data[:forged_end])
        await writer.drain()
        await asyncio.sleep(0.05)  # let it be read by itself
        writer.write(data[forged_end:])
        assert await reader.read() == b""
        writer.close()
    assert [type(event) for event in one.events] == [ev.HandlerReport]


async def test_many_made_up_paths_do_not_fill_log_or_memory() -> None:
    with capture_logs() as logs:
        async with listening(Heard()) as source:
            for number in range(100):
                await send(source, request(argument=GOOD, path=f"x{number}"))
    assert sum("no PBX of that name" in entry["event"] for entry in logs) == 16


async def test_one_who_says_nothing_is_dropped_after_the_deadline() -> None:
    async with listening(Heard(), deadline_ms=100) as source:
        assert await send(source, b"") == b""
        assert await send(source, b"agi_network: yes\n") == b""
        assert source.counts.too_slow == 2
        assert source.connections == 0


async def test_over_the_cap_a_connection_is_closed_at_once() -> None:
    one = Heard()
    async with listening(one, deadline_ms=60_000, max_connections=3) as source:
        held = [await asyncio.open_connection("127.0.0.1", source.port) for _ in range(3)]
        await until(lambda: source.connections == 3, "three connections")
        assert await send(source, request(argument=GOOD)) == b""
        assert source.counts.over_the_cap == 1
        held[0][1].write(request(argument=GOOD))
        await until(lambda: one.events, "a report of one that was in time")
        for _, writer in held:
            writer.close()


async def test_stopping_closes_what_is_open() -> None:
    async with listening(Heard(), deadline_ms=60_000) as source:
        reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
        await until(lambda: source.connections == 1, "a connection")
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_a_listener_that_raises_costs_one_report() -> None:
    deaf, well = Deaf(), Heard()
    async with listening(deaf, well) as source:
        await send(source, request(argument=GOOD, path="pbx1"))
        await send(source, request(argument=GOOD, path="pbx2"))
        assert source.listener_errors == 1
    assert len(well.events) == 1


async def test_an_address_that_is_taken_is_tried_again() -> None:
    one = Heard()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = AgiSettings("127.0.0.1", taken.getsockname()[1], retry_min_s=0.01, retry_max_s=0.01)
        source = AgiSource(settings, [AgiDoor("pbx1", one)])
        task = asyncio.create_task(source.run())
        await until(lambda: one.news, "news of the address")
        assert "in use" in one.news[0]
    await until(lambda: source.port, "it listens")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [news.partition(":")[0] for news in one.news] == ["down", "up None", "down"]


async def test_a_door_that_nobody_uses_is_told_of_once_and_losses_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agi, "WATCH_EVERY_S", 0.01)
    monkeypatch.setattr(agi, "SILENT_AFTER_S", 0.0)
    one = Heard()
    with capture_logs() as logs:
        async with listening(one) as source:
            await until(lambda: any("no call has reported" in entry["event"] for entry in logs), "the warning")
            await send(source, b"rubbish")
            await until(lambda: any(news.startswith("lost 1: ") for news in one.news), "news of a loss")
    assert sum("no call has reported" in entry["event"] for entry in logs) == 1
    assert sum(news.startswith("lost") for news in one.news) == 1


async def test_garbage_of_all_kinds_neither_stops_it_nor_stays() -> None:
    one, dice = Heard(), random.Random(5)
    good = request(argument=GOOD)
    async with listening(one) as source:
        for _ in range(300):
            data = bytearray(good)
            for _ in range(dice.randrange(1, 20)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            cut = bytes(data[: dice.randrange(len(data))])
            _, writer = await asyncio.open_connection("127.0.0.1", source.port)
            writer.write(cut)
            writer.close()
        await until(lambda: source.connections == 0, "all of them gone")
        began = time.monotonic()
        await send(source, good)
        assert time.monotonic() - began < 5
    assert [type(event) for event in one.events][-1:] == [ev.HandlerReport]

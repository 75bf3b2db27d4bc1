"""The HEP door over a real socket: who is heard, what is dropped, and that it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from asterisk_sip.calls import events as ev
from asterisk_sip.calls.sip_seen import SipSeen
from asterisk_sip.sources import hep_wire
from asterisk_sip.sources.hep import HepDoor, HepSettings, HepSource, dropped_by_kernel
from tests.hep_packets import packet, request, response
from tests.lab.wait import until

SETTINGS = HepSettings(listen_port=0, receive_buffer_kb=64, retry_min_s=0.01, retry_max_s=0.05)


class Ear:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.batches: list[list[ev.Event]] = []
        self.links: list[str] = []
        self.lost_messages: list[tuple[int, str]] = []
        self.datagrams: list[bytes] = []

    @property
    def lines(self) -> list[str]:
        return [event.message.line for batch in self.batches for event in batch if isinstance(event, SipSeen)]

    def heard(self, events: list[ev.Event]) -> None:
        self.batches.append(events)

    def link_up(self, version: str | None) -> None:
        assert version is None
        self.links.append("up")

    def link_down(self, reason: str) -> None:
        self.links.append(reason)

    def lost(self, count: int, reason: str) -> None:
        self.lost_messages.append((count, reason))

    def raw(self, data: bytes) -> None:
        self.datagrams.append(data)


@contextlib.asynccontextmanager
async def listening(
    *doors: HepDoor, settings: HepSettings = SETTINGS
) -> AsyncIterator[tuple[HepSource, socket.socket]]:
    source = HepSource(settings, doors)
    task = asyncio.create_task(source.run())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        await until(lambda: source.port is not None, "the socket bound")
        sender.connect(("127.0.0.1", source.port))
        yield source, sender
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_messages_come_in_order_each_datagram_kept_by_itself() -> None:
    ear = Ear()
    sent = [packet(request()), packet(response(100, "Trying")), packet(response(486, "Busy Here"))]
    async with listening(HepDoor("pbx1", ear)) as (_, sender):
        for data in sent:
            sender.send(data)
        await until(lambda: len(ear.lines) == 3, "three messages heard")
        assert ear.lines == ["INVITE sip:608@carrier.example", "100 Trying", "486 Busy Here"]
        assert ear.datagrams == [hep_wire.with_sender(data, "127.0.0.1") for data in sent]
        assert ear.batches[0][0].at == 1_790_000_000.25
    assert ear.links == ["up", "stopped listening"]
    assert ear.lost_messages == []


async def test_pbxs_that_share_an_address_are_told_apart_and_strangers_are_not_heard() -> None:
    one, two = Ear(), Ear()
    async with listening(HepDoor("one", one, 1), HepDoor("two", two, 2)) as (source, sender):
        for capture_id in (3, 2, 1):
            sender.send(packet(request("INVITE", str(capture_id)), capture_id=capture_id))
        await until(lambda: bool(one.lines), "the last one heard")
        assert one.lines == ["INVITE sip:1@carrier.example"]
        assert two.lines == ["INVITE sip:2@carrier.example"]
        assert source.foreign == 1


async def test_without_an_id_in_the_configuration_whoever_is_nobody_elses_is_heard() -> None:
    one, rest = Ear(), Ear()
    async with listening(HepDoor("one", one, 1), HepDoor("rest", rest)) as (_, sender):
        sender.send(packet(request("INVITE", "9"), capture_id=9))
        sender.send(packet(request("INVITE", "1"), capture_id=1))
        await until(lambda: bool(one.lines), "the last one heard")
        assert rest.lines == ["INVITE sip:9@carrier.example"]


async def test_a_wrong_capture_password_is_not_heard_and_the_right_one_is_kept_nowhere() -> None:
    ear = Ear()
    door = HepDoor("pbx1", ear, capture_password=b"right horse")
    with capture_logs() as logs:
        async with listening(door) as (_, sender):
            for password in (None, b"", b"right", b"wrong", b"right horse battery"):
                sender.send(packet(request(), password=password))
            sender.send(packet(request(), password=b"right horse"))
            await until(lambda: bool(ear.lines), "the right one heard")
    assert (len(ear.lines), door.wrong_password) == (1, 5)
    assert b"right horse" not in ear.datagrams[0]
    assert hep_wire.parse(ear.datagrams[0]).payload == hep_wire.parse(packet(request())).payload
    assert "right horse" not in repr((door, logs))
    assert [entry["event"] for entry in logs].count("packets with a wrong capture password are dropped") == 1


async def test_what_is_no_hep_and_no_sip_is_counted_and_told() -> None:
    ear = Ear()
    with capture_logs() as logs:
        async with listening(HepDoor("pbx1", ear)) as (source, sender):
            for data in (b"hello", b"\x02\x10\x02\x11" + bytes(40), packet(b"no SIP"), packet(b"{}", protocol=5)):
                sender.send(data)
            sender.send(packet(request()))
            await until(lambda: bool(ear.lines), "the good one heard")
            assert source.not_hep == 2
    assert ear.lost_messages == [(1, "SIP messages could not be read")]
    assert len([entry for entry in logs if entry["log_level"] == "warning"]) == 1


async def test_what_the_kernel_dropped_is_told_as_lost() -> None:
    ear = Ear()
    async with listening(HepDoor("pbx1", ear)) as (source, sender):
        await asyncio.sleep(0)
        for number in range(2_000):  # the loop has no turn meanwhile
            sender.send(packet(request("INVITE", str(number), "a1", "X: " + "x" * 1_000)))
        await until(lambda: len(ear.lines) > 10, "what the buffer held is heard")
    heard = len(ear.lines)
    assert heard < 2_000
    assert source.dropped == 2_000 - heard
    assert ear.lost_messages == [(2_000 - heard, "HEP datagrams came faster than they could be read")]


async def test_a_listener_that_raises_costs_only_what_it_was_told() -> None:
    class Deaf(Ear):
        def heard(self, events: list[ev.Event]) -> None:
            if not self.batches:
                self.batches.append([])
                raise RuntimeError("first one")
            super().heard(events)

    ear = Deaf()
    with capture_logs() as logs:
        async with listening(HepDoor("pbx1", ear)) as (source, sender):
            sender.send(packet(request("INVITE", "1")))
            await until(lambda: source.listener_errors == 1, "the first one failed")
            sender.send(packet(request("INVITE", "2")))
            await until(lambda: bool(ear.lines), "the second one heard")
    assert ear.lines == ["INVITE sip:2@carrier.example"]
    assert [entry["log_level"] for entry in logs].count("error") == 1


async def test_an_address_in_use_is_told_once_and_tried_again() -> None:
    ear = Ear()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        settings = HepSettings(listen_port=port, retry_min_s=0.01, retry_max_s=0.02)
        source = HepSource(settings, [HepDoor("pbx1", ear)])
        task = asyncio.create_task(source.run())
        await until(lambda: bool(ear.links), "the trouble told")
        assert ear.links == [f"127.0.0.1:{port}: Address already in use"]
    await until(lambda: ear.links[-1] == "up", "listening")
    assert len(ear.links) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_unknown_socket_has_dropped_nothing() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unbound:
        assert dropped_by_kernel(unbound) == 0

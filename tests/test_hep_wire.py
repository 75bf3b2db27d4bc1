"""HEPv3 datagrams: what a packet holds, and that no datagram does harm."""

from __future__ import annotations

import contextlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.sources import hep_wire
from tests.hep_packets import chunk, framed, packet


def test_a_packet_of_res_hep_is_read_whole() -> None:
    found = hep_wire.parse(packet(b"INVITE", capture_id=77, password=b"secret"))
    assert found.at == 1_790_000_000.25
    assert (found.src, found.dst) == (("192.0.2.77", 5062), ("192.0.2.10", 5060))
    assert (found.transport, found.protocol, found.capture_id) == (17, hep_wire.SIP, 77)
    assert (found.payload, found.password, found.correlation_id) == (b"INVITE", b"secret", b"correlation")


def test_ipv6_and_ipv4_inside_ipv6() -> None:
    found = hep_wire.parse(packet(b"x", ("2001:db8::1", 5060), ("::ffff:192.0.2.10", 5060)))
    assert (found.src[0], found.dst[0]) == ("2001:db8::1", "192.0.2.10")


def test_a_packed_payload_is_unpacked_and_never_too_large() -> None:
    assert hep_wire.parse(packet(b"INVITE" * 100, packed=True)).payload == b"INVITE" * 100
    assert len(hep_wire.parse(packet(bytes(hep_wire.MAX_PAYLOAD_BYTES), packed=True)).payload) == 65_536
    with pytest.raises(hep_wire.PacketError, match="too large"):
        hep_wire.parse(packet(bytes(50_000_000), packed=True))
    cut = framed(hep_wire_head() + chunk(16, zlib.compress(b"INVITE" * 100)[:-6]))
    with pytest.raises(hep_wire.PacketError, match="cut off"):
        hep_wire.parse(cut)


def test_chunks_of_vendors_and_unknown_ones_are_passed_over() -> None:
    data = packet(b"INVITE")[6:] + chunk(15, b"another payload", vendor=3) + chunk(0x13, b"named agent")
    assert hep_wire.parse(framed(data)).payload == b"INVITE"


def test_the_password_is_in_no_text() -> None:
    found = hep_wire.parse(packet(b"INVITE sip:1", password=b"hunter2"))
    assert "hunter2" not in repr(found)
    assert "INVITE" not in repr(found)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no HEP packet"),
        (b"\x01\x10\x02\x11" + bytes(40), "version 1 is not read"),
        (b"\x02\x10\x02\x11" + bytes(40), "version 2 is not read"),
        (b"HEP3", "not as long as it says"),
        (b"HEP3\x00\xff", "not as long as it says"),
        (packet(b"INVITE")[:-1], "not as long as it says"),
        (packet(b"INVITE") + b"x", "not as long as it says"),
        (framed(b"\x00\x00\x00\x01\x00\x00"), "a chunk is not as long"),
        (framed(b"\x00\x00\x00\x01\x00\x05x"), "a chunk is not as long"),
        (framed(b"\x00\x00"), "a chunk is not as long"),
        (framed(chunk(1, b"\x02\x02")), "is missing"),
        (framed(b""), "is missing"),
    ],
)
def test_what_is_no_packet_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(hep_wire.PacketError, match=reason):
        hep_wire.parse(data)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 7, 8, 9, 10, 11])
def test_a_chunk_of_a_wrong_length_is_refused(kind: int) -> None:
    with pytest.raises(hep_wire.PacketError):
        hep_wire.parse(framed(packet(b"INVITE")[6:] + chunk(kind, b"12345")))
    with pytest.raises(hep_wire.PacketError):
        hep_wire.parse(framed(packet(b"INVITE")[6:] + chunk(kind, b"")))


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(noise: bytes) -> None:
    for data in (noise, framed(noise), framed(packet(b"INVITE")[6:] + noise), packet(b"x")[:40] + noise):
        try:
            hep_wire.parse(data)
        except hep_wire.PacketError:
            continue


@given(st.data())
def test_a_packet_with_changed_bytes_raises_nothing_else(data: st.DataObject) -> None:
    good = bytearray(packet(b"INVITE sip:608@acme SIP/2.0\r\n", packed=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(hep_wire.PacketError):
        assert len(hep_wire.parse(bytes(good)).payload) <= hep_wire.MAX_PAYLOAD_BYTES


def hep_wire_head() -> bytes:
    """The chunks of a packet up to its payload."""
    whole = packet(b"")
    return whole[6 : -len(chunk(15, b""))]


def test_a_second_has_a_million_microseconds() -> None:
    with pytest.raises(hep_wire.PacketError, match="microseconds"):
        hep_wire.parse(framed(packet(b"")[6:] + chunk(10, struct.pack("!I", 1_000_000))))

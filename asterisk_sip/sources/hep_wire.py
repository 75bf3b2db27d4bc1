"""HEPv3 datagrams to packets, and to the SIP messages in them. Pure.

Format ("Homer Encapsulation Protocol", HEP3; what is sent: Asterisk res/res_hep.c ``hepv3_send_packet``): the letters
``HEP3``, the length of all, then chunks. A chunk is vendor, type and length (16 bits each, the length with these six
bytes in it), then its value. All numbers are big-endian.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from asterisk_sip.calls.sip_seen import SipSeen
from asterisk_sip.sources import sip_wire

SIP = 1
"""The protocol type of SIP; RTCP as JSON is 5 (res_hep_rtcp)."""

MAX_PAYLOAD_BYTES = 1 << 16
"""How large a payload may be when unpacked: as large as the largest datagram."""

_MAGIC = b"HEP3"
_HEAD = 6
_OLDER = {1: "1", 2: "2"}
_LONGEST = 0xFFFF  # what the length of a packet can say
_OUR_CHUNK = b"\xa5\x1b\x00\x01"  # a vendor that nobody has, type 1
_IPV4, _IPV6 = 2, 10  # address families as Linux numbers them

_FAMILY, _TRANSPORT, _SRC4, _DST4, _SRC6, _DST6, _SRC_PORT, _DST_PORT = range(1, 9)
_SECONDS, _MICROSECONDS, _PROTOCOL, _CAPTURE_ID = 9, 10, 11, 12
_PASSWORD, _PAYLOAD, _PACKED_PAYLOAD, _CORRELATION_ID = 14, 15, 16, 17
_LENGTHS = {
    _FAMILY: 1,
    _TRANSPORT: 1,
    _SRC4: 4,
    _DST4: 4,
    _SRC6: 16,
    _DST6: 16,
    _SRC_PORT: 2,
    _DST_PORT: 2,
    _SECONDS: 4,
    _MICROSECONDS: 4,
    _PROTOCOL: 1,
    _CAPTURE_ID: 4,
}


class PacketError(ValueError):
    """A datagram is no HEPv3 packet, or not a whole one. Its text never holds what the datagram held."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What one datagram holds. ``at`` is seconds since 1970 by the sender's clock.

    ``transport`` is the number of the IP protocol: 17 UDP, 6 TCP (TLS too).
    """

    at: float
    src: tuple[str, int]
    dst: tuple[str, int]
    transport: int
    protocol: int
    capture_id: int
    payload: bytes = field(repr=False)
    password: bytes | None = field(default=None, repr=False)
    correlation_id: bytes | None = None


def parse(data: bytes) -> Packet:
    """Return the packet in a datagram. Raises PacketError, and nothing else, whatever the bytes are."""
    chunks = _chunks(data)
    microseconds = _number(chunks, _MICROSECONDS)
    if microseconds >= 1_000_000:
        raise PacketError("a second has less than 1000000 microseconds")
    return Packet(
        at=_number(chunks, _SECONDS) + microseconds / 1_000_000,
        src=_address(chunks, _SRC4, _SRC6, _SRC_PORT),
        dst=_address(chunks, _DST4, _DST6, _DST_PORT),
        transport=_number(chunks, _TRANSPORT),
        protocol=_number(chunks, _PROTOCOL),
        capture_id=_number(chunks, _CAPTURE_ID),
        payload=_payload(chunks),
        password=chunks.get(_PASSWORD),
        correlation_id=chunks.get(_CORRELATION_ID),
    )


class Reader:
    """Turns datagrams into what the core hears. ``unreadable`` counts those that hold no SIP message one can use."""

    def __init__(self) -> None:
        self.unreadable = 0

    def feed(self, data: bytes, sender: str | None = None) -> list[SipSeen]:
        """Take one datagram, of the host ``sender``; return the SIP message in it, or nothing."""
        try:
            return self.read(parse(data), sender)
        except PacketError:
            self.unreadable += 1
            return []

    def read(self, packet: Packet, sender: str | None = None) -> list[SipSeen]:
        """Take a packet; return the SIP message in it, or nothing."""
        if packet.protocol != SIP:
            return []
        try:
            message = sip_wire.parse(packet.payload)
        except sip_wire.MessageError:
            self.unreadable += 1
            return []
        return [SipSeen(packet.at, message, packet.src, packet.dst, packet.transport, sender)]


def without_password(data: bytes) -> bytes:
    """Return a whole packet with zeros for its capture password, so that it may be kept. Raises PacketError."""
    secret = _chunks(data).get(_PASSWORD)
    if not secret:
        return data
    start = _HEAD
    clean = bytearray(data)
    while start < len(data):
        end = start + int.from_bytes(data[start + 4 : start + 6], "big")
        if data[start : start + 4] == bytes((0, 0, 0, _PASSWORD)):
            clean[start + _HEAD : end] = bytes(end - start - _HEAD)
        start = end
    return bytes(clean)


def with_sender(data: bytes, sender: str) -> bytes:
    """Return a packet that also tells which host sent it, in a chunk of our own: ``parse`` passes that over."""
    chunk = sender.encode("ascii", "replace")[:64]
    chunk = _OUR_CHUNK + (_HEAD + len(chunk)).to_bytes(2, "big") + chunk
    if len(data) + len(chunk) > _LONGEST:
        return data
    return data[:4] + (len(data) + len(chunk)).to_bytes(2, "big") + data[6:] + chunk


def sender_of(data: bytes) -> str | None:
    """Return the sender that ``with_sender`` put into a packet, None when there is none."""
    start = data.rfind(_OUR_CHUNK)
    return data[start + _HEAD :].decode("ascii", "replace") if start >= 0 else None


def _chunks(data: bytes) -> dict[int, bytes]:
    """Return the generic chunks by type (of two alike the last); vendors' own (vendor not 0) are passed over."""
    if data[:4] != _MAGIC:
        older = _OLDER.get(data[0]) if data else None
        if older is not None:
            raise PacketError(f"HEP version {older} is not read: let the sender use version 3")
        raise PacketError("no HEP packet")
    if len(data) < _HEAD or int.from_bytes(data[4:6], "big") != len(data):
        raise PacketError("the packet is not as long as it says")
    chunks: dict[int, bytes] = {}
    start = _HEAD
    while start < len(data):
        end = start + int.from_bytes(data[start + 4 : start + 6], "big")
        if end < start + _HEAD or end > len(data):
            raise PacketError("a chunk is not as long as it says")
        if data[start] == data[start + 1] == 0:
            chunks[int.from_bytes(data[start + 2 : start + 4], "big")] = data[start + _HEAD : end]
        start = end
    return chunks


def _number(chunks: dict[int, bytes], kind: int) -> int:
    value = chunks.get(kind)
    if value is None:
        if kind == _CAPTURE_ID:
            return 0
        raise PacketError(f"chunk {kind} is missing")
    if len(value) != _LENGTHS[kind]:
        raise PacketError(f"chunk {kind} has a wrong length")
    return int.from_bytes(value, "big")


def _address(chunks: dict[int, bytes], ipv4: int, ipv6: int, port: int) -> tuple[str, int]:
    """Return host and port; an IPv4 address inside IPv6 (``::ffff:192.0.2.1``) as what it is."""
    family = _number(chunks, _FAMILY)
    if family == _IPV4:
        return str(IPv4Address(_number(chunks, ipv4))), _number(chunks, port)
    if family != _IPV6:
        raise PacketError("an address that is neither IPv4 nor IPv6")
    address = IPv6Address(_number(chunks, ipv6))
    return str(address.ipv4_mapped or address), _number(chunks, port)


def _payload(chunks: dict[int, bytes]) -> bytes:
    plain = chunks.get(_PAYLOAD)
    if plain is not None:
        return plain
    packed = chunks.get(_PACKED_PAYLOAD)
    if packed is None:
        raise PacketError("there is no payload")
    unpacker = zlib.decompressobj()
    try:
        payload = unpacker.decompress(packed, MAX_PAYLOAD_BYTES)
    except zlib.error as error:
        raise PacketError("the payload cannot be unpacked") from error
    if not unpacker.eof:
        raise PacketError("the payload is cut off, or too large when unpacked")
    return payload

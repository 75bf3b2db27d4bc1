"""HEPv3 packets and SIP messages for tests, built by hand: shares no code with the product."""

from __future__ import annotations

import struct
import zlib
from ipaddress import ip_address

from asterisk_sip.calls.sip_seen import SipSeen
from asterisk_sip.sources import sip_wire

PBX = ("192.0.2.10", 5060)
CALLER = ("192.0.2.77", 5062)
CARRIER = ("198.51.100.5", 5060)


def chunk(kind: int, value: bytes, vendor: int = 0) -> bytes:
    return struct.pack("!HHH", vendor, kind, 6 + len(value)) + value


def framed(chunks: bytes) -> bytes:
    return b"HEP3" + struct.pack("!H", 6 + len(chunks)) + chunks


def packet(
    payload: bytes,
    src: tuple[str, int] = CALLER,
    dst: tuple[str, int] = PBX,
    at: float = 1_790_000_000.25,
    *,
    capture_id: int = 1,
    password: bytes | None = None,
    packed: bool = False,
    transport: int = 17,
    protocol: int = 1,
) -> bytes:
    """One datagram as res_hep sends it."""
    source, target = ip_address(src[0]), ip_address(dst[0])
    ipv4 = source.version == 4
    parts = [
        chunk(1, bytes([2 if ipv4 else 10])),
        chunk(2, bytes([transport])),
        chunk(3 if ipv4 else 5, source.packed),
        chunk(4 if ipv4 else 6, target.packed),
        chunk(7, struct.pack("!H", src[1])),
        chunk(8, struct.pack("!H", dst[1])),
        chunk(9, struct.pack("!I", int(at))),
        chunk(10, struct.pack("!I", round(at % 1 * 1_000_000))),
        chunk(11, bytes([protocol])),
        chunk(12, struct.pack("!I", capture_id)),
        chunk(14, password) if password is not None else b"",
        chunk(17, b"correlation"),
        chunk(16, zlib.compress(payload)) if packed else chunk(15, payload),
    ]
    return framed(b"".join(parts))


def request(
    method: str = "INVITE",
    user: str = "608",
    call_id: str = "a1",
    *more: str,
    cseq: int = 1,
    tag: str = "from1",
    to_tag: str | None = None,
    branch: str = "z9hG4bK1",
) -> bytes:
    to = f"<sip:{user}@carrier.example>" + (f";tag={to_tag}" if to_tag else "")
    lines = [
        f"{method} sip:{user}@carrier.example SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.77:5062;branch={branch}",
        f'From: "Anna" <sip:5550100@caller.example>;tag={tag}',
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def response(
    status: int,
    phrase: str = "Some Phrase",
    call_id: str = "a1",
    *more: str,
    cseq: int = 1,
    method: str = "INVITE",
    tag: str = "from1",
    to_tag: str | None = "to1",
) -> bytes:
    lines = [
        f"SIP/2.0 {status} {phrase}",
        "Via: SIP/2.0/UDP 192.0.2.77:5062;branch=z9hG4bK1",
        f'From: "Anna" <sip:5550100@caller.example>;tag={tag}',
        "To: <sip:608@carrier.example>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def seen(
    at: float,
    message: bytes,
    src: tuple[str, int] = PBX,
    dst: tuple[str, int] = CARRIER,
    *,
    transport: int = 17,
    sender: str | None = None,
) -> SipSeen:
    """A message as the core hears of it."""
    return SipSeen(at, sip_wire.parse(message), src, dst, transport, sender)

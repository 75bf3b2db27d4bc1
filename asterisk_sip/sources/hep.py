"""The HEP door: one UDP socket to which PBXs send a copy of every SIP message, handed on in order.

Nothing is asked of a PBX and nothing is answered. What the kernel had to drop is told as lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import LinkLostError
from asterisk_sip.retry import Backoff
from asterisk_sip.sources import hep_wire
from asterisk_sip.sources.keeper import address_had
from asterisk_sip.sources.listener import Listener, Teller

MAX_DATAGRAM_BYTES = 65_535
BATCH = 256  # datagrams read before others get a turn
WATCH_EVERY_S = 5.0
SILENT_AFTER_S = 600.0
SO_RCVBUFFORCE = 33  # Linux: root may go over net.core.rmem_max; Python has no name for it


@dataclass(frozen=True, slots=True)
class HepSettings:
    """Where to listen, and how much the kernel may hold for us."""

    listen_host: str = "127.0.0.1"
    listen_port: int = 9060
    receive_buffer_kb: int = 4_096
    retry_min_s: float = 1.0
    retry_max_s: float = 60.0


@dataclass(slots=True)
class HepDoor:
    """One PBX that sends to the socket: known by its capture id; None takes what is nobody else's.

    ``silent_since`` is when something last came, or when we began to listen (monotonic seconds).
    """

    pbx: str
    listener: Listener
    capture_id: int | None = None
    capture_password: bytes | None = field(default=None, repr=False)
    reader: hep_wire.Reader = field(default_factory=hep_wire.Reader)
    packets: int = 0
    wrong_password: int = 0
    silent_since: float = 0.0
    _told: set[str] = field(default_factory=set)

    def tell_once(self, log: structlog.typing.FilteringBoundLogger, what: str, **details: Any) -> None:
        """Warn of something the first time it happens."""
        if what not in self._told:
            self._told.add(what)
            log.warning(what, pbx=self.pbx, **details)


class HepSource:
    """Listens on one address for one PBX or several."""

    def __init__(self, settings: HepSettings, doors: Sequence[HepDoor]) -> None:
        self._settings = settings
        self.doors = tuple(doors)
        self._by_id = {door.capture_id: door for door in doors}
        self._log = structlog.get_logger(__name__).bind(door="hep", pbx=[door.pbx for door in doors])
        self._socket: socket.socket | None = None
        self.dropped = 0  # datagrams that the kernel had no room for
        self.not_hep = 0
        self.foreign = 0  # packets with a capture id that is nobody's
        self._teller = Teller(self._log)

    @property
    def listener_errors(self) -> int:
        """How many calls of listeners raised."""
        return self._teller.listener_errors

    @property
    def port(self) -> int | None:
        """The port listened on, None as long as there is none."""
        return self._socket.getsockname()[1] if self._socket is not None else None

    async def run(self) -> None:
        """Listen until cancelled. An address that cannot be had is tried again, ever more seldom."""
        backoff = Backoff(self._settings.retry_min_s, self._settings.retry_max_s)
        await self._listen(await address_had(self._bind, self._link_down, self._log, backoff))

    async def _bind(self) -> socket.socket:
        return await _open(self._settings)

    async def _listen(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._socket = sock
        granted_kb = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2048  # Linux tells twice what it gives
        host, port = sock.getsockname()[:2]
        self._log.info("listening", host=host, port=port, receive_buffer_kb=granted_kb)
        if granted_kb < self._settings.receive_buffer_kb:
            self._log.warning("the kernel gives a smaller receive buffer", hint="raise net.core.rmem_max")
        for door in self.doors:
            door.silent_since = time.monotonic()
            self._teller.tell(door.listener.link_up, None)
        loop.add_reader(sock.fileno(), self._readable)
        try:
            await self._watch(sock)
        finally:
            loop.remove_reader(sock.fileno())
            self._readable()
            self._count_drops(sock)
            self._socket = None
            sock.close()
            self._link_down("stopped listening")

    def _readable(self) -> None:
        """Take what waits in the socket, up to a bound; tell each PBX's listener once."""
        sock = self._socket
        if sock is None:
            return
        heard: dict[str, tuple[HepDoor, list[ev.Event]]] = {}
        for _ in range(BATCH):
            try:
                data, sender = sock.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError:  # an ICMP error to a socket that never sends is nobody's business
                continue
            self._take(data, sender[0], heard)
        for door, events in heard.values():
            self._teller.tell(door.listener.heard, events)

    def _take(self, data: bytes, sender: str, heard: dict[str, tuple[HepDoor, list[ev.Event]]]) -> None:
        try:
            packet = hep_wire.parse(data)
        except hep_wire.PacketError as error:
            self.not_hep += 1
            if self.not_hep == 1:
                self._log.warning("a datagram that cannot be read (told once)", reason=str(error), sender=sender)
            return
        door = self._by_id.get(packet.capture_id) or self._by_id.get(None)
        if door is None:
            self.foreign += 1
            if self.foreign == 1:
                self._log.warning("nobody's capture id (told once)", capture_id=packet.capture_id, sender=sender)
            return
        if door.capture_password is not None and not hmac.compare_digest(packet.password or b"", door.capture_password):
            door.wrong_password += 1
            door.tell_once(self._log, "packets with a wrong capture password are dropped", sender=sender)
            return
        door.packets += 1
        door.silent_since = time.monotonic()
        self._teller.tell(door.listener.raw, hep_wire.with_sender(hep_wire.without_password(data), sender))
        events = door.reader.read(packet, sender)
        if events:
            heard.setdefault(door.pbx, (door, []))[1].extend(events)

    async def _watch(self, sock: socket.socket) -> None:
        """Tell what was lost and who is silent, for ever."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            self._count_drops(sock)
            now = time.monotonic()
            for door in self.doors:
                if now - door.silent_since > SILENT_AFTER_S:
                    hint = "is hep.conf enabled, with this address and capture_id, and res_hep_pjsip loaded?"
                    door.tell_once(self._log, "no SIP message came for long (told once)", hint=hint)

    def _count_drops(self, sock: socket.socket) -> None:
        dropped = dropped_by_kernel(sock)
        fresh, self.dropped = dropped - self.dropped, max(dropped, self.dropped)
        for door in self.doors:
            if fresh > 0:
                self._teller.tell(door.listener.lost, fresh, "HEP datagrams came faster than they could be read")
            unreadable, door.reader.unreadable = door.reader.unreadable, 0
            if unreadable:
                self._teller.tell(door.listener.lost, unreadable, "SIP messages could not be read")

    def _link_down(self, reason: str) -> None:
        for door in self.doors:
            self._teller.tell(door.listener.link_down, reason)


def dropped_by_kernel(sock: socket.socket) -> int:
    """Return how many datagrams the kernel dropped at a UDP socket; 0 where it does not tell (no /proc)."""
    inode = str(os.fstat(sock.fileno()).st_ino)
    table = Path("/proc/self/net/udp6" if sock.family == socket.AF_INET6 else "/proc/self/net/udp")
    with contextlib.suppress(OSError, ValueError):
        for line in table.read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 12 and fields[9] == inode:
                return int(fields[12])
    return 0


async def _open(settings: HepSettings) -> socket.socket:
    """Return a bound socket. Raises LinkLostError when the address cannot be had."""
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(settings.listen_host, settings.listen_port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise LinkLostError(f"{settings.listen_host}:{settings.listen_port}: {error.strerror or error}") from error
    try:
        sock.setblocking(False)
        wanted = settings.receive_buffer_kb * 1024
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, wanted)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise LinkLostError(f"{settings.listen_host}:{settings.listen_port}: {error.strerror or error}") from error
    return sock

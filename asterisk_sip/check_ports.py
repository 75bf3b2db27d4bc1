"""Listens for a while at a port of ours where Asterisk should come to: AGI (TCP) and HEP (UDP).

A port that is taken is left alone: most likely the daemon has it, and nothing may be taken from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable

from asterisk_sip.check_remark import Level, Remark

ENOUGH = 20
"""So many datagrams show all there is to see."""

HEAD_BYTES = 8192
HEAD_S = 2.0


class Datagrams(asyncio.DatagramProtocol):
    """Keeps the first datagrams that come."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.enough = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take a datagram."""
        del addr
        self.heard.append(data)
        if len(self.heard) >= ENOUGH:
            self.enough.set()


async def datagrams(host: str, port: int, wait_s: float) -> list[bytes]:
    """Return what comes to a UDP port in ``wait_s`` seconds, ``ENOUGH`` at most. Raises OSError when it is taken."""
    loop = asyncio.get_running_loop()
    transport, heard = await loop.create_datagram_endpoint(Datagrams, local_addr=(host, port))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await heard.enough.wait()
    finally:
        transport.close()
    return heard.heard[:ENOUGH]


async def first_head(host: str, port: int, wait_s: float) -> list[str] | None:
    """Return the lines that the first caller of a TCP port sends up to an empty one; None when nobody calls in time.

    The connection is closed then, unanswered. Raises OSError, as when the port is taken.
    """
    first: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(HEAD_S):
                head = await _head(reader)
            if not first.done():
                first.set_result(head.decode("utf-8", "replace").splitlines())
        writer.close()

    server = await asyncio.start_server(answer, host, port, limit=HEAD_BYTES)
    try:
        async with asyncio.timeout(wait_s):
            return await first
    except TimeoutError:
        return None
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Return what comes up to an empty line, as AGI (LF) and HTTP (CR LF) end theirs."""
    head = b""
    while not head.endswith((b"\n\n", b"\r\n\r\n")) and len(head) < HEAD_BYTES:
        head += await reader.readuntil(b"\n")
    return head


async def look_at_port(
    what: str, host: str, port: int, *, running: bool, look: Callable[[], Awaitable[list[Remark]]]
) -> tuple[list[Remark], bool | None]:
    """Look at a port; return the remarks, and whether something came: None when the port was not ours to look at.

    ``running``: the daemon listens to this PBX now.
    """
    try:
        remarks = await look()
    except OSError as error:
        return [_not_ours(what, f"{host}:{port}", error, running=running)], None
    return remarks, any(remark.level is Level.OK for remark in remarks)


def _not_ours(what: str, where: str, error: OSError, *, running: bool) -> Remark:
    if error.errno == errno.EADDRINUSE and running:
        return Remark(Level.OK, f"{what}: {where} is taken by the running asterisk-sip, it seems; it is left alone")
    if error.errno == errno.EADDRINUSE:
        text = f"{what}: {where} is taken by another program, so asterisk-sip cannot listen there. Change listen_port."
        return Remark(Level.PROBLEM, text)
    if error.errno == errno.EADDRNOTAVAIL:
        return Remark(Level.PROBLEM, f"{what}: {where} is no address of this machine. Change listen_host.")
    return Remark(Level.PROBLEM, f"{what}: nothing can listen at {where}: {error.strerror or error}")

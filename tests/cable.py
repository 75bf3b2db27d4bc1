"""What lies between the companion and a port of the PBX, and can be cut."""

from __future__ import annotations

import asyncio
from typing import Self


class Cable:
    """Leads to a TCP port, through one of its own that stays the same."""

    def __init__(self, host: str, port: int) -> None:
        self._far = (host, port)
        self.host = host
        self.port = 0
        self._server: asyncio.Server | None = None
        self._ends: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def plug(self) -> None:
        """Let everybody through."""
        self._server = await asyncio.start_server(self._lead, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End every connection, and let nobody through any more."""
        assert self._server is not None
        self._server.close()
        ends, self._ends = self._ends, []
        for end in ends:
            end.close()
        await asyncio.gather(*(end.wait_closed() for end in ends), return_exceptions=True)

    async def _lead(self, mine: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        theirs, asks = await asyncio.open_connection(*self._far)
        self._ends += [answers, asks]
        await asyncio.gather(_copy(mine, asks), _copy(theirs, answers), return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        sink.write(data)
    sink.close()

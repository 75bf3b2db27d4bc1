"""A recorder of ARI events of the lab's own: each text frame as one line of a file."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import BinaryIO, Self

import aiohttp

from tests.lab.asterisk import Asterisk


class AriRecorder:
    """Hears all that one PBX says over ARI, as the read-only user of the product."""

    def __init__(self, pbx: Asterisk, path: Path) -> None:
        self.counts: Counter[str] = Counter()
        self._pbx = pbx
        self._file: BinaryIO = path.open("wb")
        self._open = contextlib.AsyncExitStack()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        user, pbx = self._pbx.companion, self._pbx
        headers = {"Authorization": aiohttp.encode_basic_auth(user.name, user.secret)}
        session = await self._open.enter_async_context(
            aiohttp.ClientSession(
                f"http://{pbx.host}:{pbx.ports.http}", headers=headers, timeout=aiohttp.ClientTimeout(total=10)
            )
        )
        socket = await session.ws_connect("/ari/events?app=recorder&subscribeAll=true")
        self._open.push_async_callback(socket.close)
        self._reading = asyncio.create_task(self._read(socket))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()
        if self._reading is not None:
            await self._reading
        self._file.close()

    @property
    def quiet(self) -> bool:
        """Whether every channel that came has gone."""
        return self.counts["ChannelCreated"] == self.counts["ChannelDestroyed"]

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            self._file.write(frame.data.encode() + b"\n")
            self.counts[json.loads(frame.data)["type"]] += 1

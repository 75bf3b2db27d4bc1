"""An Asterisk that connects to us, as `type = outbound_websocket` of 22.10.1 does."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Self

import aiohttp

from tests.ari_server import AT, SECRET, event


class OutboundAsterisk:
    """One connection. ``answers`` tells what the GETs give; a number is a status, None is silence."""

    def __init__(self, port: int, path: str = "pbx1", username: str = "asterisk-sip", password: str = SECRET) -> None:
        self._url = f"http://127.0.0.1:{port}/{path}"
        self._headers = {"Authorization": aiohttp.encode_basic_auth(username, password)}
        self._session: aiohttp.ClientSession | None = None
        self._answering: asyncio.Task[None] | None = None
        self.socket: aiohttp.ClientWebSocketResponse
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {
            "asterisk/info?only=system": {"system": {"version": "22.10.1+dfsg"}},
            "channels": [],
            "bridges": [],
        }

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self, *, autoping: bool = True) -> Self:
        """Connect and answer questions; raise WSServerHandshakeError when we are refused."""
        self._session = aiohttp.ClientSession()
        try:
            self.socket = await self._session.ws_connect(
                self._url, headers=self._headers, protocols=("ari",), autoping=autoping
            )
        except BaseException:
            await self._session.close()
            raise
        self._answering = asyncio.create_task(self._answer())
        await self.send(event("ApplicationRegistered"))
        return self

    async def send(self, *messages: dict[str, Any]) -> None:
        """Send events."""
        for message in messages:
            await self.socket.send_str(json.dumps(message))

    async def close(self) -> None:
        """Close the connection."""
        if self._answering is not None:
            self._answering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._answering
        if self._session is not None:
            await self.socket.close()
            await self._session.close()

    async def ended(self) -> None:
        """Wait until the other side has closed."""
        assert self._answering is not None
        await asyncio.wait_for(asyncio.shield(self._answering), 10)

    async def _answer(self) -> None:
        async for message in self.socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            question = json.loads(message.data)
            assert question["type"] == "RESTRequest"
            assert question["method"] == "GET"
            self.asked.append(question["uri"])
            answer = self.answers[question["uri"]]
            if answer is None:
                continue
            status = answer if isinstance(answer, int) else 200
            await self.send(
                {
                    "type": "RESTResponse",
                    "transaction_id": question["transaction_id"],
                    "request_id": question["request_id"],
                    "status_code": status,
                    "reason_phrase": "OK" if status == 200 else "Nope",
                    "uri": question["uri"].partition("?")[0],
                    "content_type": "application/json",
                    "message_body": json.dumps(answer),
                    "application": "asterisk-sip",
                    "timestamp": AT,
                    "asterisk_id": "x",
                }
            )

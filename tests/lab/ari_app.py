"""A small ARI application of the lab's own: hears what enters it, and asks for what a scenario needs."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import aiohttp

from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.wait import until

APP = "lab"


class AriApp:
    """The application ``lab``: ``async with AriApp(lab) as app: await app.post("channels", endpoint="PJSIP/bob")``."""

    def __init__(self, lab: Lab) -> None:
        self._root = f"http://{lab.pbx.host}:{lab.pbx.ports.http}/ari"
        self._auth = aiohttp.BasicAuth(lab.pbx.lab.name, lab.pbx.lab.secret)
        self.events: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auth=self._auth)
        self._socket = await self._session.ws_connect(f"{self._root}/events?app={APP}&subscribeAll=false")
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await self._socket.close()
        await self._session.close()

    async def post(self, path: str, **fields: str) -> dict[str, Any]:
        """Ask for something; give the answer."""
        return await self._ask("POST", path, fields)

    async def delete(self, path: str, **fields: str) -> None:
        """End a channel or a bridge."""
        await self._ask("DELETE", path, fields)

    async def entered(self, name: str) -> str:
        """Wait until a channel whose name begins so enters the application; give its id."""

        def found() -> str:
            starts = [event["channel"] for event in self.events if event["type"] == "StasisStart"]
            return next((channel["id"] for channel in starts if channel["name"].startswith(name)), "")

        await until(found, f"{name} in the application")
        return found()

    async def gone(self, channel: str) -> None:
        """Wait until a channel is destroyed."""
        await until(
            lambda: any(
                event["type"] in ("ChannelDestroyed", "StasisEnd") and event["channel"]["id"] == channel
                for event in self.events
            ),
            f"{channel} is gone",
        )

    async def _ask(self, method: str, path: str, fields: dict[str, str]) -> dict[str, Any]:
        async with self._session.request(method, f"{self._root}/{path}", params=fields) as answer:
            if answer.status >= 400:
                raise LabError(f"{method} {path}: {answer.status} {await answer.text()}")
            return {} if answer.status == 204 else dict(await answer.json())

    async def _read(self) -> None:
        async for message in self._socket:
            self.events.append(message.json())

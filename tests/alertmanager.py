"""A real Alertmanager of the tests' own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from .lab.errors import NotYetError
from .played import free_port
from .prometheus import needed

WITHIN_S = 30.0


class Alertmanager:
    """A server that groups nothing and tells nobody: its API says which alerts it has."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def alerts(self) -> list[dict[str, Any]] | None:
        """Return the alerts that fire, None while it does not answer."""
        try:
            async with self._session.get(f"{self.url}/api/v2/alerts") as response:
                found: list[dict[str, Any]] = await response.json()
        except aiohttp.ClientError:
            return None
        return found

    async def has(self, count: int) -> list[dict[str, Any]]:
        """Wait until it has so many alerts that fire; return them."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    found = await self.alerts()
                    if found is not None and len(found) == count:
                        return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise NotYetError(f"not within {WITHIN_S:g} s: {count} alerts; there are {await self.alerts()}") from None


@contextlib.asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[Alertmanager]:
    """Run it, as long as the body does."""
    config = folder / "alertmanager.yml"  # JSON is YAML
    config.write_text(json.dumps({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        needed("prometheus-alertmanager", "prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    )
    try:
        async with aiohttp.ClientSession() as session:
            server = Alertmanager(f"http://127.0.0.1:{port}", session)
            await server.has(0)
            yield server
    finally:
        process.terminate()
        await process.wait()

"""Debian's Prometheus and its tool, as they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from .played import free_port


def needed(name: str, package: str = "prometheus") -> str:
    """Return the path of a program of a package of Debian; without it, fail in CI and skip elsewhere."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not there: apt-get install {package}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def promtool(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool to its end."""
    command = [needed("promtool"), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)


class Prometheus:
    """A server of the tests' own that scrapes one address all the time."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def ask(self, path: str, **asked: str) -> Any:
        """Return the data of an answer of its API; None while it does not answer."""
        try:
            async with self._session.get(f"{self.url}/api/v1/{path}", params=asked) as response:
                told = await response.json()
        except aiohttp.ClientError:
            return None
        assert told["status"] == "success", f"{asked}: {told.get('error')}"
        return told["data"]

    async def is_ready(self) -> None:
        """Wait until it answers."""
        while True:
            if await self.ask("query", query="vector(1)") is not None:
                return
            await asyncio.sleep(0.1)

    async def numbers(self, query: str) -> list[float]:
        """Return the values that a query gives now, those that are numbers."""
        found = await self.ask("query", query=query)
        values = [float(each["value"][1]) for each in found["result"]]
        return [value for value in values if not math.isnan(value)]


@contextlib.asynccontextmanager
async def prometheus(folder: Path, target: str, rules: Path) -> AsyncIterator[Prometheus]:
    """Run it, as long as the body does."""
    await asyncio.to_thread(folder.mkdir)
    scrape = {"job_name": "asterisk-sip", "static_configs": [{"targets": [target]}]}
    every = {"scrape_interval": "250ms", "evaluation_interval": "1s"}
    config = folder / "prometheus.yml"  # JSON is YAML
    config.write_text(json.dumps({"global": every, "rule_files": [str(rules)], "scrape_configs": [scrape]}))
    port = free_port()
    command = [
        needed("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(120):
            server = Prometheus(f"http://127.0.0.1:{port}", session)
            await server.is_ready()
            yield server
    finally:
        process.terminate()
        await process.wait()

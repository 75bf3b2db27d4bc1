"""The whole program as a process, hearing the recording of `make run` played fast; and its web address."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import aiohttp

from asterisk_sip import demo

from .companions import Program

FASTER = 40
PAUSE_S = 0.3  # between two rounds
CONFIG = """
[[pbx]]
name = "pbx1"

[pbx.ami]
port = {pbx.port}
username = "{pbx.username}"
retry_min_s = 0.05
retry_max_s = 0.2

[[trunk]]
name = "acme"
endpoints = ["acme", "acme-*"]

[[trunk]]
name = "globex"
endpoints = ["globex"]

[[trunk]]
name = "others"
endpoints = ["hooli", "umbrella"]

[store]
path = "calls.db"

[web]
port = {port}
"""
ALERT = """
[[alerts]]
name = "trunk-congested"
kind = "share"
filter = { code = 503 }
threshold = 0.9
window_s = 60
"""


class Pbx(Protocol):
    """Who answers as Asterisk does."""

    port: int
    username: str
    secret: str


@dataclass
class Site:
    """What the program serves."""

    program: Program
    url: str
    session: aiohttp.ClientSession
    environ: dict[str, str]

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        """Return status, content type and text of an answer; (0, "", "") when nobody answers."""
        try:
            async with self.session.get(self.url + path, headers=headers) as response:
                return response.status, response.headers["Content-Type"], await response.text()
        except aiohttp.ClientError:
            return 0, "", ""

    async def ready(self) -> Any:
        """Return what /readyz tells, None when nobody answers."""
        async with self.session.get(self.url + "/readyz") as response:
            return await response.json()


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def fast(speed: float = FASTER) -> demo.DemoPbx:
    """Return the demo's PBX, not yet started, so many times as fast."""
    recording = demo.load()
    messages = tuple((at_s / speed, block) for at_s, block in recording.messages)
    return demo.DemoPbx(dataclasses.replace(recording, messages=messages))


@contextlib.asynccontextmanager
async def played(folder: Path, more: str = "", **environ: str) -> AsyncIterator[Site]:
    """Run the program on the recording, in a loop, until the body ends. ``more`` is added to its configuration."""
    pbx = fast()
    await pbx.start()
    try:
        with patch.object(demo, "PAUSE_S", PAUSE_S):
            async with hearing(pbx, folder, more, **environ) as site:
                yield site
    finally:
        await pbx.stop()


@contextlib.asynccontextmanager
async def hearing(pbx: Pbx, folder: Path, more: str = "", **environ: str) -> AsyncIterator[Site]:
    """Run the program beside a PBX until the body ends."""
    port = free_port()
    environ = {"ASTERISK_SIP_AMI_SECRET": pbx.secret} | environ
    program = Program(folder, CONFIG.format(pbx=pbx, port=port) + more, **environ)
    async with program, aiohttp.ClientSession() as session:
        await program.says("serving")
        yield Site(program, f"http://127.0.0.1:{port}", session, environ)

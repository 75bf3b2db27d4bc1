"""A PBX for those who have none: serves a recording of a real Asterisk over AMI, at real pace, in a loop.

Times and channel ids are shifted in each round, so that every call is a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import itertools
import re
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from asterisk_sip.config_files import shipped
from asterisk_sip.sources import ami_wire

END = ami_wire.END
PAUSE_S = 2.0  # between two rounds
LONGEST_SILENCE_S = 5.0  # a longer one in the recording is cut to this

_PAGE_PORT = 8600

_ID = re.compile(rb"^(\w*(?:Uniqueid|Linkedid): )\d+(?=\.\d+\r?$)", re.MULTILINE)
_LINKEDID = re.compile(rb"^(?:\w*)Linkedid: (\S+?)\r?$", re.MULTILINE)
_TIMESTAMP = re.compile(rb"^Timestamp: [\d.]+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recording:
    """The events of a recording: how many seconds after its beginning, and the message; and the PBX's version."""

    banner: str
    version: str
    messages: tuple[tuple[float, bytes], ...]


def load(data: bytes | None = None) -> Recording:
    """Read a raw AMI recording (gzipped bytes); the one that comes with the package when ``data`` is None."""
    if data is None:
        data = (files("asterisk_sip") / "data" / "demo.ami.gz").read_bytes()
    framer = ami_wire.Framer()
    messages: list[tuple[float, bytes]] = []
    version = ""
    began_at: float | None = None
    silence_s = last_s = 0.0
    for block in framer.feed(gzip.decompress(data)):
        version = version or ami_wire.asterisk_version(block) or ""
        stamp = ami_wire.timestamp(ami_wire.Headers(block)) if block.startswith(b"Event: ") else None
        if stamp is None or b"\r\nActionID: " in block:
            continue
        began_at = stamp if began_at is None else began_at
        at_s = max(last_s, stamp - began_at)
        silence_s += max(0.0, at_s - last_s - LONGEST_SILENCE_S)
        last_s = at_s
        messages.append((at_s - silence_s, block))
    return Recording(framer.banner or "Asterisk Call Manager/11.0.0", version, tuple(messages))


def shifted(block: bytes, at: float, made_at: int) -> bytes:
    """Return a message as if it happened at ``at``, to channels made at ``made_at`` (both seconds since 1970).

    Asterisk numbers its channels: ids that differ in the recording differ still.
    """
    block = _TIMESTAMP.sub(b"Timestamp: %.6f" % at, block)
    return _ID.sub(rb"\g<1>%d" % made_at, block)


def _calls_of(recording: Recording) -> list[int | None]:
    """Return of each message which call it is about, the first is 0; None when it is about none."""
    numbers: dict[bytes, int] = {}
    found = (_LINKEDID.search(block) for _, block in recording.messages)
    return [None if match is None else numbers.setdefault(match[1], len(numbers)) for match in found]


class DemoPbx:
    """A local AMI server for one user, with a secret of its own making. Read-only: it does nothing that is asked."""

    def __init__(self, recording: Recording, clock: Callable[[], float] = time.time, *, later_share: int = 1) -> None:
        """``later_share``: of the calls, each round after the first plays one in so many, in turn."""
        self.username = "demo"
        self.secret = secrets.token_urlsafe(16)
        self.port = 0
        self._recording = recording
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._challenge = secrets.token_hex(8)
        self._last_round = 0
        self._later_share = later_share
        self._calls = _calls_of(recording)

    async def start(self) -> None:
        """Listen on a free loopback port: ``port``."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._server is not None:
            self._server.close()
            if hasattr(self._server, "close_clients"):  # Python 3.13
                self._server.close_clients()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._recording.banner.encode() + ami_wire.EOL)
        playing: asyncio.Task[None] | None = None
        welcome = False
        try:
            while True:
                action = ami_wire.Headers(await reader.readuntil(END))
                name = action.get("Action")
                writer.write(self._answer(action))
                await writer.drain()
                welcome |= name == "Login" and self._fits(action)
                if welcome and playing is None and name == "CoreShowChannels":  # it knows now that nothing is up yet
                    playing = asyncio.create_task(self._play(writer))
                if name == "Logoff":
                    break
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            if playing is not None:
                playing.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await playing
            writer.close()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        for rounds in itertools.count():
            began_at = self._clock()
            made_at = self._last_round = max(int(began_at), self._last_round + 1)  # no two rounds share ids
            for (at_s, block), call in zip(self._recording.messages, self._calls, strict=True):
                if rounds and call is not None and (call + rounds) % self._later_share:
                    continue
                at = began_at + at_s
                await asyncio.sleep(max(0.0, at - self._clock()))
                writer.write(shifted(block, at, made_at) + END)
                await writer.drain()
            await asyncio.sleep(PAUSE_S)

    def _fits(self, action: ami_wire.Headers) -> bool:
        key = hashlib.md5(f"{self._challenge}{self.secret}".encode(), usedforsecurity=False).hexdigest()
        return action.get("Username") == self.username and secrets.compare_digest(action.get("Key", ""), key)

    def _answer(self, action: ami_wire.Headers) -> bytes:
        name = action.get("Action", "")
        lines = ["Response: Success", f"ActionID: {action.get('ActionID', '')}"]
        if name == "Challenge":
            lines.append(f"Challenge: {self._challenge}")
        elif name == "Login" and not self._fits(action):
            lines = ["Response: Error", lines[1], "Message: Authentication failed"]
        elif name == "CoreSettings":
            lines.append(f"AsteriskVersion: {self._recording.version}")
        elif name == "CoreShowChannels":
            lines += ["EventList: start", "", "Event: CoreShowChannelsComplete", lines[1], "EventList: Complete"]
        elif name not in ("Login", "Ping", "Logoff"):
            lines = ["Response: Error", lines[1], "Message: This is a recording; it does nothing"]
        return "\r\n".join(lines).encode() + END


def page_port() -> int:
    """Return the port for the dashboard: the usual one, or any free one when it is taken."""
    for port in (_PAGE_PORT, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as tried:
            return int(tried.getsockname()[1])
    return _PAGE_PORT


def config_path() -> Path:
    """Return the demo's configuration file."""
    return shipped("demo.toml")

"""The whole program as an operator runs it: a process of its own, a configuration file, a database; and its witness."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.lab.ami import AmiClient, first
from tests.lab.asterisk import Asterisk
from tests.lab.wait import until

CONFIG = """
[[pbx]]
name = "{name}"

[pbx.ami]
host = "{pbx.host}"
port = {pbx.ports.ami}
username = "{user}"
secret_file = "ami.secret"
retry_min_s = 0.1
retry_max_s = 0.5
{ami}

[[trunk]]
name = "acme"
endpoints = ["acme", "acme-*"]

[[trunk]]
name = "others"
endpoints = ["globex", "initech", "silent", "refused", "lost"]

[records]
keep = "all"

[store]
path = "calls.db"

[log]
format = "json"
"""

Record = dict[str, Any]


def configure(
    folder: Path,
    pbx: Asterisk,
    *,
    user: str = "companion",
    secret: str | None = None,
    ami: str = "",
    name: str = "pbx1",
) -> Path:
    """Write a configuration for a PBX, and its secret beside it; give the path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ami.secret").write_text(secret or pbx.companion.secret)
    (folder / "ami.secret").chmod(0o600)
    path = folder / "asterisk-sip.toml"
    path.write_text(CONFIG.format(name=name, pbx=pbx, user=user, ami=ami))
    return path


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and how it ended."""

    code: int | None
    out: str
    err: str


async def command(*arguments: str, within_s: float = 60.0) -> Said:
    """Run ``asterisk-sip ARGUMENTS`` to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asterisk_sip", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environ(),
    )
    out, err = await asyncio.wait_for(process.communicate(), within_s)
    return Said(process.returncode, out.decode(), err.decode())


class Companion:
    """``asterisk-sip run`` beside a PBX. It can be started again on the same store after it ended."""

    def __init__(self, folder: Path, pbx: Asterisk, ami: str = "", doors: int = 1) -> None:
        self.config = configure(folder, pbx, ami=ami)
        self._doors = doors
        self.store = folder / "calls.db"
        self.log = folder / "log.jsonl"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        """Start it; return when it listens to the PBX, through all its doors."""
        heard = len(self.logged("listening"))
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "asterisk_sip", "run", "--config", str(self.config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environ(),
            )
        heard += self._doors
        await until(lambda: len(self.logged("listening")) >= heard or self._ended, "the companion listens")
        assert not self._ended, self.log.read_text()
        return self

    async def stop(self, within_s: float = 60.0) -> int:
        """Ask it to end, as systemd does; give its exit code."""
        return await self._end(signal.SIGTERM, within_s)

    async def kill(self) -> float:
        """End it as a power cut does; give when (seconds since 1970)."""
        at = time.time()
        await self._end(signal.SIGKILL, 10)
        return at

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and not self._ended:
            await self.kill()

    @property
    def pid(self) -> int | None:
        """The process id, None before it was started."""
        return None if self._process is None else self._process.pid

    def logged(self, event: str) -> list[Record]:
        """What it logged under this name so far, in order."""
        if not self.log.exists():
            return []
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def count(self) -> int:
        """How many calls are in the store."""
        [(number,)] = self._read("select count(*) from calls")
        return int(number)

    def linkedids(self) -> list[str]:
        """Which calls are in the store, one entry a row."""
        return [linkedid for (linkedid,) in self._read("select linkedid from calls")]

    def gaps(self) -> list[tuple[str, bool]]:
        """Each gap in the store: its reason, and whether it is over."""
        return [(reason, ended is not None) for reason, ended in self._read("select reason, ended_us from gaps")]

    def in_flight(self) -> int:
        """How many calls in flight the store remembers."""
        [(number,)] = self._read("select count(*) from open_calls")
        return int(number)

    def listened_until(self) -> float | None:
        """Until when the store says the PBX was listened to, in seconds since 1970."""
        rows = self._read("select until_us from listened")
        return rows[0][0] / 1e6 if rows else None

    async def recorded(self, number: int, within_s: float = 60.0) -> list[Record]:
        """Wait until the store holds so many calls; give them all, the oldest first."""
        await until(lambda: self.count() >= number, f"{number} calls in the store, there are {self.count()}", within_s)
        return await self.calls()

    async def calls(self, *options: str) -> list[Record]:
        """Read the store back as an operator does, the oldest first."""
        where = ("--config", str(self.config), "--format", "json", "--limit", "100000")
        said = await command("calls", *where, *options)
        assert said.code == 0, said.err
        return [json.loads(line) for line in reversed(said.out.splitlines())]

    def _read(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(query).fetchall()

    @property
    def _ended(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    async def _end(self, sign: signal.Signals, within_s: float) -> int:
        assert self._process is not None
        self._process.send_signal(sign)
        return await asyncio.wait_for(self._process.wait(), within_s)


def _environ() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ASTERISK_SIP__")}


@dataclass(slots=True)
class Truth:
    """One call as Asterisk showed it to the witness."""

    began_at: float
    ended_at: float = 0.0
    alive: int = 0


class Witness(AmiClient):
    """Hears what the companion should have heard, through a connection and with code of its own."""

    def __init__(self, pbx: Asterisk) -> None:
        super().__init__(pbx.host, pbx.ports.ami)
        self._user = pbx.lab

    async def __aenter__(self) -> Self:
        return await self.connect(self._user.name, self._user.secret, events="call")

    def truth(self) -> dict[str, Truth]:
        """Every call that was up since it listens, by linkedid."""
        calls: dict[str, Truth] = {}
        for event in list(self.events):
            kind = first(event, "Event")
            if kind not in ("Newchannel", "Hangup"):
                continue
            at = float(first(event, "Timestamp"))
            call = calls.setdefault(first(event, "Linkedid"), Truth(at))
            call.alive += 1 if kind == "Newchannel" else -1
            call.ended_at = max(call.ended_at, at)
        return calls

    async def quiet(self, within_s: float = 60.0) -> dict[str, Truth]:
        """Wait until every call is over; give them."""
        await until(lambda: self.counts["Newchannel"] == self.counts["Hangup"], "every channel gone", within_s)
        return self.truth()


def by_linkedid(records: Iterable[Record]) -> dict[str, Record]:
    """Give the records by linkedid, and make sure that there is one for each."""
    found: dict[str, Record] = {}
    for record in records:
        first_one = found.setdefault(record["linkedid"], record)
        assert first_one is record, f"two records of one call:\n{first_one}\n{record}"
    return found

"""The whole program as processes without a PBX: a collector, or a companion that hears a scripted one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Self

from tests.lab.wait import until


class Program:
    """``asterisk-sip run`` on a configuration. It can be started again after it ended."""

    def __init__(self, folder: Path, config: str, name: str = "asterisk-sip", **environ: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        self._config = folder / f"{name}.toml"
        self._config.write_text(config + '\n[log]\nformat = "json"\n')
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        """Start it, and do not wait for anything."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("ASTERISK_SIP_")}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "asterisk_sip", "run", "--config", str(self._config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=others | self._environ,
            )
        return self

    async def stop(self, within_s: float = 60.0) -> int:
        """Ask it to end, as systemd does; give its exit code."""
        return await self._end(signal.SIGTERM, within_s)

    async def kill(self) -> None:
        """End it as a power cut does."""
        await self._end(signal.SIGKILL, 10.0)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    @property
    def pid(self) -> int:
        """The process id, once it was started."""
        assert self._process is not None
        return self._process.pid

    @property
    def peak_mb(self) -> float:
        """The most memory it had at a time, while it runs."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(peak) / 1024

    def logged(self, event: str) -> list[dict[str, Any]]:
        """What it logged under this name so far, in order."""
        if not self.log.exists():
            return []
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    async def says(self, event: str, times: int = 1, within_s: float = 60.0) -> None:
        """Wait until it logged something so many times."""
        await until(lambda: len(self.logged(event)) >= times, f"{event!r} is logged", within_s)

    async def _end(self, sign: signal.Signals, within_s: float) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(sign)
        return await asyncio.wait_for(self._process.wait(), within_s)

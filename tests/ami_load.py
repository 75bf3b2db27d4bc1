"""Calls without end: a scripted AMI server whose PBX carries so many calls a second, whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from itertools import count
from typing import Self

from tests.ami_script import AmiScript
from tests.ami_server import ScriptedAmi

BURST = 10
STATUSES = ("486 Busy Here", "503 Service Unavailable", "404 Not Found", "603 Decline")


class LoadedAmi(ScriptedAmi):
    """Every other call is refused, every other answered. What nobody hears is lost, as with a real PBX."""

    def __init__(self, per_second: int) -> None:
        super().__init__()
        self._pause_s = BURST / per_second
        self._numbers = count(1)
        self._calling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._calling = asyncio.create_task(self._call())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.quiet()
        await super().__aexit__()

    async def quiet(self) -> None:
        """Let no more calls come."""
        if self._calling is not None:
            self._calling.cancel()
            await asyncio.gather(self._calling, return_exceptions=True)

    async def _call(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            calls = b"".join(call(next(self._numbers)) for _ in range(BURST))
            if self._logged_in() and self._logged_in()[-1].closed_at is None:
                with contextlib.suppress(ConnectionError):
                    await self._logged_in()[-1].write(calls, ())


def call(number: int) -> bytes:
    """Return all events of one call, which ends now."""
    script = AmiScript(first=10 * number, at=time.time() - 0.2)
    caller = script.incoming("PJSIP/caller", exten="100")
    trunk = script.dial(caller, "PJSIP/acme", "100@acme")
    if number % 2:
        script.answer(trunk)
        script.hangup(trunk, 16)
        script.hangup(caller, 16)
    else:
        script.reject(trunk, STATUSES[number // 2 % len(STATUSES)])
        script.hangup(caller, 17)
    return b"".join(script.events)


@contextlib.asynccontextmanager
async def calls_coming(per_second: int) -> AsyncIterator[LoadedAmi]:
    """Run such a PBX while the context lasts."""
    async with LoadedAmi(per_second) as pbx:
        yield pbx

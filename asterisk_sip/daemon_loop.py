"""The event loop of what runs for long: names are looked up by threads of their own.

A name server that does not answer holds whoever asks for half a minute. In the pool that all share, a few of those
would keep files, metrics and passwords waiting, and the end of the program too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

MOST_LOOKUPS = 32


class Loop(asyncio.SelectorEventLoop):
    """Looks names up without the pool. What still waits for an answer when the program ends is left behind."""

    def __init__(self) -> None:
        super().__init__()
        self._free = asyncio.Semaphore(MOST_LOOKUPS)

    async def getaddrinfo(  # noqa: D102  # as the loop has it
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  as the loop has it
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        await self._free.acquire()
        found: asyncio.Future[list[Any]] = self.create_future()

        def end(tell: Callable[[Any], None], told: object) -> None:
            self._free.release()
            if not found.done():
                tell(told)

        def look_up() -> None:
            tell: Callable[[Any], None]
            told: object
            try:
                tell, told = found.set_result, socket.getaddrinfo(host, port, family, type, proto, flags)
            except Exception as error:  # noqa: BLE001  whatever it is, who asked hears of it
                tell, told = found.set_exception, error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.call_soon_threadsafe(end, tell, told)

        try:
            threading.Thread(target=look_up, name="name look-up", daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise OSError(f"no thread to look a name up: {error}") from error
        return await found


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run some work in such a loop, as ``asyncio.run`` does."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work)

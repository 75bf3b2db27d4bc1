"""Tells systemd how the daemon is: ready, alive, reloading, stopping (sd_notify(3)). Without it: silent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable


def notify(*lines: str) -> None:
    """Send lines such as ``READY=1`` to the socket that NOTIFY_SOCKET names, if it does. Whoever does not hear is fine.

    A status text is one line: what stands in it must hold no line break.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock, contextlib.suppress(OSError):
        sock.setblocking(False)
        sock.sendto("\n".join(lines).encode(), "\0" + address[1:] if address[0] == "@" else address)


def reloading() -> None:
    """Say that a reload begins; ``READY=1`` says that it ended."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_s() -> float | None:
    """Return how often systemd wants to hear from this process, None when it does not."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    usec = os.environ.get("WATCHDOG_USEC", "")
    return int(usec) / 1e6 if usec.isdecimal() and int(usec) > 0 else None


@contextlib.asynccontextmanager
async def alive(status: Callable[[], str]) -> AsyncIterator[None]:
    """Say READY now, the status and signs of life as long as the body runs, and STOPPING at its end.

    The signs of life come from the loop that does the work: when it hangs, they stop, and systemd restarts us.
    """
    notify("READY=1", f"STATUS={status()}")
    beating = asyncio.create_task(_beat(status))
    try:
        yield
    finally:
        notify("STOPPING=1", "STATUS=writing what is known")
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating


STATUS_EVERY_S = 10.0


async def _beat(status: Callable[[], str]) -> None:
    limit_s = watchdog_s()
    every_s = STATUS_EVERY_S if limit_s is None else min(STATUS_EVERY_S, limit_s / 3)
    while True:
        notify(f"STATUS={status()}", *(["WATCHDOG=1"] if limit_s is not None else []))
        await asyncio.sleep(every_s)

"""Waiting for a condition with a deadline: the only way the lab waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.lab.errors import NotYetError

POLL_S = 0.005
WITHIN_S = 60.0
"""Far more than anything takes, on a machine that others use too: what a test says is that it comes, not how soon."""


async def until(condition: Callable[[], object], what: str, within_s: float = WITHIN_S) -> None:
    """Return as soon as ``condition()`` is true; raise NotYetError naming ``what`` after ``within_s``."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise NotYetError(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(POLL_S)


def until_blocking(condition: Callable[[], object], what: str, within_s: float = WITHIN_S) -> None:
    """Do the same where no loop runs."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise NotYetError(f"not within {within_s:g} s: {what}")
        time.sleep(POLL_S)

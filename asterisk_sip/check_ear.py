"""Listens at a door while a check lasts."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from asterisk_sip.calls import events as ev


@dataclass(slots=True)
class Ear:
    """Notes what passes by. What the events do not tell is looked for in the bytes: they come to ``raw`` first."""

    booted: bool = False
    calls_passed: bool = False
    with_line: bool = False  # the line in channelvars showed
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def line(self) -> bool | None:
        """Whether events showed the line at work; None when no call passed by."""
        return self.with_line or (False if self.calls_passed else None)

    def enough(self) -> bool:
        """Whether all was seen that there is to see."""
        return self.calls_passed

    async def wait(self, wait_s: float) -> None:
        """Wait until enough was seen, for ``wait_s`` seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.seen.wait()

    def heard(self, events: list[ev.Event]) -> None:
        """Take events."""
        self.booted = self.booted or any(isinstance(event, ev.Booted) for event in events)
        self.calls_passed = self.calls_passed or any(isinstance(event, ev.ChannelBegan | ev.HungUp) for event in events)
        if self.enough():
            self.seen.set()

    def link_up(self, version: str | None) -> None:
        """Take no notice."""

    def link_down(self, reason: str) -> None:
        """Take no notice."""

    def lost(self, count: int, reason: str) -> None:
        """Take no notice."""

    def raw(self, data: bytes) -> None:
        """Look at the bytes."""

"""Reading in breaths: Asterisk writes each event by itself, and being woken for each costs more than reading it."""

from __future__ import annotations

import asyncio

BACKLOG_BYTES = 1 << 16
"""So much in one breath means that more waits: then there is no pause."""


class Breath:
    """Leaves a socket alone for ``gather_s`` seconds after something came; 0 reads at once."""

    def __init__(self, transport: asyncio.Transport | None, gather_s: float) -> None:
        self._transport = transport
        self._gather_s = gather_s
        self._bytes = 0
        self._pause: asyncio.TimerHandle | None = None

    def took(self, size: int) -> None:
        """Hear that so many bytes came."""
        if self._transport is None or not self._gather_s:
            return
        self._bytes += size
        if self._bytes > BACKLOG_BYTES:
            self.end()
        elif self._pause is None:
            self._transport.pause_reading()
            self._pause = asyncio.get_running_loop().call_later(self._gather_s, self.end)

    def end(self) -> None:
        """Read on."""
        self._bytes = 0
        if self._pause is not None and self._transport is not None:
            self._pause.cancel()
            self._pause = None
            if not self._transport.is_closing():
                self._transport.resume_reading()

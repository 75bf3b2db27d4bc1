"""Records as lines of JSON on standard output, for a log shipper."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from asterisk_sip.errors import TransientSinkError
from asterisk_sip.sinks.base import Delivery, Kind
from asterisk_sip.sinks.jsonl import line


class StdoutSink:
    """Writes one line a record. The log goes to standard error: nothing else is written here."""

    at_most = 500

    def __init__(self, wants: frozenset[Kind] = frozenset({"failure"})) -> None:
        self.wants = wants

    async def open(self) -> None:
        """Nothing is needed."""

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Write a batch. Raises TransientSinkError when nobody reads any more."""
        try:
            await asyncio.to_thread(_write, "".join(map(line, deliveries)))
        except (OSError, ValueError) as error:
            raise TransientSinkError(f"standard output: {error}") from error

    async def close(self) -> None:
        """Standard output stays open."""


def _write(text: str) -> None:
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()

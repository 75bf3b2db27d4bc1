"""What a sink is. No I/O here.

A third party adds a sink by an entry point of the group ``asterisk_sip.sinks``: a function that takes the sink's name
and its table of the configuration and returns a `Sink`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from asterisk_sip.errors import PermanentSinkError, SinkError, TransientSinkError
from asterisk_sip.stores.spool import KINDS, Delivery, Kind

__all__ = ["KINDS", "Delivery", "Kind", "PermanentSinkError", "Sink", "SinkError", "TransientSinkError"]


class Sink(Protocol):
    """Takes deliveries somewhere else. ``wants`` are the kinds it is given, ``at_most`` how many at once."""

    wants: frozenset[Kind]
    at_most: int

    async def open(self) -> None:
        """Make ready. Raises TransientSinkError when that may work later, PermanentSinkError when it never will."""

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver, in order; what was delivered is safe there when this returns.

        Raises TransientSinkError when the same may work later, PermanentSinkError when it never will. ``taken`` of the
        error says how many of the first were delivered all the same.
        """

    async def close(self) -> None:
        """Let go. Closing twice is fine."""

"""What is to be delivered to the sinks, and how far each has come. No I/O here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["failure", "answered", "gap", "notice"]
KINDS: tuple[Kind, ...] = ("failure", "answered", "gap")
"""What is recorded. A ``notice`` is told by alerts, from a queue of its own, see `alert_book`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to be delivered: a call, a gap or a notice, as one line of JSON.

    ``kind`` is ``failure`` for every call that was not simply answered. ``id`` is the record's own: the same whenever
    it is delivered, so that who receives it twice can drop the second. That of a gap holds its end: a crash may make a
    gap longer, and then it is delivered anew. ``text`` is empty for a call that was deleted
    before it could be delivered. ``repeated`` says that it may have been delivered before: the program ended before it
    could note that it was.
    """

    position: int
    kind: Kind
    id: str
    text: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a sink has come: up to ``position`` everything was taken, up to ``offered`` it may have been."""

    position: int
    offered: int


class Spool(Protocol):
    """What is to be delivered, durable, in order, until every sink has taken it. All methods raise StoreError."""

    async def deliveries(self, after: int, limit: int) -> list[Delivery]:
        """Return what stands behind a position, oldest first."""

    async def end(self) -> int:
        """Return the position of what came last, 0 when nothing ever did."""

    async def cursor(self, sink: str) -> Cursor:
        """Return how far a sink has come; one that was never there begins with what comes from now on."""

    async def move_cursor(self, sink: str, cursor: Cursor) -> None:
        """Note how far a sink has come. Durable when it returns."""

    async def trim(self, position: int) -> None:
        """Forget what stands at a position and before it: every sink has taken it."""

"""Who hears what comes through a door, and how a door tells it so that no listener can hurt the link."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, ParamSpec, Protocol

from structlog.typing import FilteringBoundLogger

from asterisk_sip.calls import events as ev

P = ParamSpec("P")


class Listener(Protocol):
    """Who hears what comes through the door. Must return at once: the socket is drained whatever happens.

    Events come from login on, a few of them before ``link_up``; none comes after ``link_down``.
    """

    def heard(self, events: list[ev.Event]) -> None:
        """Take the events of one read, in order."""

    def link_up(self, version: str | None) -> None:
        """We are logged in; ``version`` is Asterisk's, None when the user may not ask."""

    def link_down(self, reason: str) -> None:
        """We hear nothing from now on."""

    def lost(self, count: int, reason: str) -> None:
        """Some messages were passed over; ``reason`` reads on after their number: "messages could not be read"."""

    def raw(self, data: bytes) -> None:
        """Take the bytes as they came, before anything is done with them (to record them)."""


class Losses(NamedTuple):
    """What came over the wire and went by unheard."""

    listener_errors: int = 0
    """Calls in which the listener raised; each costs the events of one read."""
    unreadable: int = 0
    oversized: int = 0


class Teller:
    """Calls a listener. ``listener_errors`` counts the calls in which it raised; the first of a link is logged."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self.listener_errors = 0

    def tell(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the listener. If it raises, this one call is lost and counted."""
        try:
            call(*args, **kwargs)
        except Exception:  # noqa: BLE001  whatever a listener raises is its own affair
            self.listener_errors += 1
            if self.listener_errors == 1:
                self._log.exception("events lost: their listener failed (told once a link)")

"""The reader under panoramisk's Manager: bytes to the listener, answers to the actions that wait for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, Protocol

from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message
from structlog.typing import FilteringBoundLogger

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import LinkLostError, WireError
from asterisk_sip.sources import ami_wire

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


BACKLOG_BYTES = 1 << 15
"""A read of so much means that more waits: then there is no pause."""


class Losses(NamedTuple):
    """What came over the wire and went by unheard."""

    listener_errors: int = 0
    """Calls in which the listener raised; each costs the events of one read."""
    unreadable: int = 0
    oversized: int = 0


class WireProtocol(AMIProtocol):  # type: ignore[misc]  # panoramisk ships no types
    """The reader: frames bytes, hands wanted events on, and gives answers to panoramisk's actions."""

    def __init__(self, listener: Listener, max_message_bytes: int, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._listener = listener
        self._log = log
        self._missed = 0
        self.reader = ami_wire.Reader(_live_clock, max_message_bytes)
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.listener_errors = 0
        self.breath_s = 0.0  # how long what comes is let gather; 0 while each answer is waited for

    @property
    def losses(self) -> Losses:
        """What this connection lost so far."""
        return Losses(self.listener_errors, self.reader.unreadable, self.reader.framer.oversized)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket. Nothing in them, and no listener that raises, ends the link."""
        if self.breath_s and len(data) < BACKLOG_BYTES:
            self._breathe()
        self.tell(self._listener.raw, data)
        events = self.reader.feed(data)
        if events:
            self.tell(self._listener.heard, events)
        if not self.greeted.done():
            self._greet()
        responses, self.reader.responses = self.reader.responses, []
        for block in responses:
            self._answer(block)
        missed = self.reader.unreadable + self.reader.framer.oversized
        if missed > self._missed:
            self._tell_missed(missed)

    def _tell_missed(self, missed: int) -> None:
        self.tell(self._listener.lost, missed - self._missed, "messages could not be read")
        if not self._missed:
            self._log.warning(
                "messages passed over (told once a link)",
                unreadable=self.reader.unreadable,
                oversized=self.reader.framer.oversized,
            )
        self._missed = missed

    def _breathe(self) -> None:
        """Leave the socket alone for a moment: Asterisk writes each event by itself, and a wake-up costs more."""
        self.transport.pause_reading()
        asyncio.get_running_loop().call_later(self.breath_s, self._read_on)

    def _read_on(self) -> None:
        if not self.closed and not self.transport.is_closing():
            self.transport.resume_reading()

    def tell(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the listener. If it raises, this one call is lost and counted; the first of a link is logged."""
        try:
            call(*args, **kwargs)
        except Exception:  # noqa: BLE001  whatever a listener raises is its own affair
            self.listener_errors += 1
            if self.listener_errors == 1:
                self._log.exception("events lost: their listener failed (told once a link)")

    def _greet(self) -> None:
        banner = self.reader.framer.banner
        if banner:
            self.greeted.set_result(None)
        elif banner is not None:
            self.greeted.set_exception(WireError("what answers there is not an Asterisk Manager Interface"))
            self.greeted.exception()  # seen, even if nobody waits for it any more

    def _answer(self, block: bytes) -> None:
        try:
            message = Message.from_line(block.decode("utf-8", "backslashreplace").strip())
            if message is not None and "event" not in message:
                self.handle_message(message)
        except (AttributeError, TypeError, ValueError, LookupError):  # panoramisk, on a header that came twice
            self.reader.unreadable += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the link is gone, once. No action is kept to be sent again."""
        self.closed = True
        reason = str(exc) or type(exc).__name__ if exc else "Asterisk closed the connection"
        if not self.lost.done():
            self.lost.set_result(reason)
        waiting = [self.greeted, *(action.future for action in self.responses.values())]
        for future in waiting:
            if not future.done():
                future.set_exception(LinkLostError(reason))
                future.exception()  # seen, even if nobody waits for it any more

    def eof_received(self) -> bool:
        """A half-closed connection is a closed one."""
        return False


class ActionManager(Manager):  # type: ignore[misc]  # panoramisk ships no types
    """panoramisk's Manager without its own ping, reconnect, and sending again of what was not answered."""

    def ping(self) -> None:
        """Do nothing: AmiLink pings, with a deadline."""

    def connection_lost(self, exc: Any) -> None:
        """Do nothing: AmiSource reconnects."""

    async def send_awaiting_actions(self, *_: Any) -> None:
        """Do nothing: an action is sent once."""


def _live_clock(fields: ami_wire.Fields, _newest: float) -> float:
    at = ami_wire.timestamp(fields)
    return time.time() if at is None else at

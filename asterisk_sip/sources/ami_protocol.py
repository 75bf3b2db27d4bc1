"""The reader under panoramisk's Manager: bytes to the listener, answers to the actions that wait for them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message
from structlog.typing import FilteringBoundLogger

from asterisk_sip.errors import LinkLostError, WireError
from asterisk_sip.sources import ami_wire
from asterisk_sip.sources.listener import Listener, Losses, Teller

__all__ = ["ActionManager", "Listener", "Losses", "WireProtocol"]

BACKLOG_BYTES = 1 << 16
"""A read of so much means that more waits: then there is no pause."""


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
        self._teller = Teller(log)
        self.tell = self._teller.tell
        self.breath_s = 0.0  # how long what comes is let gather; 0 while each answer is waited for

    @property
    def losses(self) -> Losses:
        """What this connection lost so far."""
        return Losses(self._teller.listener_errors, self.reader.unreadable, self.reader.framer.oversized)

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

"""What every ARI connection does alike, whoever opened it: frames and answers to the listener."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from asterisk_sip.sources import ari_wire
from asterisk_sip.sources.listener import Listener, Losses, Teller

UNREADABLE = "messages could not be read"


class Hearing:
    """Hands on what one connection says: the bytes first, then the events in them. Nothing in them ends the link."""

    def __init__(self, listener: Listener, max_message_bytes: int, log: FilteringBoundLogger) -> None:
        self._listener = listener
        self._log = log
        self._teller = Teller(log)
        self._missed = 0
        self._foreign = 0  # frames that are no text
        self.tell = self._teller.tell
        self.reader = ari_wire.Reader(max_message_bytes)

    @property
    def losses(self) -> Losses:
        """What this connection lost so far."""
        unreadable = self.reader.unreadable + self._foreign
        return Losses(self._teller.listener_errors, unreadable, self.reader.lines.oversized)

    def frame(self, frame: bytes) -> None:
        """Take a text frame."""
        self.take(ari_wire.frame_line(frame))

    def binary(self) -> None:
        """Take note of a frame that is no text: ARI sends none."""
        self._foreign += 1
        self._tell_missed()

    def introduced(self, at: float, info: object) -> None:
        """Take the answer to ``GET /asterisk/info``."""
        self.take(ari_wire.info_line(info, at))

    def listed(self, channels: list[object], bridges: list[object], at: float, since: float) -> None:
        """Take the answers to ``GET /channels`` and ``GET /bridges``."""
        for line in ari_wire.list_lines(channels, bridges, at, since):
            self.take(line)

    def take(self, line: bytes) -> None:
        """Take a line: a message of Asterisk's, or one that ``ari_wire`` made of an answer."""
        self.tell(self._listener.raw, line)
        events = self.reader.feed(line)
        if events:
            self.tell(self._listener.heard, events)
        if self.reader.missed:
            self._tell_missed()

    def _tell_missed(self) -> None:
        missed = self.reader.missed + self._foreign
        if missed == self._missed:
            return
        self.tell(self._listener.lost, missed - self._missed, UNREADABLE)
        if not self._missed:
            self._log.warning(
                "messages passed over (told once a link)",
                unreadable=self.reader.unreadable + self._foreign,
                oversized=self.reader.lines.oversized,
            )
        self._missed = missed

"""AMI bytes to messages. Pure.

Format (Asterisk main/manager.c): the first bytes of a connection are a one-line banner; then come messages, lines ended
by CR LF, each message ended by an empty line.
"""

from __future__ import annotations

BANNER = b"Asterisk Call Manager/"
EOL = b"\r\n"
END = b"\r\n\r\n"
DEFAULT_MAX_MESSAGE_BYTES = 1 << 20


class Framer:
    """Cuts a byte stream into messages, however the reads fall. Memory is bounded.

    A message over ``max_bytes`` is thrown away up to its end and counted in ``oversized``; the stream goes on.
    ``banner`` is the first line of the stream once it came: empty when the stream began without one.
    """

    __slots__ = ("_max_bytes", "_rest", "_skipping", "banner", "oversized")

    def __init__(self, max_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self._rest = b""
        self._skipping = False
        self._max_bytes = max_bytes
        self.banner: str | None = None
        self.oversized = 0

    def finish(self) -> list[bytes]:
        """Say that no more comes; return the last message if it may be taken for whole.

        That is a Hangup whose empty line was cut off, as of a recording that was put together of messages: it has the
        cause, which ends what every release tells.
        """
        hung_up = (
            not self._skipping and self._rest.startswith(b"Event: Hangup\r\n") and b"\r\nCause-txt: " in self._rest
        )
        return self.feed(END) if hung_up else []

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the messages that are now whole, without their empty line."""
        data = self._rest + data
        if self.banner is None:
            data = self._take_banner(data)
        blocks = data.split(END)
        self._rest = blocks.pop()
        if self._skipping and blocks:
            del blocks[0]
            self._skipping = False
        if len(self._rest) >= self._max_bytes + len(END):  # too long wherever its end may be
            self._rest = self._rest[-(len(END) - 1) :]
            self.oversized += not self._skipping
            self._skipping = True
        return blocks if len(data) <= self._max_bytes else [block for block in blocks if self._fits(block)]

    def _fits(self, block: bytes) -> bool:
        fits = len(block) <= self._max_bytes
        self.oversized += not fits
        return fits

    def _take_banner(self, data: bytes) -> bytes:
        if not data.startswith(BANNER):
            if not BANNER.startswith(data[: len(BANNER)]):
                self.banner = ""
            return data
        line, end, rest = data.partition(EOL)
        if not end:
            return data
        self.banner = line.decode("ascii", "replace")
        return rest

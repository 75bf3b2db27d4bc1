"""The AGI door: a FastAGI server to which the hangup handlers of a dialplan report. It never holds a call up.

panoramisk.fast_agi is not used: its one ``handler`` reads for ever what has no end, spins without giving way when the
peer closes early, has no deadline, and swallows its own cancellation; there is no place where a subclass could mend it.
Here a request is read, answered by closing, and told. Nothing is asked of Asterisk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from asterisk_sip.errors import LinkLostError
from asterisk_sip.retry import Backoff
from asterisk_sip.sources import handler_wire
from asterisk_sip.sources.agi_wire import AgiRequest, NotAgiError, RequestReader
from asterisk_sip.sources.keeper import address_had
from asterisk_sip.sources.listener import Listener, Teller

WATCH_EVERY_S = 5.0
SILENT_AFTER_S = 600.0
MAX_PATHS_TOLD = 16
NOT_OURS = "its argument is not what extensions.conf sends"


@dataclass(frozen=True, slots=True)
class AgiSettings:
    """Where to listen, how long a request may take, and how many there may be at once."""

    listen_host: str = "127.0.0.1"
    listen_port: int = 4573
    deadline_ms: int = 500
    max_connections: int = 200
    retry_min_s: float = 1.0
    retry_max_s: float = 60.0


@dataclass(slots=True)
class AgiDoor:
    """One PBX that reports to the server: the path of its AGI URL is its name."""

    pbx: str
    listener: Listener
    reports: int = 0
    silent_told: bool = False


@dataclass(slots=True)
class AgiCounts:
    """What came that is no report."""

    over_the_cap: int = 0
    too_slow: int = 0
    unreadable: int = 0
    unknown_path: int = 0


class AgiSource:
    """Listens on one address for one PBX or several."""

    def __init__(self, settings: AgiSettings, doors: Sequence[AgiDoor]) -> None:
        self._settings = settings
        self.doors = {door.pbx: door for door in doors}
        self._log = structlog.get_logger(__name__).bind(door="agi", pbx=list(self.doors))
        self._teller = Teller(self._log)
        self._open: set[_Connection] = set()
        self._told: set[str] = set()
        self.counts = AgiCounts()
        self.port: int | None = None  # as long as it listens

    @property
    def listener_errors(self) -> int:
        """How often a listener raised: each time costs one report."""
        return self._teller.listener_errors

    @property
    def connections(self) -> int:
        """How many requests are being read."""
        return len(self._open)

    async def run(self) -> None:
        """Listen until cancelled. An address that cannot be had is tried again, ever more seldom."""
        backoff = Backoff(self._settings.retry_min_s, self._settings.retry_max_s)
        await self._serve(await address_had(self._listen, self._link_down, self._log, backoff))

    async def _listen(self) -> asyncio.Server:
        settings = self._settings
        try:
            return await asyncio.get_running_loop().create_server(
                lambda: _Connection(self, settings.deadline_ms / 1000), settings.listen_host, settings.listen_port
            )
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise LinkLostError(f"{settings.listen_host}:{settings.listen_port}: {reason}") from error

    async def _serve(self, server: asyncio.Server) -> None:
        host, self.port = server.sockets[0].getsockname()[:2]
        self._log.info("listening", host=host, port=self.port)
        for door in self.doors.values():
            self._teller.tell(door.listener.link_up, None)
        try:
            await self._watch(time.monotonic())
        finally:
            self.port = None
            server.close()
            for connection in list(self._open):
                connection.abort()
            self._link_down("stopped listening")

    async def _watch(self, began_at: float) -> None:
        """Tell who never reports, and what could not be read, for ever."""
        before = 0
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            counts = self.counts
            lost = counts.over_the_cap + counts.too_slow + counts.unreadable
            if lost > before:
                for door in self.doors.values():
                    self._teller.tell(
                        door.listener.lost, lost - before, "AGI requests could not be read in time or at all"
                    )
                before = lost
            if time.monotonic() - began_at > SILENT_AFTER_S:
                for door in self.doors.values():
                    if not door.reports and not door.silent_told:
                        door.silent_told = True
                        hint = "is the hangup handler of configs/asterisk/extensions.conf hooked in?"
                        self._log.warning("no call has reported so far (told once)", of=door.pbx, hint=hint)

    # what a connection tells

    def opened(self, connection: _Connection) -> bool:
        """Take a connection; False when there are too many."""
        if len(self._open) >= self._settings.max_connections:
            self.counts.over_the_cap += 1
            self._warn_once("too many AGI connections at once: some reports are lost", cap=len(self._open))
            return False
        self._open.add(connection)
        return True

    def closed(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    def slow(self) -> None:
        """Count a request that was not whole in time."""
        self.counts.too_slow += 1
        self._warn_once("an AGI request was not whole in time", deadline_ms=self._settings.deadline_ms)

    def refused(self, reason: str) -> None:
        """Count what is no report."""
        self.counts.unreadable += 1
        self._warn_once("an AGI request that is no report", reason=reason)

    def requested(self, request: AgiRequest) -> bool:
        """Take what looks like a whole request: hand the report to the PBX that its path names.

        False when it holds no report: then its end may be one that the caller wrote, and the true one is still to come.
        """
        at = time.time()
        door = self.doors.get(request.path.strip("/"))
        if door is None:
            self.counts.unknown_path += 1
            if self.counts.unknown_path <= MAX_PATHS_TOLD:
                self._warn_once("no PBX of that name reports here", path=request.path[:100])
            return True
        report = handler_wire.report_of(request.argument, handler_wire.AGI, at)
        if report is None or report.channel.uniqueid != request.uniqueid:
            return False
        door.reports += 1
        self._teller.tell(door.listener.raw, handler_wire.record(request.argument, at))
        self._teller.tell(door.listener.heard, [report])
        return True

    def _warn_once(self, what: str, **details: object) -> None:
        key = f"{what} {details.get('path', '')}"
        if key not in self._told:
            self._told.add(key)
            self._log.warning(f"{what} (told once)", **details)

    def _link_down(self, reason: str) -> None:
        for door in self.doors.values():
            self._teller.tell(door.listener.link_down, reason)


@dataclass(slots=True, eq=False)
class _Connection(asyncio.Protocol):
    """One request: read to its end, and closed. The deadline counts from the first moment."""

    source: AgiSource
    deadline_s: float
    reader: RequestReader = field(default_factory=RequestReader)
    transport: asyncio.Transport | None = None
    deadline: asyncio.TimerHandle | None = None
    not_ours: bool = False  # a request came whose argument is no report

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  a server makes no other
        self.transport = transport
        if self.source.opened(self):
            self.deadline = asyncio.get_running_loop().call_later(self.deadline_s, self._out_of_time)
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.deadline is None:
            return
        try:
            request = self.reader.feed(data)
        except NotAgiError as error:
            self.source.refused(str(error))
            self.abort()
            return
        if request is not None:
            self.not_ours = not self.source.requested(request)
            if not self.not_ours:
                self._close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.deadline is not None:
            self._forget()
            self.source.refused(NOT_OURS if self.not_ours else f"it ended too early{f': {exc}' if exc else ''}")

    def abort(self) -> None:
        """Drop the connection, whatever it still has to say."""
        self._forget()
        if self.transport is not None:
            self.transport.abort()

    def _close(self) -> None:
        self._forget()
        assert self.transport is not None  # noqa: S101  data came through it
        self.transport.close()

    def _out_of_time(self) -> None:
        if self.not_ours:
            self.source.refused(NOT_OURS)
        else:
            self.source.slow()
        self.abort()

    def _forget(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
        self.source.closed(self)

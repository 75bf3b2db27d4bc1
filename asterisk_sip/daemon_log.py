"""The log: to stderr, for a person or for a log shipper; what repeats itself is told a few times, then counted."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict

from asterisk_sip.config import LogConfig

MOST_ALIKE = 20
"""So many lines alike are told within `ALIKE_S`; the first one after that says how many were not (``unsaid``)."""

ALIKE_S = 60.0
REMEMBERED = 1_000

_WHO = ("pbx", "door", "sink", "part", "store")
"""What tells apart lines of one event: each outage has its own."""


class Threshold:
    """Drops what is below a level. The level can be changed at any time, also for loggers in use."""

    def __init__(self) -> None:
        self.number = logging.INFO

    def set(self, level: str) -> None:
        """Take a level of the configuration: ``debug``, ``info``, ``warning``, ``error``."""
        self.number = logging.getLevelNamesMapping()[level.upper()]

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Let everything from info on through meanwhile: somebody asked, and is to be answered."""
        before, self.number = self.number, min(self.number, logging.INFO)
        try:
            yield
        finally:
            self.number = before

    def __call__(self, _logger: object, method: str, event: EventDict) -> EventDict:
        """Let an event through, or raise DropEvent."""
        level = "error" if method == "exception" else method
        if logging.getLevelNamesMapping().get(level.upper(), logging.INFO) < self.number:
            raise structlog.DropEvent
        return event


class Repeats:
    """Drops lines of one event, by the same part of the program, beyond a few a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[Any, ...], tuple[float, int]] = {}  # when the first of a minute was, how many there were

    def __call__(self, _logger: object, method: str, event: EventDict) -> EventDict:
        """Let an event through, or raise DropEvent."""
        key = (method, event.get("event"), *(str(event.get(name)) for name in _WHO))
        now = self._clock()
        began, count = self._told.get(key, (now, 0))
        if now - began >= ALIKE_S:
            if count > MOST_ALIKE:
                event["unsaid"] = count - MOST_ALIKE
            began, count = now, 0
        if key not in self._told and len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told[key] = (began, count + 1)
        if count >= MOST_ALIKE:
            raise structlog.DropEvent
        return event


class Escaped:
    """Shows what steers a terminal as escapes: the renderer does so only where it quotes a text anyway."""

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """Let an event through."""
        for name, value in event.items():
            if isinstance(value, str) and not value.isprintable() and not _QUOTED & set(value):
                event[name] = repr(value)[1:-1]
        return event


_QUOTED = frozenset(" \t=\r\n\"'")
"""Signs that make the renderer quote a text."""


def _traceback(out: TextIO, error: Any) -> None:
    """Write a traceback without the values of variables: secrets are among them. What an error says may be remote."""
    written = io.StringIO()
    structlog.dev.plain_traceback(written, error)
    lines = (line if line.isprintable() else repr(line)[1:-1] for line in written.getvalue().split("\n"))
    out.write("\n".join(lines))


def told_of(task: asyncio.Task[Any]) -> asyncio.Task[Any]:
    """Have the log tell when a task for ever ends by an error nobody thought of: what it does is not done any more."""
    task.add_done_callback(_tell_fault)
    return task


def _tell_fault(task: asyncio.Task[Any]) -> None:
    fault = None if task.cancelled() else task.exception()
    if fault is not None:
        log = structlog.get_logger(__name__)
        log.error("ended by a fault, and not done until a restart", part=task.get_name(), exc_info=fault)


class Stderr:
    """Writes lines to stderr. A log that cannot be written (a full disk, a reader that is gone) stops nothing."""

    def msg(self, line: str) -> None:
        """Write a line, if that is possible."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg


THRESHOLD = Threshold()


def set_up_log(config: LogConfig) -> None:
    """Send the log to stderr, for a person (console) or for a log shipper (json). Remote text is shown escaped."""
    THRESHOLD.set(config.level)
    json = config.format == "json"
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback)
    renderer: Any = structlog.processors.JSONRenderer() if json else console
    structlog.configure(
        processors=[
            THRESHOLD,
            Repeats(),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if json else Escaped(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *_: Stderr(),
        cache_logger_on_first_use=True,
    )
    logging.getLogger("panoramisk").setLevel(logging.CRITICAL)  # our own source tells what it would tell

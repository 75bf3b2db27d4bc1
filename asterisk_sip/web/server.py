"""The socket beneath the application. Strangers reach it before any login: what they can hold on to is bounded here.

The files this process may open are shared with what listens to the PBXs and writes records.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from .problems import problem

MOST_CONNECTIONS = 256
FIRST_REQUEST_S = 15.0
"""How long somebody who connects may take to ask something, whole."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers and audits that do not know frame-ancestors
    "Referrer-Policy": "same-origin",  # with none at all, browsers do not even tell us that a form is ours
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""What every answer carries, so that browsers keep its reader safe."""

_KEPT_S = 60.0
_HANDSHAKE_S = 10.0
_CLOSE_S = 2.0

log = structlog.get_logger(__name__)

_silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}
"""Who has connected and asked nothing yet, and when they are shown out."""


@web.middleware
async def heard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note that a connection is used for what it is there for."""
    _is_silent_no_more(request.protocol)
    return await handler(request)


def keep_safe(response: web.StreamResponse) -> None:
    """Give an answer what browsers need to know to keep its reader safe; a page has a policy of its own."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "private, no-cache")


class Site(web.BaseSite):
    """An address at which an application is served, by TLS if told how."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(runner, ssl_context=tls)
        self._host = host
        self._port = port
        self._tls = tls

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            self._accepted,
            self._host,
            self._port,
            ssl=self._tls,
            ssl_handshake_timeout=_HANDSHAKE_S if self._tls else None,
        )

    def _accepted(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None or len(server.connections) >= MOST_CONNECTIONS:
            return _TurnedAway()
        protocol = server()
        protocol.__class__ = _Protocol  # the library has no place to name one
        loop = asyncio.get_running_loop()
        _silent[protocol] = loop.call_later(FIRST_REQUEST_S, _show_out, protocol)
        return protocol


class _Protocol(web.RequestHandler):
    """One connection: what is no HTTP is answered as everything else is, and not with the names of our libraries."""

    __slots__ = ()

    def connection_lost(self, exc: BaseException | None) -> None:
        _is_silent_no_more(self)  # else who comes and goes at once would be kept until the time is over
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # for its log; raises when an answer has begun
        answer = problem(
            HTTPStatus(status), "this request cannot be understood" if status < 500 else "the log says more"
        )
        keep_safe(answer)
        answer.headers["Server"] = "asterisk-sip"  # the library names itself where nothing stands
        answer.force_close()
        return answer


class _TurnedAway(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def listen(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    """Serve an application at an address, by TLS if told how. Raises OSError when the address cannot be had."""
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_CLOSE_S,
        keepalive_timeout=_KEPT_S,
        lingering_time=_CLOSE_S,
        logger=_logger(),
    )
    await runner.setup()
    try:
        await Site(runner, host, port, tls).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner


def _is_silent_no_more(protocol: asyncio.BaseProtocol) -> None:
    timer = _silent.pop(protocol, None)
    if timer is not None:
        timer.cancel()


def _show_out(protocol: web.RequestHandler) -> None:
    _silent.pop(protocol, None)
    protocol.force_close()


class _OurLog(logging.Handler):
    """Tells in our log, in a line, what the library tells in its own."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            log.info("not understood: no HTTP", reason=type(error).__name__)
        elif record.levelno >= logging.ERROR:
            log.error("an answer was broken off", exc_info=error)


def _logger() -> logging.Logger:
    logger = logging.getLogger(__name__)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(_OurLog())
    return logger

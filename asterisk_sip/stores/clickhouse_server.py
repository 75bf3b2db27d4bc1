"""One ClickHouse server: how it is connected to, what it is called in messages, and what its errors mean."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

import aiohttp
import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import Error

from asterisk_sip.errors import StoreError, TookTooLongError

CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 60

_GAVE_UP = 159

# By the code of ClickHouse (src/Common/ErrorCodes.cpp).
_REASONS = {
    60: "it has no such table: were some dropped?",
    81: "it has no database of that name",
    _GAVE_UP: "it gave up: see max_execution_time",
    164: "the user may only read",
    192: "it refuses the user or the password",
    193: "it refuses the user or the password",
    202: "it has no query left: see max_concurrent_queries",
    241: "it has no memory left: see max_memory_usage",
    242: "it can only be read: a table lost its replica's keeper",
    243: "its disk is full",
    252: "it cannot merge as fast as is written: see parts_to_throw_insert",
    497: "the user may not do that: see GRANT",
    516: "it refuses the user or the password",
}

_FAILURES: dict[type[BaseException], str] = {
    TimeoutError: "it does not answer",
    socket.gaierror: "there is no host of that name",
    ssl.SSLCertVerificationError: "its certificate is not accepted",
    aiohttp.ClientConnectorCertificateError: "its certificate is not accepted",
    ConnectionRefusedError: "nobody listens there: is ClickHouse running, and its HTTP port open?",
    ConnectionResetError: "the connection was lost",
    aiohttp.ServerDisconnectedError: "the connection was lost",
}
_SAID = re.compile(r"DB::Exception: (.+?)(?: \(for url .*)?$", re.DOTALL)


def place_of(url: str) -> str:
    """Return what to call a server and its database in messages: the URL without its user and its options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


async def connect(url: str, password: str | None) -> AsyncClient:
    """Return a client, when the server has answered it. ``?secure=true`` asks for TLS, ``&ca_cert=`` names a root.

    Raises what `errors_of` knows.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    secure = options.get("secure") == "true"
    return await clickhouse_connect.get_async_client(
        host=parts.hostname or "localhost",
        port=parts.port or (8443 if secure else 8123),
        interface="https" if secure else "http",
        username=unquote(parts.username or "default"),
        password=password or "",
        database=unquote(parts.path.lstrip("/")) or "default",
        ca_cert=options.get("ca_cert"),
        compress=False,  # records are read and written beside the server, or nearly so
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=ANSWER_TIMEOUT_S,
        client_name="asterisk-sip",
        query_retries=0,  # who asks tries again
        http_proxy=None,
    )


@contextlib.contextmanager
def errors_of(place: str) -> Iterator[None]:
    """Turn the errors of the driver and of the network into StoreError, which names the server and the reason."""
    try:
        yield
    except (Error, aiohttp.ClientError, OSError) as error:
        kind = TookTooLongError if getattr(error, "code", None) == _GAVE_UP else StoreError
        raise kind(f"{place}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    code = getattr(error, "code", None)
    if code in _REASONS:
        return _REASONS[code]
    cause: BaseException | None = error
    while cause is not None:
        for kind, reason in _FAILURES.items():
            if isinstance(cause, kind):
                return reason
        inner = getattr(cause, "os_error", None)
        cause = inner if isinstance(inner, BaseException) and inner is not cause else cause.__cause__
    said = _SAID.search(str(error))
    return (said[1] if said else str(error)).partition("\n")[0] or type(error).__name__

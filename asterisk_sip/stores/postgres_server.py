"""One PostgreSQL server: how it is connected to, what it is called in messages, and what its errors mean."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from asterisk_sip.errors import StoreError, TookTooLongError

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 60.0

_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"

_CANCELLED = "57014"

# By SQLSTATE, or by its class, which is the first two characters (PostgreSQL manual, appendix A).
_REASONS = {
    "08": "the connection was lost",
    "25006": "it can only be read: this may be a standby",
    "28": "it refuses the user or the password: see pg_hba.conf and the server's log",
    "3D": "it has no database of that name",
    "42501": "the user may not do that: it must own the database, or may create tables in its schema",
    "53100": "its disk is full",
    "53300": "it has no connection left: see max_connections",
    "55P03": "another program keeps a table locked",
    _CANCELLED: "it gave up: see statement_timeout",
    "57P": "it is starting or stopping",
}

_FAILURES: dict[type[BaseException], str] = {
    asyncpg.TargetServerAttributeNotMatched: "none of its hosts takes what is written: they are standbys",
    TimeoutError: "it does not answer",
    socket.gaierror: "there is no host of that name",
    ssl.SSLCertVerificationError: "its certificate is not accepted",
    ConnectionRefusedError: "nobody listens there: is PostgreSQL running?",
    asyncpg.ConnectionDoesNotExistError: "the connection was lost",
}


def place_of(url: str) -> str:
    """Return what to call a server and its database in messages: the URL without its options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def engine(
    url: str, password: str | None, size: int, *, use: Literal["write", "read"], patience_s: float | None = None
) -> AsyncEngine:
    """Return an engine of up to ``size`` connections. The URL may name several hosts: the first that will do is taken.

    What is to be written goes to a server that takes it, and a commit is on its disk when it returns. What is read may
    take ``patience_s``, None for as long as the server allows.
    """
    asked: dict[str, Any] = {"timeout": CONNECT_TIMEOUT_S, "command_timeout": ANSWER_TIMEOUT_S}
    if password is not None:
        asked["password"] = password
    asked["server_settings"] = {"application_name": "asterisk-sip"}
    if use == "write":
        asked["target_session_attrs"] = "read-write"
        # A program that is stopped in the middle of a batch must not keep the others from writing.
        asked["server_settings"]["idle_in_transaction_session_timeout"] = f"{ANSWER_TIMEOUT_S:.0f}s"
    else:
        asked["server_settings"]["default_transaction_read_only"] = "on"
        asked["server_settings"]["jit"] = "off"  # no question here lasts as long as compiling it would
        if patience_s is not None:
            asked["server_settings"]["statement_timeout"] = f"{patience_s * 1000:.0f}ms"

    async def connect() -> Any:
        connection = await asyncpg.connect(url, **asked)
        if use == "write":
            await connection.execute(_DURABLE)
        return connection

    creator: Callable[[], Awaitable[Any]] = connect
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=creator,
        pool_size=size,
        max_overflow=0,
        pool_timeout=ANSWER_TIMEOUT_S if patience_s is None else patience_s,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",  # whoever waited for the writer's lock sees what that one wrote
    )


@contextlib.contextmanager
def errors_of(place: str) -> Iterator[None]:
    """Turn the errors of the driver and of the network into StoreError, which names the server and the reason."""
    try:
        yield
    except DBAPIError as error:
        kind = TookTooLongError if getattr(error.orig, "sqlstate", None) == _CANCELLED else StoreError
        raise kind(f"{place}: {_reason(error.orig)}") from error
    except PoolTimeoutError as error:
        raise TookTooLongError(f"{place}: all connections were busy with other questions") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise StoreError(f"{place}: {_reason(error)}") from error


def _reason(error: BaseException | None) -> str:
    state = getattr(error, "sqlstate", None) or ""
    for known in (state, state[:3], state[:2]):
        if known in _REASONS:
            return _REASONS[known]
    for kind, reason in _FAILURES.items():
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).partition("\n")[0] or type(error).__name__

"""How ARI is asked: one HTTP session for each link, and every way in which asking may fail as one of our errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp

from asterisk_sip.errors import AuthError, LinkLostError, SourceError, WireError
from asterisk_sip.sources.ari_settings import AriSettings
from asterisk_sip.sources.ari_stream import CLOSED, Answered
from asterisk_sip.sources.keeper import tls_context, why_no_tls, why_unreachable

CLOSE_TIMEOUT_S = 2.0
MAX_ANSWER_BYTES = 1 << 26
NOT_ARI = "what answers there is not an Asterisk REST Interface"


class WebSocketWithTransport(aiohttp.ClientWebSocketResponse[bool]):
    """A websocket that shows what carries it, so that reading can pause."""

    def __init__(
        self, reader: Any, writer: Any, protocol: str | None, response: Any, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(reader, writer, protocol, response, *args, **kwargs)
        self.transport: asyncio.Transport = response.connection.transport


class AriHttp:
    """The questions of one link.

    Every method raises LinkLostError when there is no connection or no answer, or Asterisk is not ready; WireError when
    it is not ARI that answers; AuthError when Asterisk refuses the user.
    """

    def __init__(self, settings: AriSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._server_name = settings.server_name if settings.tls else None

    async def get(self, path: str) -> Answered:
        """Return the JSON that Asterisk answers to a GET; the time is in whole seconds."""
        async with self._asking(path) as session:
            async with session.get(
                self._settings.url + path, server_hostname=self._server_name, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise _refusal(response.status, response.reason or "", self._settings, path)
                body = await _body(response)
                at = _http_date(response.headers.get("Date")) or float(int(time.time()))
            try:
                return Answered(at, json.loads(body))
            except (ValueError, RecursionError) as error:
                raise WireError(f"{NOT_ARI}: GET {path} gives {response.content_type}") from error

    async def websocket(self) -> WebSocketWithTransport:
        """Open the stream of all events."""
        settings = self._settings
        async with self._asking("/events") as session:
            socket = await session.ws_connect(
                f"{settings.url}/events",
                params={"app": settings.app, "subscribeAll": "true"},
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                heartbeat=settings.heartbeat_s,
                max_msg_size=settings.max_message_bytes,
                server_hostname=self._server_name,
                decode_text=False,
            )
            assert isinstance(socket, WebSocketWithTransport)  # noqa: S101  the session makes no other
            return socket

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    @contextlib.asynccontextmanager
    async def _asking(self, path: str) -> AsyncIterator[aiohttp.ClientSession]:
        """Map what may go wrong in a request to our errors."""
        settings = self._settings
        if self._session is None:
            self._session = _session(settings)
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                yield self._session
        except TimeoutError as error:
            raise LinkLostError(f"no answer to GET {path} within {settings.connect_timeout_s:g} s") from error
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status, error.message, settings, path) from None  # it holds our headers
        except aiohttp.ClientResponseError as error:
            raise WireError(f"what answers there is not HTTP: {error.message}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LinkLostError(why_lost(error)) from error


def _session(settings: AriSettings) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls_context(settings.ca_file) if settings.tls else True, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Authorization": aiohttp.encode_basic_auth(settings.username, settings.password)},
        timeout=aiohttp.ClientTimeout(total=None),
        ws_response_class=WebSocketWithTransport,  # type: ignore[arg-type]  # of the kind that keeps text as bytes
    )


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise WireError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _refusal(status: int, phrase: str, settings: AriSettings, path: str) -> SourceError:
    """Return what to raise for an HTTP status that is not the one we need."""
    said = f"{status} {phrase}".rstrip()
    if status == 401:
        return AuthError(f"login of user {settings.username!r} refused: {said}")
    if status == 403:
        return AuthError(f"user {settings.username!r} may not ask: {said}")
    if status == 404:
        return WireError(f"no ARI at {settings.url}: GET {path}: {said} (is ARI enabled, and the prefix right?)")
    if status >= 500:
        return LinkLostError(f"Asterisk is not ready: GET {path}: {said}")
    return WireError(f"{NOT_ARI}: GET {path}: {said}")


def why_lost(error: BaseException) -> str:
    """Return why there is no connection, in the words of the operating system where it has some."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        error = error.certificate_error
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        error = error.os_error
    if isinstance(error, ssl.SSLError):
        return why_no_tls(error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return CLOSED
    if isinstance(error, aiohttp.ClientOSError):
        return why_unreachable(error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error)
    return f"no connection: {error or type(error).__name__}"


def _http_date(text: str | None) -> float | None:
    """Return the time of an HTTP ``Date`` header in seconds since 1970 (whole ones), None when it tells none."""
    try:
        return datetime.strptime(text or "", "%a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None

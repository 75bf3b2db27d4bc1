"""HTTP POST as sinks need it: who is reached, who signed it, how long it may take, and what each answer means."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
from standardwebhooks import Webhook

from asterisk_sip import __version__
from asterisk_sip.errors import PermanentSinkError, SinkError, TransientSinkError, os_words
from asterisk_sip.sinks.addresses import Guard

_LATER = frozenset({408, 425, 429})
_SAME_AGAIN = frozenset({307, 308})
"""Redirects that ask for the same request at another place (RFC 9110, 15.4.8 and 15.4.9)."""
_ANSWER_BYTES = 200


@dataclass(frozen=True, slots=True)
class PostSettings:
    """Where to post. Only the scheme and host of ``url`` are ever shown: the rest may be a secret, as ``headers`` are.

    ``parallel`` requests are under way at a time, each for ``timeout_s`` at most. ``ca_file``: who signed the server's
    certificate, if not an authority this machine trusts. ``allow_private``: names may lead to addresses of this machine
    or this network. So many ``redirects`` are followed, never from https to http, and without ``headers`` once the host
    is another.
    """

    url: str = field(repr=False)
    parallel: int = 8
    timeout_s: float = 10.0
    ca_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_private: bool = True
    redirects: int = 0


class Poster:
    """Posts to one URL."""

    def __init__(self, settings: PostSettings, media_type: str, guard: Guard | None = None) -> None:
        self.place = _place(settings.url)
        self._settings = settings
        self._media_type = media_type
        self._guard = guard or Guard(settings.url, allow_private=settings.allow_private)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready; nothing is sent. Raises TransientSinkError when ``ca_file`` cannot be read."""
        if self._session is not None:
            return
        try:
            tls = await asyncio.to_thread(ssl.create_default_context, cafile=self._settings.ca_file)
        except OSError as error:
            raise TransientSinkError(f"{self._settings.ca_file}: {error.strerror or error}") from error
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.parallel, ssl=tls, resolver=self._guard),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
            headers={"Content-Type": self._media_type, "User-Agent": f"asterisk-sip/{__version__}"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # what comes back is only looked at: no bomb is worth unpacking
        )

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send one request; it was answered 2xx when this returns. Raises as `Sink.write`."""
        if self._session is None:
            raise TransientSinkError(f"{self.place}: not open")
        url, asked = self._settings.url, {**self._settings.headers, **headers}
        try:
            for left in range(self._settings.redirects, -1, -1):
                self._guard.check(url)
                async with self._session.post(url, data=body, headers=asked, allow_redirects=False) as answer:
                    if 200 <= answer.status < 300:
                        return
                    if not left or answer.status not in _SAME_AGAIN:
                        raise await self._refused(answer)
                    onward = self._onward(url, answer.headers.get("Location", ""))
                if urlsplit(onward).netloc != urlsplit(url).netloc:
                    asked = {**headers}
                url = onward
        except TimeoutError as error:
            raise TransientSinkError(f"{self.place}: no answer within {self._settings.timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransientSinkError(f"{self.place}: {_words(error)}") from error

    def _onward(self, url: str, location: str) -> str:
        """Return where a redirect leads. Raises TransientSinkError for where it is not followed to."""
        try:
            onward = urljoin(url, location)
            parts = urlsplit(onward)
            followed = bool(parts.hostname) and parts.scheme in ("https", urlsplit(url).scheme) and location
        except ValueError:
            followed = ""
        if not followed:
            raise TransientSinkError(f"{self.place}: redirects to what is no URL, or from https to another scheme")
        return onward

    async def _refused(self, answer: aiohttp.ClientResponse) -> SinkError:
        """Decide whether an answer other than 2xx may change later."""
        reason = f"{self.place}: answered {answer.status}"
        if 300 <= answer.status < 400:
            told = "but no further redirect is" if self._settings.redirects else "but redirects are not"
            return TransientSinkError(f"{reason}, {told} followed; set the new address as url")
        if answer.status in _LATER or answer.status >= 500:
            return TransientSinkError(reason, not_before_s=_seconds(answer.headers.get("Retry-After")))
        said = (await answer.content.read(_ANSWER_BYTES)).decode("utf-8", "replace").strip()
        return PermanentSinkError(f"{reason}: {said}" if said else reason)


def signed(signers: Iterable[Webhook], id_: str, body: str) -> dict[str, str]:
    """Return the headers of Standard Webhooks for a request that is sent now: signed by each, if there is any."""
    at = datetime.now(UTC)
    headers = {"webhook-id": id_, "webhook-timestamp": str(int(at.timestamp()))}
    signatures = [signer.sign(id_, at, body) for signer in signers]
    return headers | ({"webhook-signature": " ".join(signatures)} if signatures else {})


def _words(error: Exception) -> str:
    return os_words(error) if isinstance(error, OSError) and error.strerror else type(error).__name__


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3); None when it says nothing of use."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdigit():
            return float(retry_after)
        at = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())

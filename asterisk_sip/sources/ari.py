"""The ARI door: one websocket to one Asterisk, kept up for ever, its events handed on in order.

A read-only user suffices: ``subscribeAll=true`` gives the events of every channel, and three GETs tell the version and
what lives. Asterisk sends each event once, to one client for each application name.
"""

from __future__ import annotations

import structlog
from structlog.typing import FilteringBoundLogger

from asterisk_sip.errors import WireError
from asterisk_sip.sources.ari_hearing import Hearing
from asterisk_sip.sources.ari_http import NOT_ARI, AriHttp
from asterisk_sip.sources.ari_settings import AriSettings
from asterisk_sip.sources.ari_stream import Stream
from asterisk_sip.sources.keeper import LinkedSource
from asterisk_sip.sources.listener import Listener, Losses

__all__ = ["AriLink", "AriSettings", "AriSource", "Listener", "Losses"]


class AriLink:
    """One websocket, and the questions asked beside it."""

    def __init__(self, settings: AriSettings, listener: Listener, log: FilteringBoundLogger | None = None) -> None:
        self._settings = settings
        self._listener = listener
        self._log = log or structlog.get_logger(__name__)
        self._http = AriHttp(settings)
        self._stream: Stream | None = None
        self.hearing = Hearing(listener, settings.max_message_bytes, self._log)

    @property
    def version(self) -> str | None:
        """Asterisk's version, None when it did not tell."""
        return self.hearing.reader.version

    @property
    def losses(self) -> Losses:
        """What this connection lost so far."""
        return self.hearing.losses

    async def open(self) -> None:
        """Ask for the version, then open the websocket; when that fails, all is closed again.

        Raises LinkLostError when there is no connection or no answer, or Asterisk is not ready; WireError when it is
        not ARI that answers; AuthError when Asterisk refuses the user.
        """
        try:
            await self._ask_version()
            socket = await self._http.websocket()
            self._stream = Stream(socket, socket.transport, self.hearing, self._http.get, self._settings)
        except BaseException:
            await self.close()
            raise

    async def _ask_version(self) -> None:
        self.hearing.introduced(*await self._http.get("/asterisk/info?only=system"))
        if self.version is None:
            raise WireError(f"{NOT_ARI}: it does not tell its version")

    async def listen(self) -> str:
        """Hear until the link is lost; return why it was. Raises TakenOverError."""
        assert self._stream is not None  # noqa: S101  open() made it
        self._stream.start(self.hearing.frame)
        return await self._stream.listen(self._listener)

    def relist(self) -> None:
        """Ask which channels are alive; they come as events."""
        if self._stream is not None:
            self._stream.relist()

    async def close(self) -> None:
        """Close for good: nothing more is heard."""
        try:
            if self._stream is not None:
                await self._stream.close()
        finally:
            await self._http.close()


class AriSource(LinkedSource[AriLink]):
    """Keeps a link to one Asterisk up and hands its events to a listener, until cancelled."""

    def __init__(self, name: str, settings: AriSettings, listener: Listener) -> None:
        super().__init__(name, "ari", settings, listener)
        self._settings = settings

    def _new_link(self) -> AriLink:
        return AriLink(self._settings, self._listener, self._log)

    async def _hear(self, link: AriLink) -> str:
        await link.open()
        self._keeper.listening(link.version)
        return await link.listen()

    def relist(self) -> None:
        """Ask which channels are alive: some news of them may be lost. They come as events; no link, no answer."""
        if self._link is not None:
            self._link.relist()

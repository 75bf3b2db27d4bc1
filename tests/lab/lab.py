"""A whole lab: one PBX, the peers it knows, a caller, and an AMI user that may do anything."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Self

from tests.lab.ami import AmiClient, Message
from tests.lab.asterisk import Asterisk
from tests.lab.errors import NotYetError
from tests.lab.sip_caller import SipCaller
from tests.lab.sip_peer import SipPeer
from tests.lab.wait import POLL_S


class Lab:
    """Everybody around a PBX that already runs: ``async with Lab(pbx) as lab: await lab.caller.call("486")``."""

    def __init__(self, pbx: Asterisk) -> None:
        host, ports = pbx.host, pbx.ports
        self.pbx = pbx
        self.acme = SipPeer(host, ports.acme, "acme")
        self.globex = SipPeer(host, ports.globex, "globex")
        self.initech = SipPeer(host, ports.initech, "initech")
        self.phones = SipPeer(host, ports.phones, "phones")
        self.silent = SipPeer(host, ports.silent, "silent", deaf=True)
        self.caller = SipCaller(host, ports.sip)
        self.direct = SipCaller(host, ports.sip, "direct")  # its media goes past Asterisk
        self.inbound = SipCaller(host, ports.sip, "acme")  # calls that come in over the trunk acme
        self.ami = AmiClient(host, ports.ami)
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        for peer in self.peers:
            await self._open.enter_async_context(peer)
        for caller in (self.caller, self.direct, self.inbound):
            await self._open.enter_async_context(caller)
        await self._open.enter_async_context(self.ami)
        await self.ami.connect(self.pbx.lab.name, self.pbx.lab.secret, events="off")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @property
    def peers(self) -> tuple[SipPeer, ...]:
        """Every peer: trunks and phones."""
        return (self.acme, self.globex, self.initech, self.phones, self.silent)

    async def idle(self, within_s: float = 60.0) -> None:
        """Wait until the PBX has no channel left."""
        deadline = time.monotonic() + within_s
        while left := await self.ami.listing("CoreShowChannels"):
            if time.monotonic() > deadline:
                raise NotYetError(f"{len(left)} channels left after {within_s:g} s")
            await asyncio.sleep(POLL_S)

    async def originate(self, channel: str, exten: str, timeout_s: float = 30.0) -> Message:
        """Dial ``channel`` by AMI and send it to ``exten`` when it answers; give the OriginateResponse."""
        async with AmiClient(self.pbx.host, self.pbx.ports.ami) as ami:
            await ami.connect(self.pbx.lab.name, self.pbx.lab.secret, events="call")
            return await ami.originate(channel, exten, timeout_s=timeout_s)

    def forget(self) -> None:
        """Let every peer forget its scripts and calls."""
        for peer in self.peers:
            peer.forget()

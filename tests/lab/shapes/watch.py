"""Waiting for what a scenario needs to have happened before it goes on."""

from __future__ import annotations

import asyncio

from tests.lab.ami import first
from tests.lab.lab import Lab
from tests.lab.sip_peer import PeerCall, SipPeer
from tests.lab.wait import POLL_S, until


async def answered(peer: SipPeer, user: str) -> PeerCall:
    """Give the peer's call to a user, once it is up."""
    await until(lambda: any(call.user == user and call.acked.is_set() for call in peer.calls), f"{user} talks")
    return next(call for call in peer.calls if call.user == user)


async def talks(lab: Lab, user: str) -> PeerCall:
    """Give the telephone's call to a user, once it is up and bridged with its caller."""
    call = await answered(lab.phones, user)
    async with asyncio.timeout(10):
        while not await _bridged(lab, user):  # noqa: ASYNC110  Asterisk has to be asked
            await asyncio.sleep(POLL_S)
    return call


async def _bridged(lab: Lab, user: str) -> bool:
    bridge_of = {first(row, "Channel"): first(row, "BridgeId") for row in await lab.ami.listing("CoreShowChannels")}
    mine = next((bridge for name, bridge in bridge_of.items() if name.startswith(f"PJSIP/{user}-")), "")
    return bool(mine) and list(bridge_of.values()).count(mine) > 1


async def channel_of(lab: Lab, peer: str) -> str:
    """Give the name of the channel of a peer that is up now."""
    rows = await lab.ami.listing("CoreShowChannels")
    return next(first(row, "Channel") for row in rows if first(row, "Channel").startswith(f"PJSIP/{peer}-"))


async def rings(peer: SipPeer, user: str) -> PeerCall:
    """Give the peer's call to a user, once it rings."""
    await until(lambda: any(call.user == user and 180 in call.sent for call in peer.calls), f"{user} rings")
    return next(call for call in peer.calls if call.user == user)

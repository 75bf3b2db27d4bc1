"""Calls in the hands of an ARI application: begun, bridged, dialled, listened to and ended by it."""

from __future__ import annotations

import asyncio

from tests.lab.ari_app import APP, AriApp
from tests.lab.lab import Lab
from tests.lab.scenario import Play, Scenario, Setup
from tests.lab.shapes.watch import channel_of, talks
from tests.lab.sip_script import ANSWER, Reply, Script

BYE_SOON = Script((Reply(180), Reply(200, after_s=0.1)), bye_after_s=0.3)


async def originated(lab: Lab, _: Setup) -> None:
    lab.phones.scripts["alice"] = ANSWER
    async with AriApp(lab) as app:
        await app.post("channels", endpoint="PJSIP/alice", app=APP)
        alice = await app.entered("PJSIP/alice")
        await app.delete(f"channels/{alice}")
        await app.gone(alice)


async def originated_in_vain(lab: Lab, _: Setup) -> None:
    async with AriApp(lab) as app:
        channel = await app.post("channels", endpoint="PJSIP/503@acme", app=APP)
        await app.gone(channel["id"])


async def bridged(lab: Lab, _: Setup) -> None:
    """A caller enters the application, which calls bob and puts both into a bridge; bob hangs up."""
    lab.phones.scripts["bob"] = BYE_SOON
    async with AriApp(lab) as app:
        calling = asyncio.create_task(lab.caller.call("stasis.in"))
        caller = await app.entered("PJSIP/caller")
        await app.post("channels", endpoint="PJSIP/bob", app=APP, originator=caller)
        bob = await app.entered("PJSIP/bob")
        await app.post(f"channels/{caller}/answer")
        bridge = await app.post("bridges", type="mixing")
        await app.post(f"bridges/{bridge['id']}/addChannel", channel=f"{caller},{bob}")
        await app.gone(bob)
        await app.delete(f"channels/{caller}")
        await calling
        await app.delete(f"bridges/{bridge['id']}")


def refused(dialled: bool) -> Play:
    """Play a caller for whom the application calls a trunk that is busy, and whom it then hangs up as busy.

    ``dialled``: by the two steps create and dial, else by an Originate in the caller's name.
    """

    async def play(lab: Lab, _: Setup) -> None:
        async with AriApp(lab) as app:
            calling = asyncio.create_task(lab.caller.call("stasis.in"))
            caller = await app.entered("PJSIP/caller")
            if dialled:
                made = await app.post("channels/create", endpoint="PJSIP/486@acme", app=APP, originator=caller)
                await app.entered("PJSIP/acme")
                await app.post(f"channels/{made['id']}/dial", caller=caller, timeout="10")
            else:
                made = await app.post("channels", endpoint="PJSIP/486@acme", app=APP, originator=caller)
            await app.gone(made["id"])
            await app.delete(f"channels/{caller}", reason="busy")
            await calling

    return play


async def left(lab: Lab, _: Setup) -> None:
    """The caller gives up in the application before it has called anybody."""
    leaves = asyncio.Event()
    async with AriApp(lab) as app:
        calling = asyncio.create_task(lab.caller.call("stasis.in", hang_up=leaves))
        caller = await app.entered("PJSIP/caller")
        leaves.set()
        await calling
        await app.gone(caller)


async def snooped(lab: Lab, _: Setup) -> None:
    """The application listens to a call that is up."""
    lab.phones.scripts["bob"] = ANSWER
    async with AriApp(lab) as app:
        leaves = asyncio.Event()
        calling = asyncio.create_task(lab.caller.call("phone.bob", hang_up=leaves))
        await talks(lab, "bob")
        name = await channel_of(lab, "caller")
        rows = await lab.ami.listing("CoreShowChannels")
        caller = next(row["Uniqueid"][0] for row in rows if row["Channel"] == [name])
        await app.post(f"channels/{caller}/snoop", spy="both", app=APP)
        snoop = await app.entered("Snoop/")
        leaves.set()
        await calling
        await app.gone(snoop)


async def external(lab: Lab, _: Setup) -> None:
    """The application bridges the caller with a media server (RTP), then hangs both up."""
    async with AriApp(lab) as app:
        calling = asyncio.create_task(lab.caller.call("answerstasis"))
        caller = await app.entered("PJSIP/caller")
        where = f"{lab.pbx.host}:{lab.pbx.ports.silent}"
        media = await app.post("channels/externalMedia", app=APP, external_host=where, format="ulaw")
        await app.entered("UnicastRTP/")
        bridge = await app.post("bridges", type="mixing")
        await app.post(f"bridges/{bridge['id']}/addChannel", channel=f"{caller},{media['id']}")
        await app.delete(f"channels/{media['id']}")
        await app.delete(f"channels/{caller}")
        await calling
        await app.delete(f"bridges/{bridge['id']}")


SCENARIOS = (
    Scenario("stasis-originate", "an ARI application calls a phone, which answers, and hangs up", originated),
    Scenario("stasis-originate-failed", "an ARI application calls a trunk that answers 503", originated_in_vain),
    Scenario("stasis-bridged", "an ARI application calls a phone for its caller and bridges the two", bridged),
    Scenario(
        "stasis-refused",
        "an ARI application calls a trunk for its caller, which is busy, and hangs the caller up as busy",
        refused(dialled=False),
    ),
    Scenario(
        "stasis-dial-refused",
        "an ARI application dials (create, dial) a busy trunk for its caller, and hangs the caller up as busy",
        refused(dialled=True),
    ),
    Scenario("stasis-left", "the caller gives up in an ARI application that has called nobody", left),
    Scenario("stasis-snoop", "an ARI application listens to a call (Snoop)", snooped),
    Scenario("stasis-external-media", "an ARI application bridges a caller with a media server", external),
)

"""Calls that end up elsewhere than dialled: picked up, forwarded; and those that are heard before they are answered."""

from __future__ import annotations

import asyncio

from tests.lab.lab import Lab
from tests.lab.scenario import Play, Scenario, Setup
from tests.lab.shapes.watch import rings
from tests.lab.sip_caller import SipCaller
from tests.lab.sip_script import Reply, Script, rejecting

ANSWERS = Script((Reply(180), Reply(200)), bye_after_s=0.3)
RINGS_THEN_BUSY = Script((Reply(180), Reply(486, after_s=0.2)))


async def picked_up(lab: Lab, _: Setup) -> None:
    """Bob's telephone rings; carol takes the call from hers."""
    async with SipCaller(lab.pbx.host, lab.pbx.ports.sip, "carol", "103") as carol:
        calling = asyncio.create_task(lab.caller.call("phone.bob"))
        await rings(lab.phones, "bob")
        await carol.call("pickup", bye_after_s=1.0)
        await calling


async def nothing_to_pick_up(lab: Lab, _: Setup) -> None:
    async with SipCaller(lab.pbx.host, lab.pbx.ports.sip, "carol", "103") as carol:
        await carol.call("pickup")


def forwarded(exten: str, target: Script, to: str = "phone.carol") -> Play:
    """Play a call to bob, whose telephone sends it (302) to an extension."""

    async def play(lab: Lab, _: Setup) -> None:
        contact = ("Contact", f"<sip:{to}@{lab.pbx.host}:{lab.pbx.ports.sip}>")
        lab.phones.scripts["bob"] = rejecting(302, None, (contact,))
        lab.phones.scripts["carol"] = target
        await lab.caller.call(exten, bye_after_s=3.0)

    return play


def heard_before(*replies: Reply) -> Play:
    """Play a call over a trunk that sends early media first."""

    async def play(lab: Lab, _: Setup) -> None:
        lab.acme.scripts["early"] = Script((Reply(183), *replies), bye_after_s=0.3)
        await lab.caller.call("trunk.acme.early")

    return play


SCENARIOS = (
    Scenario("pickup", "bob's phone rings, carol takes the call from hers", picked_up),
    Scenario("pickup-nothing", "carol wants to take a call, and no phone rings", nothing_to_pick_up),
    Scenario("forward-answered", "bob's phone forwards (302) to carol's, who answers", forwarded("phone.bob", ANSWERS)),
    Scenario(
        "forward-refused", "bob's phone forwards (302) to carol's, who is busy", forwarded("phone.bob", RINGS_THEN_BUSY)
    ),
    Scenario(
        "forward-in-group",
        "three phones ring, one forwards (302) to a trunk that answers 503, the others until the time-out of 2 s",
        forwarded("three.2", Script((Reply(180),)), "trunk.acme.503"),
    ),
    Scenario("early-media-refused", "183 with early media, then 486", heard_before(Reply(486, after_s=0.3))),
    Scenario("early-media-answered", "183 with early media, then answered", heard_before(Reply(200, after_s=0.3))),
)

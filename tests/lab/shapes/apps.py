"""Applications that keep a caller, listen to a call, or carry no call at all; and legs that are not SIP."""

from __future__ import annotations

import asyncio

from tests.lab.lab import Lab
from tests.lab.scenario import Scenario, Setup, dials
from tests.lab.shapes.watch import talks
from tests.lab.sip_caller import SipCaller
from tests.lab.sip_script import ANSWER, Reply, Script
from tests.lab.wait import until


async def spied(lab: Lab, _: Setup) -> None:
    """Carol listens to a call of bob's."""
    lab.phones.scripts["bob"] = ANSWER
    async with SipCaller(lab.pbx.host, lab.pbx.ports.sip, "carol", "103") as carol:
        leaves = asyncio.Event()
        calling = asyncio.create_task(lab.caller.call("phone.bob", hang_up=leaves))
        await talks(lab, "bob")
        spying = asyncio.create_task(carol.call("spy", hang_up=leaves))
        await carol.in_call("spy")
        leaves.set()
        await asyncio.gather(calling, spying)


async def recorded(lab: Lab, _: Setup) -> None:
    lab.phones.scripts["bob"] = Script((Reply(180), Reply(200)), bye_after_s=0.3)
    await lab.caller.call("recorded.bob")


async def messaged(lab: Lab, _: Setup) -> None:
    """A manager sends a text to a phone, and then there is a call."""
    await lab.ami.action("MessageSend", To="pjsip:alice", From="<sip:lab@lab>", Body="hello")
    await until(lambda: lab.phones.requests["MESSAGE"], "the text has come")
    await lab.caller.call("486")


SCENARIOS = (
    Scenario("app-echo", "a caller in Echo hangs up", dials("echo", 0.3)),
    Scenario("app-voicemail", "a caller in VoiceMail hangs up", dials("voicemail", 1.0), releases=("22",)),
    Scenario("app-chanspy", "a third phone listens to a call (ChanSpy)", spied),
    Scenario("app-mixmonitor", "a call is recorded (MixMonitor)", recorded),
    Scenario("app-message", "a text message, which is no call, and then a call that is refused", messaged),
    Scenario("other-multicast", "a MulticastRTP leg, which is up at once", dials("multicast", 0.5)),
    Scenario("other-audiosocket", "an AudioSocket leg whose port is closed", dials("audiosocket"), releases=("22",)),
)

"""Calls that are parked, and Local channels that make room once the call is answered."""

from __future__ import annotations

import asyncio

from tests.lab.lab import Lab
from tests.lab.scenario import Scenario, Setup, dials
from tests.lab.shapes.watch import channel_of, talks
from tests.lab.sip_caller import SipCaller
from tests.lab.sip_script import ANSWER
from tests.lab.wait import POLL_S


async def _parked(lab: Lab) -> None:
    """Wait until the caller is parked."""
    async with asyncio.timeout(10):
        while not await lab.ami.listing("ParkedCalls"):  # noqa: ASYNC110  Asterisk has to be asked
            await asyncio.sleep(POLL_S)


async def _park(lab: Lab, leaves: asyncio.Event | None = None) -> asyncio.Task[object]:
    """Bob answers, sends his caller to the car park and, once that is done, leaves: a BYE may overtake the transfer."""
    lab.phones.scripts["bob"] = ANSWER
    calling = asyncio.create_task(lab.caller.call("phone.bob", hang_up=leaves))
    bob = await talks(lab, "bob")
    await lab.phones.refer(bob, f"sip:park@{lab.pbx.host}")
    await _parked(lab)
    await lab.phones.hang_up(bob)
    return calling


async def retrieved(lab: Lab, _: Setup) -> None:
    calling = await _park(lab)
    async with SipCaller(lab.pbx.host, lab.pbx.ports.sip, "carol", "103") as carol:
        await carol.call("retrieve.701", bye_after_s=1.0)
        await calling


async def comes_back(lab: Lab, _: Setup) -> None:
    """A manager parks the caller; by REFER, release 16 keeps the callee's leg for the 600 s of its subscription."""
    lab.phones.scripts["bob"] = ANSWER
    calling = asyncio.create_task(lab.caller.call("phone.bob"))
    await talks(lab, "bob")
    caller, bob = await channel_of(lab, "caller"), await channel_of(lab, "bob")
    lab.phones.calls.clear()
    await lab.ami.action("Park", Channel=caller, TimeoutChannel=bob, Timeout="1000")
    await lab.phones.hang_up(await talks(lab, "bob"))
    await calling


async def left_parked(lab: Lab, _: Setup) -> None:
    leaves = asyncio.Event()
    calling = await _park(lab, leaves)
    leaves.set()
    await calling


SCENARIOS = (
    Scenario("parked-retrieved", "the callee parks the caller, another phone takes the call", retrieved),
    Scenario(
        "parked-timeout",
        "the caller is parked (AMI Park), nobody takes the call, it rings the callee",
        comes_back,
    ),
    Scenario("parked-abandoned", "the callee parks the caller, who hangs up", left_parked),
    Scenario("local-answered", "a Local channel into a trunk that answers makes room for it", dials("local.200", 0.5)),
    Scenario(
        "local-answered-kept", "a Local channel (/n) into a trunk that answers stays", dials("keptlocal.200", 0.5)
    ),
    Scenario(
        "local-failover",
        "a Local channel whose dialplan fails over and is answered",
        dials("local.failover.503.200", 0.5),
    ),
)

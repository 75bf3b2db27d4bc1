"""Answered calls that are handed on: blind, after a talk, and while the next telephone rings."""

from __future__ import annotations

import asyncio

from tests.lab.lab import Lab
from tests.lab.scenario import Play, Scenario, Setup
from tests.lab.shapes.watch import answered, channel_of, talks
from tests.lab.sip_caller import SipCaller
from tests.lab.sip_script import ANSWER, Reply, Script
from tests.lab.wait import until

BYE_SOON = Script((Reply(180), Reply(200)), bye_after_s=0.5)


def handed_on_by_callee(target: str, hang_up: bool = False) -> Play:
    """Play a callee (bob) who sends his caller to an extension by REFER, and leaves."""

    async def play(lab: Lab, _: Setup) -> None:
        lab.phones.scripts["bob"] = ANSWER
        lab.phones.scripts["carol"] = BYE_SOON if not hang_up else ANSWER
        leaves = asyncio.Event()
        calling = asyncio.create_task(lab.caller.call("phone.bob", hang_up=leaves))
        bob = await talks(lab, "bob")
        dialled = _dialled(lab)
        await lab.phones.refer(bob, f"sip:{target}@{lab.pbx.host}")
        await until(lambda: _dialled(lab) > dialled, f"{target} is dialled")  # a BYE may overtake the transfer
        await lab.phones.hang_up(bob)
        if hang_up:
            await answered(lab.phones, "carol")
            leaves.set()
        await calling

    return play


def _dialled(lab: Lab) -> int:
    return sum(len(peer.calls) for peer in lab.peers)


async def handed_on_by_caller(lab: Lab, _: Setup) -> None:
    """The caller sends the callee to another telephone, and leaves."""
    lab.phones.scripts["bob"] = ANSWER
    lab.phones.scripts["carol"] = BYE_SOON
    leaves = asyncio.Event()
    calling = asyncio.create_task(lab.caller.call("phone.bob", hang_up=leaves))
    await talks(lab, "bob")
    lab.caller.refer(await lab.caller.in_call("phone.bob"), f"sip:phone.carol@{lab.pbx.host}")
    await answered(lab.phones, "carol")
    leaves.set()
    await calling


async def handed_on_by_manager(lab: Lab, _: Setup) -> None:
    lab.phones.scripts["bob"] = ANSWER
    calling = asyncio.create_task(lab.caller.call("phone.bob"))
    await talks(lab, "bob")
    await lab.ami.action("BlindTransfer", Channel=await channel_of(lab, "bob"), Context="lab", Exten="trunk.acme.503")
    await calling


def handed_on_after_a_talk(target: str, status: int, then: int = 200) -> Play:
    """Play a callee (bob) who calls ``target`` himself and, when that shows ``status``, joins his two calls."""

    async def play(lab: Lab, _: Setup) -> None:
        lab.phones.scripts["bob"] = ANSWER
        lab.phones.scripts["carol"] = BYE_SOON if status == 200 else Script((Reply(180), Reply(then, after_s=1.0)), 0.5)
        async with SipCaller(lab.pbx.host, lab.pbx.ports.sip, "bob", "102") as desk:
            calling = asyncio.create_task(lab.caller.call("phone.bob"))
            bob = await talks(lab, "bob")
            leaves = asyncio.Event()
            asking = asyncio.create_task(desk.call(target, hang_up=leaves))
            second = await desk.in_call(target, status)
            await lab.phones.refer(bob, desk.replaces(second))
            await asyncio.gather(calling, asking)
            await lab.phones.hang_up(bob)

    return play


async def asked_in_vain(lab: Lab, _: Setup) -> None:
    """A callee asks another trunk in a second call, which is refused, and goes on talking to his caller."""
    lab.phones.scripts["bob"] = ANSWER
    async with SipCaller(lab.pbx.host, lab.pbx.ports.sip, "bob", "102") as desk:
        leaves = asyncio.Event()
        calling = asyncio.create_task(lab.caller.call("phone.bob", hang_up=leaves))
        await talks(lab, "bob")
        await desk.call("486")
        leaves.set()
        await calling


SCENARIOS = (
    Scenario(
        "transfer-blind-answered",
        "the callee sends the caller on (REFER) to a phone that answers",
        handed_on_by_callee("phone.carol"),
    ),
    Scenario(
        "transfer-blind-caller-bye",
        "the callee sends the caller on (REFER) to a phone that answers; the caller hangs up",
        handed_on_by_callee("phone.carol", hang_up=True),
    ),
    Scenario(
        "transfer-blind-failed",
        "the callee sends the caller on (REFER) to a trunk that answers 503",
        handed_on_by_callee("trunk.acme.503"),
    ),
    Scenario("transfer-blind-by-caller", "the caller sends the callee on (REFER) to a phone", handed_on_by_caller),
    Scenario(
        "transfer-blind-by-manager",
        "a manager sends the caller on (AMI BlindTransfer) to a trunk that answers 503",
        handed_on_by_manager,
    ),
    Scenario(
        "transfer-attended",
        "the callee calls another phone, talks, and joins the two calls (REFER with Replaces)",
        handed_on_after_a_talk("phone.carol", 200),
    ),
    Scenario(
        "transfer-blonde",
        "the callee calls another phone and joins the two calls while it still rings",
        handed_on_after_a_talk("phone.carol", 180),
    ),
    Scenario(
        "transfer-blonde-failed",
        "the callee joins his two calls while the second still rings; then that phone refuses (486)",
        handed_on_after_a_talk("phone.carol", 180, then=486),
    ),
    Scenario("transfer-asked-in-vain", "the callee calls a trunk that is busy, and talks on", asked_in_vain),
)

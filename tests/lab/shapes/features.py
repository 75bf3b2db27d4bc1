"""Answered calls that are handed on by the keys of a telephone (features.conf), or by a manager's Atxfer."""

from __future__ import annotations

import asyncio

from tests.lab.lab import Lab
from tests.lab.scenario import Play, Scenario, Setup
from tests.lab.shapes.watch import answered, channel_of, rings, talks
from tests.lab.sip_peer import PeerCall
from tests.lab.sip_script import ANSWER, Reply, Script
from tests.lab.wait import until

BYE_SOON = Script((Reply(180), Reply(200, after_s=0.2)), bye_after_s=0.5)
RINGS_ON = Script((Reply(180),))
ANSWERS_FOR_A_WHILE = Script((Reply(180), Reply(200, after_s=0.2)), bye_after_s=2.0)
ANSWERS_LATE = Script((Reply(180), Reply(200, after_s=1.0)), bye_after_s=0.5)


def blind_by_callee(target: str) -> Play:
    """Play a callee (bob) who presses #1 and a number: his caller goes there."""

    async def play(lab: Lab, _: Setup) -> None:
        calling, bob = await _talking(lab)
        await lab.phones.press(bob, f"#1{target}")
        await calling

    return play


async def blind_by_caller(lab: Lab, _: Setup) -> None:
    """The caller presses #1 and a number: the callee goes there."""
    calling, _bob = await _talking(lab)
    await lab.caller.press(await lab.caller.in_call("keys.bob"), "#1903")
    await answered(lab.phones, "carol")
    await calling


def asked(target: str, carol: Script, leaves: str = "") -> Play:
    """Play a callee (bob) who presses *2 and a number, to ask before he hands his caller on.

    ``leaves``: bob hangs up when carol "rings" or "talks"; else he talks on with his caller, who hangs up.
    """

    async def play(lab: Lab, _: Setup) -> None:
        lab.phones.scripts["carol"] = carol
        gone = asyncio.Event()
        calling, bob = await _talking(lab, gone)
        await lab.phones.press(bob, f"*2{target}")
        await _afterwards(lab, bob, leaves, gone)
        await calling

    return play


def asked_by_manager(target: str, carol: Script, leaves: str = "") -> Play:
    """Play the same, begun by a manager (AMI Atxfer) in the name of bob."""

    async def play(lab: Lab, _: Setup) -> None:
        lab.phones.scripts["carol"] = carol
        gone = asyncio.Event()
        calling, bob = await _talking(lab, gone)
        await lab.ami.action("Atxfer", Channel=await channel_of(lab, "bob"), Context="lab", Exten=target)
        await _afterwards(lab, bob, leaves, gone)
        await calling

    return play


async def asked_and_returned(lab: Lab, _: Setup) -> None:
    """Bob hangs up while carol rings; nobody answers there, so Asterisk calls bob again, who takes his caller back."""
    lab.phones.scripts["carol"] = RINGS_ON
    gone = asyncio.Event()
    calling, bob = await _talking(lab, gone)
    await lab.phones.press(bob, "*2903")
    await rings(lab.phones, "carol")
    await lab.phones.hang_up(bob)
    lab.phones.calls.remove(bob)
    await talks(lab, "bob")
    gone.set()
    await calling


async def keyed_off(lab: Lab, _: Setup) -> None:
    """Bob ends the call by the key *0."""
    calling, bob = await _talking(lab)
    await lab.phones.press(bob, "*0")
    await calling


async def _talking(lab: Lab, gone: asyncio.Event | None = None) -> tuple[asyncio.Task[object], PeerCall]:
    lab.phones.scripts["bob"] = ANSWER
    lab.phones.scripts.setdefault("carol", BYE_SOON)
    calling: asyncio.Task[object] = asyncio.create_task(lab.caller.call("keys.bob", hang_up=gone))
    return calling, await talks(lab, "bob")


async def _afterwards(lab: Lab, bob: PeerCall, leaves: str, gone: asyncio.Event) -> None:
    if leaves == "rings":
        await rings(lab.phones, "carol")
        await lab.phones.hang_up(bob)
    elif leaves == "talks":
        await answered(lab.phones, "carol")
        await asyncio.sleep(0.2)  # carol and bob share a bridge by now
        await lab.phones.hang_up(bob)
    else:
        await until(lambda: lab.acme.calls and lab.acme.calls[-1].final is not None, "the third party has refused")
        await talks(lab, "bob")
        gone.set()


SCENARIOS = (
    Scenario("keys-blind-answered", "the callee sends the caller on by keys (#1) to a phone", blind_by_callee("903")),
    Scenario(
        "keys-blind-failed",
        "the callee sends the caller on by keys (#1) to a trunk that answers 503",
        blind_by_callee("503"),
    ),
    Scenario("keys-blind-by-caller", "the caller sends the callee on by keys (#1) to a phone", blind_by_caller),
    Scenario(
        "keys-attended",
        "the callee asks another phone by keys (*2), which answers, and hands the caller over by hanging up",
        asked("903", ANSWERS_FOR_A_WHILE, "talks"),
        ("cel",),
    ),
    Scenario(
        "keys-attended-refused",
        "the callee asks a trunk by keys (*2), which answers 486, and talks on with the caller",
        asked("486", BYE_SOON),
    ),
    Scenario(
        "keys-blonde",
        "the callee asks another phone by keys (*2) and hangs up while it rings; it answers",
        asked("903", ANSWERS_LATE, "rings"),
    ),
    Scenario(
        "keys-blonde-returned",
        "the callee asks another phone by keys (*2) and hangs up while it rings; nobody answers, the callee is called "
        "back",
        asked_and_returned,
    ),
    Scenario("keys-disconnect", "the callee ends the call by keys (*0)", keyed_off),
    Scenario(
        "manager-attended",
        "a manager lets the callee ask another phone (AMI Atxfer), which answers; the callee hangs up",
        asked_by_manager("903", ANSWERS_FOR_A_WHILE, "talks"),
    ),
    Scenario(
        "manager-attended-refused",
        "a manager lets the callee ask a trunk (AMI Atxfer), which answers 486; the callee talks on",
        asked_by_manager("486", BYE_SOON),
    ),
    Scenario(
        "manager-blonde",
        "a manager lets the callee ask another phone (AMI Atxfer); the callee hangs up while it rings; it answers",
        asked_by_manager("903", ANSWERS_LATE, "rings"),
    ),
)

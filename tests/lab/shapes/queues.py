"""Calls that wait in a queue."""

from __future__ import annotations

import asyncio

from tests.lab.lab import Lab
from tests.lab.scenario import Play, Scenario, Setup
from tests.lab.shapes.watch import rings
from tests.lab.sip_script import Reply, Script, rejecting
from tests.lab.wait import until

AGENT = "call,system,agent"
TAKES_IT = Script((Reply(180), Reply(200, after_s=0.2)), bye_after_s=0.3)


async def missed_then_answered(lab: Lab, _: Setup) -> object:
    lab.phones.scripts["bob"] = TAKES_IT
    return await lab.caller.call("inqueue.desk")


async def refused_then_answered(lab: Lab, _: Setup) -> object:
    lab.phones.scripts["alice"] = rejecting(486)
    lab.phones.scripts["bob"] = TAKES_IT
    return await lab.caller.call("inqueue.desk")


def leaves_between(exten: str) -> Play:
    """Play a caller who hangs up when a member has just been given up and no other rings."""

    async def play(lab: Lab, _: Setup) -> None:
        leaves = asyncio.Event()
        calling = asyncio.create_task(lab.caller.call(exten, hang_up=leaves))
        await until(lambda: lab.phones.calls and lab.phones.calls[0].cancelled, "the member's telephone is silent")
        leaves.set()
        await calling

    return play


def waits_in_vain(exten: str) -> Play:
    """Play a caller who hangs up in a queue where nobody is called."""

    async def play(lab: Lab, _: Setup) -> None:
        leaves = asyncio.Event()
        calling = asyncio.create_task(lab.caller.call(exten, hang_up=leaves))
        await until(lambda: len(lab.pbx.cli("queue show nobody").split("Callers:")) > 1, "the caller waits")
        leaves.set()
        await calling

    return play


async def second_local_takes_it(lab: Lab, _: Setup) -> object:
    lab.phones.scripts["bob"] = TAKES_IT
    return await lab.caller.call("inqueue.locals.10")


async def local_refuses(lab: Lab, _: Setup) -> object:
    lab.phones.scripts |= {"alice": rejecting(486), "bob": rejecting(603)}
    return await lab.caller.call("inqueue.locals.2")


async def leaves_by_key(lab: Lab, _: Setup) -> None:
    """The caller presses 1 while an agent's phone rings, and is put through to carol."""
    lab.phones.scripts["carol"] = TAKES_IT
    calling = asyncio.create_task(lab.caller.call("inqueue.keys"))
    await rings(lab.phones, "alice")
    await lab.caller.press(await lab.caller.in_call("inqueue.keys"), "1")
    await calling


def stays(exten: str) -> Play:
    """Play a caller who waits for as long as he is let."""

    async def play(lab: Lab, _: Setup) -> object:
        return await lab.caller.call(exten)

    return play


SCENARIOS = (
    Scenario(
        "queue-missed-then-answered",
        "the first agent does not pick up, the second takes the call",
        missed_then_answered,
        events=AGENT,
    ),
    Scenario(
        "queue-refused-then-answered",
        "the first agent's phone is busy, the second takes the call",
        refused_then_answered,
        events=AGENT,
    ),
    Scenario(
        "queue-abandon-between",
        "the caller leaves an answered queue between two rounds of ringing",
        leaves_between("inqueue.slow"),
        events=AGENT,
    ),
    Scenario(
        "queue-abandon-between-early",
        "the caller leaves an unanswered queue between two rounds of ringing",
        leaves_between("earlyqueue.slow"),
        events=AGENT,
    ),
    Scenario(
        "queue-abandon-between-deaf",
        "the caller leaves an answered queue between two rounds of ringing; events of class agent are not heard",
        leaves_between("inqueue.slow"),
    ),
    Scenario(
        "queue-abandon-waiting",
        "the caller leaves a queue in which no agent was called",
        waits_in_vain("inqueue.nobody"),
        events=AGENT,
    ),
    Scenario(
        "queue-abandon-waiting-deaf",
        "the caller leaves a queue in which no agent was called; events of class agent are not heard",
        waits_in_vain("inqueue.nobody"),
    ),
    Scenario(
        "queue-timeout",
        "two phones ring until the queue gives up after 2 s",
        stays("inqueue.support.2"),
        events=AGENT,
    ),
    Scenario(
        "queue-timeout-nobody",
        "the queue gives up after 1 s in which no agent was called",
        stays("inqueue.nobody.1"),
        events=AGENT,
    ),
    Scenario(
        "queue-locals-answered",
        "members behind Local channels in turn: the first does not pick up, the second takes the call",
        second_local_takes_it,
        events=AGENT,
    ),
    Scenario(
        "queue-locals-refused",
        "members behind Local channels in turn refuse (486, 603) until the queue gives up after 2 s",
        local_refuses,
        events=AGENT,
    ),
    Scenario(
        "queue-left-by-key",
        "the caller leaves the queue by pressing 1 while an agent's phone rings; another phone takes the call",
        leaves_by_key,
        events=AGENT,
    ),
    Scenario(
        "queue-not-joined",
        "a queue whose only member cannot be called lets nobody in",
        stays("inqueue.strict"),
        events=AGENT,
    ),
)

"""A manager's hand in a call, the end of the PBX itself, and legs that are not SIP."""

from __future__ import annotations

import asyncio

from tests.lab.lab import Lab
from tests.lab.scenario import Play, Scenario, Setup, dials
from tests.lab.shapes.watch import channel_of, rings, talks
from tests.lab.sip_script import ANSWER, Reply, Script
from tests.lab.wait import until

ANSWERS = Script((Reply(180), Reply(200)), bye_after_s=0.3)


def hung_up(whose: str, talking: bool, **more: str) -> Play:
    """Play a call whose channel of ``whose`` a manager hangs up, while it rings or while they talk."""

    async def play(lab: Lab, _: Setup) -> None:
        lab.phones.scripts["bob"] = ANSWER if talking else Script((Reply(180),))
        calling = asyncio.create_task(lab.caller.call("phone.bob"))
        await (talks(lab, "bob") if talking else rings(lab.phones, "bob"))
        await lab.ami.action("Hangup", Channel=await channel_of(lab, whose), **more)
        await calling

    return play


def redirected(talking: bool, exten: str) -> Play:
    """Play a call whose caller a manager sends to another extension, while it rings or while they talk."""

    async def play(lab: Lab, _: Setup) -> None:
        lab.phones.scripts["bob"] = ANSWER if talking else Script((Reply(180),))
        lab.phones.scripts["carol"] = ANSWERS
        calling = asyncio.create_task(lab.caller.call("phone.bob"))
        await (talks(lab, "bob") if talking else rings(lab.phones, "bob"))
        await lab.ami.action(
            "Redirect", Channel=await channel_of(lab, "caller"), Context="lab", Exten=exten, Priority="1"
        )
        await calling

    return play


async def stopped(lab: Lab, _: Setup) -> None:
    """One call talks and one rings when Asterisk is told to stop."""
    lab.phones.scripts["bob"] = ANSWER
    calls = [asyncio.create_task(lab.caller.call(exten)) for exten in ("phone.bob", "phone.alice")]
    await talks(lab, "bob")
    await rings(lab.phones, "alice")
    lab.pbx.cli("core stop now")
    await until(lambda: lab.pbx.pid is None, "Asterisk is gone")
    for call in calls:
        call.cancel()


SCENARIOS = (
    Scenario(
        "manager-hangup-talking", "a manager hangs up the caller while they talk", hung_up("caller", talking=True)
    ),
    Scenario(
        "manager-hangup-ringing", "a manager hangs up the caller while it rings", hung_up("caller", talking=False)
    ),
    Scenario(
        "manager-hangup-callee",
        "a manager hangs up the ringing phone with cause 21",
        hung_up("bob", talking=False, Cause="21"),
    ),
    Scenario(
        "manager-redirect-talking",
        "a manager sends the caller on while they talk",
        redirected(talking=True, exten="phone.carol"),
    ),
    Scenario(
        "manager-redirect-ringing",
        "a manager sends the caller on while it rings",
        redirected(talking=False, exten="phone.carol"),
    ),
    Scenario(
        "manager-redirect-failed",
        "a manager sends the ringing caller on to a trunk that answers 503",
        redirected(talking=False, exten="trunk.acme.503"),
    ),
    Scenario("stopped", "Asterisk is stopped while one call talks and one rings", stopped, ends_the_pbx=True),
    Scenario("other-iax2", "an IAX2 leg whose port is closed, given up after 2 s", dials("iax2.2")),
    Scenario("other-absent", "a leg of a technology that this Asterisk does not have", dials("dahdi")),
    Scenario("other-confbridge", "a caller alone in a conference", dials("conference", 0.3)),
)

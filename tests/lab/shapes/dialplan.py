"""What the options of Dial do, and the applications that dial by themselves."""

from __future__ import annotations

import asyncio

from tests.lab.lab import Lab
from tests.lab.scenario import Play, Scenario, Setup, dials
from tests.lab.shapes.watch import answered, rings, talks
from tests.lab.sip_script import ANSWER, Reply, Script, rejecting

BYE_SOON = Script((Reply(180), Reply(200)), bye_after_s=0.3)
RINGS_ON = Script((Reply(180),))


def phones(exten: str, bye_after_s: float | None = None, **scripts: Script) -> Play:
    """Play one call with the phones set up as told."""

    async def play(lab: Lab, _: Setup) -> object:
        lab.phones.scripts |= scripts
        return await lab.caller.call(exten, bye_after_s=bye_after_s)

    return play


def followed(key: str, **scripts: Script) -> Play:
    """Play a call that follows alice to bob, who answers and presses a key."""

    async def play(lab: Lab, _: Setup) -> None:
        lab.phones.scripts |= scripts
        leaves = asyncio.Event()
        calling = asyncio.create_task(lab.caller.call("followme", hang_up=leaves))
        bob = await answered(lab.phones, "bob")
        await asyncio.sleep(0.5)  # until the question is asked
        await lab.phones.press(bob, key)
        if key == "1":
            await talks(lab, "bob")
            leaves.set()
        await calling

    return play


async def group_in_group(lab: Lab, _: Setup) -> None:
    lab.phones.scripts |= {"alice": rejecting(486), "bob": rejecting(480)}
    lab.phones.scripts["carol"] = Script((Reply(180), Reply(200, after_s=0.5)), bye_after_s=0.3)
    await lab.caller.call("nested")


async def gives_up_on_a_group_in_a_group(lab: Lab, _: Setup) -> None:
    calling = asyncio.create_task(lab.caller.call("nested", cancel_on=180, cancel_after_s=0.5))
    await rings(lab.phones, "carol")
    await calling


SCENARIOS = (
    Scenario(
        "dial-g-failed",
        "the callee hangs up, the caller goes on in the dialplan (Dial option g) to a trunk that answers 503",
        phones("goeson.bob.503", bob=BYE_SOON),
        ("cel",),
    ),
    Scenario(
        "dial-g-answered",
        "the callee hangs up, the caller goes on in the dialplan (Dial option g) to a phone that answers",
        phones("goeson.bob.phone.carol", bob=BYE_SOON, carol=BYE_SOON),
    ),
    Scenario(
        "dial-f-failed",
        "the caller hangs up, the callee goes on in the dialplan (Dial option F) to a trunk that answers 503",
        phones("calleegoeson.bob.503", bye_after_s=0.3, bob=ANSWER),
    ),
    Scenario(
        "dial-both-go-on",
        "both sides go on apart in the dialplan (Dial option G), which hangs up",
        phones("both.bob", bob=ANSWER),
        releases=("22",),  # 16.28 reads freed memory here and hangs (app_dial.c, option G)
    ),
    Scenario(
        "dial-u-busy",
        "the callee answers, a routine of the dialplan refuses for them (Dial option U, GOSUB_RESULT=BUSY)",
        phones("asked.bob.BUSY", bob=ANSWER),
    ),
    Scenario(
        "dial-u-congestion",
        "the callee answers, a routine of the dialplan refuses for them (Dial option U, GOSUB_RESULT=CONGESTION)",
        phones("asked.bob.CONGESTION", bob=ANSWER),
    ),
    Scenario(
        "dial-u-continue",
        "the callee answers, a routine of the dialplan sends them off (Dial option U, GOSUB_RESULT=CONTINUE)",
        phones("asked.bob.CONTINUE", bob=ANSWER),
    ),
    Scenario(
        "retrydial-failed",
        "RetryDial calls a trunk that answers 503, and once again a second later",
        dials("again.503"),
    ),
    Scenario(
        "progress-timeout",
        "100 and nothing more: Dial waits 2 s for a sign of life and 6 s for the answer, release 16 only the 6 s",
        dials("slow.trying"),
    ),
    Scenario(
        "nested-answered",
        "a phone and a Local channel that rings two more: busy, unavailable, answered",
        group_in_group,
    ),
    Scenario(
        "nested-cancel",
        "the caller gives up while a phone and two more behind a Local channel ring",
        gives_up_on_a_group_in_a_group,
    ),
    Scenario("nested-no-answer", "a phone and two more behind a Local channel ring for 5 s", dials("nested")),
    Scenario(
        "followme-second",
        "FollowMe: the first phone rings for 2 s, the second answers and takes the call by pressing 1",
        followed("1", alice=RINGS_ON, bob=ANSWER),
    ),
    Scenario(
        "followme-declined",
        "FollowMe: the first phone rings for 2 s, the second answers and declines the call by pressing 2",
        followed("2", alice=RINGS_ON, bob=ANSWER),
    ),
    Scenario(
        "followme-nobody",
        "FollowMe: the first phone is busy, the second rings for 4 s",
        phones("followme", alice=rejecting(486), bob=RINGS_ON),
    ),
    Scenario(
        "page",
        "Page calls three phones: one answers, one is busy, one rings until its time is over",
        phones("page", 4.0, alice=ANSWER, bob=rejecting(486), carol=RINGS_ON),
    ),
    Scenario(
        "page-nobody",
        "Page calls three phones that are busy",
        phones("page", 4.0, alice=rejecting(486), bob=rejecting(486), carol=rejecting(486)),
    ),
)

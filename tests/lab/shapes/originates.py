"""Calls that Asterisk itself begins: by a manager, by a call file."""

from __future__ import annotations

from tests.lab.lab import Lab
from tests.lab.scenario import Play, Scenario, Setup
from tests.lab.sip_script import Reply, Script, rejecting
from tests.lab.wait import until

ANSWERS = Script((Reply(180), Reply(200, after_s=0.1)), bye_after_s=0.5)


def originated(channel: str, exten: str, *alice: Script) -> Play:
    """Play an Originate of ``channel`` that is sent to ``exten`` when it answers."""

    async def play(lab: Lab, _: Setup) -> None:
        lab.phones.scripts["alice"] = alice[0] if alice else ANSWERS
        lab.phones.scripts["bob"] = ANSWERS
        await lab.originate(channel, exten)

    return play


def filed(*lines: str, calls: int) -> Play:
    """Play a call file; ``calls`` is how many calls the trunk acme gets of it."""

    async def play(lab: Lab, _: Setup) -> None:
        lab.acme.scripts["okbye"] = ANSWERS
        spool = lab.pbx.var / "spool"
        draft = spool / "draft.call"
        draft.write_text("\n".join((*lines, "Context: lab", "Priority: 1", "WaitTime: 5", "")))
        draft.rename(spool / "outgoing" / "lab.call")
        await until(
            lambda: sum(call.final is not None for call in lab.acme.calls) >= calls, "the call file is called", 30
        )
        await until(lambda: not list((spool / "outgoing").iterdir()), "the call file is gone")

    return play


SCENARIOS = (
    Scenario(
        "originate-both-legs",
        "Originate rings alice, who answers, then dials a trunk that answers",
        originated("PJSIP/alice", "200"),
    ),
    Scenario(
        "originate-first-busy", "Originate rings alice, who is busy", originated("PJSIP/alice", "200", rejecting(486))
    ),
    Scenario(
        "originate-local",
        "Originate of a Local channel that dials alice, who answers; then bob, who answers",
        originated("Local/phone.alice@lab", "phone.bob"),
    ),
    Scenario(
        "originate-local-failed",
        "Originate of a Local channel that dials a trunk, which answers 503",
        originated("Local/503@lab", "phone.bob"),
    ),
    Scenario(
        "originate-local-then-failed",
        "Originate of a Local channel that dials alice, who answers; then a trunk answers 503",
        originated("Local/phone.alice@lab", "trunk.acme.503"),
    ),
    Scenario(
        "callfile-answered",
        "a call file calls over a trunk that answers",
        filed("Channel: PJSIP/okbye@acme", "Extension: wait", calls=1),
    ),
    Scenario(
        "callfile-retry",
        "a call file calls over a trunk that answers 503, and once again a second later",
        filed("Channel: PJSIP/503@acme", "MaxRetries: 1", "RetryTime: 1", "Extension: wait", calls=2),
    ),
)

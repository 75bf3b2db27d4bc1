"""Every situation the product must tell apart, as one table: its name, what happens, and how to bring it about."""

from __future__ import annotations

from tests.lab.lab import Lab
from tests.lab.scenario import Play, Scenario, Setup, dials
from tests.lab.shapes import SHAPES
from tests.lab.sip_message import Headers
from tests.lab.sip_phrases import PHRASES
from tests.lab.sip_script import CHALLENGE, Reply, Script, rejecting

__all__ = ["FINAL_CODES", "SCENARIOS", "Scenario", "Setup"]

FINAL_CODES = tuple(code for code in PHRASES if code >= 400)
HANGUP_CAUSES = (1, 3, 16, 17, 18, 19, 20, 26, 27, 28, 31, 34, 38, 41, 42, 44, 50, 58, 88, 102, 111, 127)

ODD_PHRASES: dict[str, bytes] = {
    "utf8": "Занято, ligne occupée, 話し中 🚫".encode(),
    "quotes": b'Busy "very" = \\"busy\\" \\ a=b',
    "shell": b"${SHELL(id)}",
    "brackets": b"Busy )})})=SIP 200 OK",
    "comma": b"Busy, sorry; ok & more | less",
    "empty": b"",
    "blanks": b"  Busy   Here  ",
    "latin1": b"Occup\xe9 \xff\xfe",
    "control": b"Busy\x01\x1b[31m\tHere",
    "colon": b"Event: Hangup",
    "apostrophe": b"Can't? No. 100%",
    "long2k": b"L" * 2000,
    "long5k": b"L" * 5000,
}


def trunk(setup: Setup, user: str, seconds: int | None = None, name: str = "acme") -> str:
    """Give the extension that dials ``user`` at a trunk, over PJSIP or over chan_sip."""
    tail = "" if seconds is None else f".{seconds}"
    return f"{'sip' if setup == 'chansip' else 'trunk'}.{name}.{user}{tail}"


def over_trunk(user: str, seconds: int | None = None, name: str = "acme", script: Script | None = None) -> Play:
    """Play one call over a trunk, which follows a script of its own if given."""

    async def play(lab: Lab, setup: Setup) -> object:
        if script is not None:
            lab.acme.scripts[user] = script
        bye_after_s = 0.3 if script is None else None
        return await lab.caller.call(trunk(setup, user, seconds, name), bye_after_s=bye_after_s)

    return play


def challenged(then: Script | None, seconds: int | None = None) -> Play:
    """Play one call over a trunk that wants a login, and then does as told, or nothing."""

    async def play(lab: Lab, _: Setup) -> object:
        lab.acme.scripts["login"] = Script((Reply(401, headers=(CHALLENGE,)),), logged_in=then)
        return await lab.caller.call(trunk("", "login", seconds, "acmelogin"))

    return play


def reasoned(status: int, phrase: bytes | None, *headers: tuple[str, str]) -> Play:
    """Play one call that the trunk refuses with a phrase and headers of its own."""
    kept: Headers = headers
    return over_trunk(f"refusing{status}", script=rejecting(status, phrase, kept))


async def all_codes(lab: Lab, setup: Setup) -> None:
    for code in FINAL_CODES:
        await lab.caller.call(trunk(setup, str(code)))


async def odd_phrases(lab: Lab, setup: Setup) -> None:
    for name, phrase in ODD_PHRASES.items():
        lab.acme.scripts[name] = rejecting(486, phrase)
        await lab.caller.call(trunk(setup, name))


async def hangup_causes(lab: Lab, _: Setup) -> None:
    for cause in HANGUP_CAUSES:
        await lab.caller.call(f"hangup.{cause}")


async def cancel(lab: Lab, setup: Setup) -> None:
    await lab.caller.call(trunk(setup, "ring"), cancel_on=180, cancel_after_s=0.2)


async def cancel_early(lab: Lab, setup: Setup) -> None:
    await lab.caller.call(trunk(setup, "trying"), cancel_after_s=0.3)


async def cancel_waiting(lab: Lab, _: Setup) -> None:
    await lab.caller.call("wait", cancel_after_s=0.3)


async def cancel_silent(lab: Lab, setup: Setup) -> None:
    await lab.caller.call(trunk(setup, "100", name="silent"), cancel_after_s=1.5)


async def fork_answered(lab: Lab, _: Setup) -> None:
    lab.acme.scripts["late"] = Script((Reply(180), Reply(200, after_s=0.3)))
    await lab.caller.call("fork.20.late.ring", bye_after_s=0.3)


async def fork_three(lab: Lab, _: Setup) -> None:
    lab.initech.scripts["late"] = Script((Reply(180), Reply(200, after_s=0.3)))
    await lab.caller.call("fork.20.486.ring.late", bye_after_s=0.3)


async def redirect(lab: Lab, _: Setup) -> None:
    contact = ("Contact", f"<sip:486@{lab.pbx.host}:{lab.pbx.ports.globex}>")
    lab.acme.scripts["moved"] = rejecting(302, None, (contact,))
    await lab.caller.call("trunk.acme.moved")


async def reinvite(lab: Lab, _: Setup) -> None:
    lab.acme.scripts["picky"] = Script((Reply(180), Reply(200)), bye_after_s=2.0, reinvite=Reply(488))
    await lab.direct.call("trunk.acmedirect.picky")


async def queue_answered(lab: Lab, _: Setup) -> None:
    lab.phones.scripts["bob"] = Script((Reply(180), Reply(200, after_s=0.5)), bye_after_s=0.3)
    await lab.caller.call("queue")


async def queue_abandon(lab: Lab, _: Setup) -> None:
    await lab.caller.call("queue", bye_after_s=1.0)


async def queue_abandon_early(lab: Lab, _: Setup) -> None:
    await lab.caller.call("earlyqueue", cancel_after_s=1.0)


async def ringgroup(lab: Lab, _: Setup) -> None:
    lab.phones.scripts["carol"] = Script((Reply(180), Reply(200, after_s=0.5)), bye_after_s=0.3)
    lab.phones.scripts["bob"] = rejecting(486)
    await lab.caller.call("ringgroup")


async def originate_failed(lab: Lab, _: Setup) -> None:
    await lab.originate("PJSIP/503@acme", "wait")


async def originate_timeout(lab: Lab, _: Setup) -> None:
    await lab.originate("PJSIP/ring@acme", "wait", timeout_s=2)


async def originate_then_dial(lab: Lab, _: Setup) -> None:
    await lab.originate("PJSIP/200@acme", "trunk.globex.486")


async def inbound_failed(lab: Lab, _: Setup) -> None:
    await lab.inbound.call("5550486")


async def phone_busy(lab: Lab, _: Setup) -> None:
    lab.phones.scripts["alice"] = rejecting(486)
    await lab.inbound.call("alice")


async def burst(lab: Lab, _: Setup) -> None:
    mixed = ["486", "503", "608", "200", "404", "failover.503.200", "busy", "trunk.refused.1", "603", "200"]
    await lab.caller.burst(mixed * 2, per_second=40)


BLOCKED = ("Reason", 'Q.850;cause=21;text="v=analytics1;url=https://redress.example.net"')
ON_HOOK = Script((Reply(180), Reply(200)), bye_after_s=0.3)

SCENARIOS = (
    Scenario("rejected-408", "the trunk answers 408", over_trunk("408"), ("noline",)),
    Scenario("rejected-486", "the trunk answers 486", over_trunk("486")),
    Scenario("rejected-503", "the trunk answers 503", over_trunk("503"), ("noline",)),
    Scenario("rejected-608", "the trunk answers 608", over_trunk("608")),
    Scenario(
        "rejected-603-blocked", "603 Network Blocked with a Reason (603+)", reasoned(603, b"Network Blocked", BLOCKED)
    ),
    Scenario("rejected-reason", "486 with Reason Q.850;cause=31", reasoned(486, None, ("Reason", "Q.850;cause=31"))),
    Scenario(
        "rejected-503-retry",
        "503 with Retry-After and Warning",
        reasoned(503, None, ("Retry-After", "120"), ("Warning", '399 acme "no route to that country"')),
    ),
    Scenario("odd-phrases", "486 with phrases meant to confuse, one call each", odd_phrases, ("chansip",)),
    Scenario("failover-rescued", "503 at acme, then globex answers", dials("failover.503.200")),
    Scenario("failover-failed", "503 at acme, then 486 at globex", dials("failover.503.486")),
    Scenario("failover-3", "503, 404 and 480 at three trunks, one after the other", dials("failover.503.404.480")),
    Scenario("fork-answered", "one leg answers while the other rings", fork_answered),
    Scenario(
        "fork-failed", "one leg answers 486, the other rings until the Dial timeout of 2 s", dials("fork.2.486.ring")
    ),
    Scenario("fork-3", "three legs: 486, ringing, answered", fork_three),
    Scenario("fork-3-failed", "three legs refuse: 486, 503, 404", dials("fork.20.486.503.404")),
    Scenario("no-answer", "180, then the Dial timeout of 2 s", over_trunk("ring", 2), ("noline", "chansip")),
    Scenario("100-then-silence", "100, nothing more, then the Dial timeout of 2 s", over_trunk("trying", 2)),
    Scenario("cancel", "the caller gives up while it rings", cancel, ("noline", "chansip")),
    Scenario("cancel-early", "the caller gives up after 100 only", cancel_early),
    Scenario("cancel-silent", "the caller gives up while the trunk says nothing", cancel_silent),
    Scenario(
        "dead-trunk",
        "the trunk says nothing for 32 s (timer B)",
        over_trunk("100", None, "silent"),
        ("noline", "chansip"),
    ),
    Scenario(
        "dead-trunk-timeout",
        "the trunk says nothing until the Dial timeout of 2 s",
        over_trunk("100", 2, "silent"),
        ("noline",),
    ),
    Scenario("tcp-refused", "the trunk's TCP port is closed", over_trunk("100", None, "refused"), ("noline",)),
    Scenario("dns-failed", "the trunk's host name does not resolve", over_trunk("100", None, "lost")),
    Scenario("endpoint-missing", "no such endpoint in pjsip.conf", over_trunk("100", None, "absent")),
    Scenario("no-contact", "the endpoint has no contact", over_trunk("100", None, "empty")),
    Scenario(
        "login-then-silence", "401, and silence once logged in, until the Dial timeout of 2 s", challenged(None, 2)
    ),
    Scenario("login-then-dead", "401, and silence once logged in for 32 s (timer B)", challenged(None), ("noline",)),
    Scenario("login-refused", "401, and 403 once logged in", challenged(rejecting(403))),
    Scenario("login-answered", "401, and answered once logged in", challenged(ON_HOOK)),
    Scenario("busy-app", "the dialplan says Busy()", dials("busy")),
    Scenario("congestion-app", "the dialplan says Congestion()", dials("congestion")),
    Scenario("hangup-21", "the dialplan says Hangup(21)", dials("hangup.21")),
    Scenario("hangup-n", "the dialplan says Hangup(n), one call for each of 22 causes", hangup_causes),
    Scenario("answered", "answered, the caller hangs up", over_trunk("200"), ("noline", "chansip")),
    Scenario("answered-b-bye", "answered, the callee hangs up", over_trunk("okbye", script=ON_HOOK), ("cel",)),
    Scenario("answered-a-bye", "answered, the caller hangs up after 0.3 s", over_trunk("ok")),
    Scenario("answered-hangup-17", "the dialplan answers and says Hangup(17)", dials("answer.17", None)),
    Scenario(
        "answered-then-dial-fails", "the dialplan answers, then the trunk says 503", dials("answerdial.503", None)
    ),
    Scenario("redirect-302", "302 to a number that is busy elsewhere", redirect),
    Scenario("reinvite-488", "answered, the callee refuses a re-INVITE with 488, then hangs up", reinvite),
    Scenario("originate-failed", "Originate by AMI, the trunk answers 503", originate_failed),
    Scenario(
        "originate-timeout", "Originate by AMI, it rings until the time-out of 2 s", originate_timeout, ("noline",)
    ),
    Scenario(
        "originate-answered-then-dial", "Originate by AMI is answered, then dials a busy number", originate_then_dial
    ),
    Scenario("queue-abandon", "the caller leaves the queue after 1 s, two phones ringing", queue_abandon),
    Scenario("queue-abandon-early", "the same before anybody answered the call", queue_abandon_early),
    Scenario("queue-answered", "one of two ringing agents takes the call", queue_answered),
    Scenario("local-ringgroup", "three phones behind Local channels: one rings, one is busy, one answers", ringgroup),
    Scenario("local-busy", "a Local channel into a dialplan that says Busy()", dials("local.busy")),
    Scenario("local-rejected", "a Local channel into a trunk that answers 503", dials("local.503")),
    Scenario("cancel-waiting", "the caller gives up while the dialplan waits, before any Dial", cancel_waiting),
    Scenario("inbound-486", "a call from trunk acme goes out over globex, which is busy", inbound_failed),
    Scenario("inbound-phone-busy", "a call from trunk acme to a phone that is busy", phone_busy),
    Scenario("all-codes", "every registered final code, one call each", all_codes, ("noline", "chansip")),
    Scenario("burst", "20 calls of ten kinds at 40 a second", burst),
    *SHAPES,
)

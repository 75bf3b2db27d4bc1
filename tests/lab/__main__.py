"""The lab by hand: ``python -m tests.lab build | run | call RELEASE EXTENSION | record NAME... | list``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tests.lab import record, roots
from tests.lab.ami import AmiClient, Message, first
from tests.lab.asterisk import Asterisk
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions
from tests.lab.scenarios import SCENARIOS
from tests.lab.sip_caller import SipCaller

TOLD = ("DialBegin", "DialState", "DialEnd", "HangupRequest", "Hangup", "OriginateResponse")

EXAMPLES = """\
  608                    the trunk acme answers 608; any status of three digits
  failover.503.200       acme fails, globex answers
  fork.2.486.ring        one leg busy, the other rings for 2 s
  trunk.refused.1        a closed TCP port; also silent, lost, empty, absent
  queue                  a queue whose two phones ring
More: tests/lab/etc/extensions.conf"""


def say(text: str) -> None:
    """Write a line to the person at the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def run() -> None:
    """Start both PBXs and everybody around them, say where they are, and stop it all at Ctrl-C."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    pbxs = [Asterisk(PbxOptions("22")), Asterisk(PbxOptions("16", chan_sip=True))]
    try:
        async with contextlib.AsyncExitStack() as labs:
            for pbx in pbxs:
                pbx.start()
                await labs.enter_async_context(Lab(pbx))
            _state().write_text(json.dumps({pbx.options.release: _where(pbx) for pbx in pbxs}))
            _state().chmod(0o600)
            for pbx in pbxs:
                _tell(pbx)
            say(
                f"Place a call from another terminal:  {Path(sys.executable).name} -m tests.lab call 22 608\n{EXAMPLES}"
            )
            say("\nCtrl-C stops everything.")
            await stopped.wait()
    finally:
        _state().unlink(missing_ok=True)
        for pbx in pbxs:
            pbx.stop()
        say("stopped")


async def call(release: str, exten: str) -> None:
    """Place a call in the lab that ``run`` keeps running; tell what AMI says and what the caller hears."""
    try:
        where: dict[str, Any] = json.loads(_state().read_text())[release]
    except FileNotFoundError:
        raise LabError("no lab is running: start it with `make lab` in another terminal") from None
    async with AmiClient(where["host"], where["ami"]) as ami, SipCaller(where["host"], where["sip"]) as caller:
        await ami.connect("lab", where["secret"], events="call")
        placed = asyncio.create_task(caller.call(exten, bye_after_s=2.0))
        told = 0
        while not (placed.done() and ami.counts["Newchannel"] == ami.counts["Hangup"]):
            for event in ami.events[told:]:
                _tell_event(event)
            told = len(ami.events)
            await asyncio.sleep(0.05)
        for event in ami.events[told:]:
            _tell_event(event)
        outcome = await placed
    say(f"the caller heard: SIP {outcome.status} {outcome.phrase} ({outcome.ended_by})")


def main() -> int:
    """Do what the command line says; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build", help="build the two Debian roots, once")
    verbs.add_parser("run", help="leave both PBXs running")
    calling = verbs.add_parser("call", help="place a call in the running lab", epilog=EXAMPLES)
    calling.add_argument("release", choices=list(roots.RECIPES))
    calling.add_argument("exten", metavar="extension")
    recording = verbs.add_parser("record", help="record AMI, byte by byte")
    recording.add_argument("names", nargs="+", metavar="name", help="a scenario, or all")
    recording.add_argument("--into", type=Path, default=roots.folder() / "captures", help="folder (%(default)s)")
    verbs.add_parser("list", help="list the scenarios")
    asked = parser.parse_args()
    try:
        match asked.verb:
            case "build":
                roots.build_all(say)
            case "run":
                asyncio.run(run())
            case "call":
                asyncio.run(call(asked.release, asked.exten))
            case "record":
                asked.into.mkdir(parents=True, exist_ok=True)
                asyncio.run(record.record(asked.names, asked.into, say))
            case _:
                for scenario in SCENARIOS:
                    say(f"{scenario.name:<30} {scenario.sentence}")
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _state() -> Path:
    return roots.folder() / "running.json"


def _where(pbx: Asterisk) -> dict[str, object]:
    return {"host": pbx.host, "ami": pbx.ports.ami, "sip": pbx.ports.sip, "secret": pbx.lab.secret}


def _tell(pbx: Asterisk) -> None:
    rows = {
        "AMI": f"{pbx.host}:{pbx.ports.ami}  user companion  secret {pbx.companion.secret}",
        "ARI": f"http://{pbx.host}:{pbx.ports.http}/ari  user companion  password {pbx.companion.secret}",
        "SIP": f"{pbx.host}:{pbx.ports.sip}  (header X-Lab-Role: caller)",
        "log": str(pbx.log),
        "CDR": str(pbx.cdr_csv),
        "console": f"chroot {pbx.root} asterisk -C /etc/{pbx.etc.name}/asterisk.conf -rvvv",
    }
    say(f"Asterisk {pbx.options.release}")
    for name, value in rows.items():
        say(f"  {name:<8} {value}")
    say("")


def _tell_event(event: Message) -> None:
    name = first(event, "Event")
    if name not in TOLD:
        return
    channel = first(event, "DestChannel") or first(event, "Channel")
    line = (event.get("DestChanVariable") or event.get("ChanVariable") or [""])[0]
    facts = [f"{key} {first(event, key)}" for key in ("DialStatus", "Cause", "TechCause", "Response") if key in event]
    if name in ("DialEnd", "Hangup") and ",tech)})=" in line:
        facts.append(line.partition(",tech)})=")[2])
    say(f"{name:<16} {channel:<28} {', '.join(facts)}")


if __name__ == "__main__":
    sys.exit(main())

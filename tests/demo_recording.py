"""Makes the recording that `make run` plays: a busy minute of a small office, on a real Asterisk 22.

``python -m tests.demo_recording`` writes ``asterisk_sip/data/demo.ami.gz``. Every number is one that no subscriber has:
those set aside for film and print in Germany, the United Kingdom, France and North America.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.ami import Recorder
from tests.lab.asterisk import Asterisk
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions
from tests.lab.sip_caller import SipCaller
from tests.lab.sip_script import Reply, Script
from tests.lab.wait import until

DEMO = Path(__file__).parent.parent / "asterisk_sip" / "data" / "demo.ami.gz"

PHONES = {"anna": "Anna Schmidt", "ben": "Ben Fischer", "clara": "Clara Öztürk", "emil": "Emil Novák"}  # 201 to 204
CARRIER = "acme-in"

PJSIP = """
; The carrier's side of calls that come in: its word for who calls is taken.
[acme-in](common)
context = from-carrier
trust_id_inbound = yes
[acme-in](role)
endpoint = acme-in
match_header = X-Lab-Role: acme-in

; A carrier that is down: nothing ever comes back.
[hooli](common)
aors = hooli
[hooli](aor)
contact = sip:@host@:@silent@

; A carrier whose port is closed.
[umbrella](common)
transport = tcp
aors = umbrella
[umbrella](aor)
contact = sip:@host@:@refused@\\;transport=tcp

; A phone that is not registered.
[dora](common)
aors = dora
[dora](aor)
"""

PHONE = """
[{phone}](common)
context = office
callerid = {name} <+493023125{extension}>
aors = {phone}
[{phone}](aor)
contact = sip:{phone}@@host@:@phones@
[{phone}](role)
endpoint = {phone}
match_header = X-Lab-Role: {phone}
"""

DIALPLAN = """
[globals]
PHONES = anna-ben-clara-emil-dora

[office]
; out: acme, and globex when acme is out of order or out of lines
exten => _+X.,1,Set(__FORWARD_CONTEXT=office)
 same => n,Dial(PJSIP/${EXTEN}@acme,7)
 same => n,ExecIf($["${HANGUPCAUSE}"="34" | "${HANGUPCAUSE}"="38"]?Dial(PJSIP/${EXTEN}@globex,7))
 same => n,Hangup()
exten => _+1X.,1,Dial(PJSIP/${EXTEN}@globex,7)
 same => n,Hangup()
exten => _+44X.,1,Dial(PJSIP/${EXTEN}@hooli,20)
 same => n,Hangup()
exten => _+33X.,1,Dial(PJSIP/${EXTEN}@umbrella,7)
 same => n,Hangup()
; premium numbers are not for this house
exten => _+1900X.,1,Congestion(1)
; inside
exten => 200,1,Dial(Local/201@office/n&Local/202@office/n&Local/203@office/n,7)
 same => n,Hangup()
exten => _20Z,1,Set(PHONE=${CUT(PHONES,-,${EXTEN:2})})
 same => n,Dial(PJSIP/${PHONE},7)
 same => n,Hangup()
exten => 300,1,Queue(hotline,r,,,20)
 same => n,Hangup()

[from-carrier]
exten => _+493023125XXX,1,Goto(office,${EXTEN:10},1)
"""

QUEUE = """
[hotline]
strategy = ringall
timeout = 20
joinempty = yes
member => PJSIP/emil
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """A call: when, from whom (a phone, or a name and number that the carrier brings), to where, and what happens."""

    at_s: float
    caller: str | tuple[str, str]
    dialled: str
    scripts: Mapping[str, Script] = field(default_factory=dict)  # what a phone or number answers; "" is the dialled one
    globex: Script | None = None
    cancel_on: int | None = None
    cancel_after_s: float | None = None
    bye_after_s: float | None = None


def refused(status: int, phrase: str | None = None, *headers: tuple[str, str], rang_s: float | None = None) -> Script:
    """Give the script of a callee or carrier that refuses as real ones do: not at once."""
    raw = None if phrase is None else phrase.encode()
    rang = () if rang_s is None else (Reply(180, after_s=0.3),)
    return Script((Reply(100), *rang, Reply(status, raw, headers, after_s=rang_s or 0.35)))


def answered(rang_s: float, talked_s: float | None = None) -> Script:
    """Give the script of a callee who takes the call, and hangs up after ``talked_s`` (None: the caller does)."""
    return Script((Reply(100), Reply(180, after_s=0.2), Reply(200, after_s=rang_s)), bye_after_s=talked_s)


RINGS = Script((Reply(100), Reply(180, after_s=0.3)))
TRIES = Script((Reply(100),))
FORWARD = ("Contact", "<sip:+493023125298@carrier.example>")
BLOCKED = ("Reason", 'Q.850;cause=21;text="v=analytics1;url=https://redress.example.net"')

PLAN = (
    Planned(0.0, "anna", "+493023125486", {"": refused(486, rang_s=0.6)}),
    Planned(1.0, "ben", "+493023125503", {"": refused(503, "Trunk Capacity Exceeded")}, answered(0.8, 4.0)),
    Planned(2.0, "clara", "+12025550147", globex=refused(608)),
    Planned(3.5, ("Praxis Dr. Weber", "+493023125731"), "+493023125201", {"anna": answered(1.5, 6.0)}),
    Planned(5.0, "ben", "+493023125404", {"": refused(404, "Unallocated Number")}),
    Planned(6.5, "emil", "+442079460018"),
    Planned(8.0, "clara", "+493023125441", {"": RINGS}),
    Planned(9.5, ("Café Zoë", "+493023125116"), "+493023125200", {
        "anna": refused(486), "ben": RINGS, "clara": answered(2.0, 3.0),
    }),
    Planned(11.0, "ben", "+12025550188", globex=refused(603, "Network Blocked", BLOCKED)),
    Planned(12.5, "anna", "+493023125219", {"": answered(1.0)}, bye_after_s=5.0),
    Planned(14.0, ("Jürgen Müller", "+493023125820"), "+493023125205"),
    Planned(15.5, "emil", "+493023125480", {"": refused(480, "Subscriber Absent")}),
    Planned(17.0, "ben", "+493023125504", {"": refused(503)}, refused(503, "No Circuit Available")),
    Planned(18.5, "clara", "+493023125300", {"": RINGS}, cancel_on=180, cancel_after_s=2.5),
    Planned(20.0, "anna", "+33199001234"),
    Planned(21.5, "ben", "204", {"emil": answered(1.0)}, bye_after_s=3.0),
    Planned(23.0, "clara", "+493023125100", {"": TRIES}),
    Planned(24.5, "anna", "+12025550122", globex=answered(1.2, 4.0)),
    Planned(26.0, "emil", "+493023125403", {"": refused(403, "CLI Not Permitted")}),
    Planned(27.5, ("Fahrradladen Süd", "+493023125642"), "+493023125202", {"ben": refused(486)}),
    Planned(29.0, "clara", "+493023125603", {"": refused(603, rang_s=1.6)}),
    Planned(31.0, "ben", "+19005550199"),
    Planned(32.5, "emil", "+493023125500", {"": refused(500)}, answered(0.7, 3.0)),
    Planned(34.0, "anna", "+493023125488", {"": refused(488)}),
    Planned(35.5, ("Łukasz Nowak", "+493023125977"), "+493023125300", {"emil": RINGS}, cancel_after_s=4.0),
    Planned(37.0, "clara", "+493023125484", {"": refused(484)}),
    Planned(38.5, "ben", "+493023125251", {"": answered(0.9, 3.5)}),
    Planned(40.0, "anna", "+12025550107", globex=refused(607)),
    Planned(41.5, ("Spedition Krüger", "+493023125388"), "+493023125200", {
        "anna": RINGS, "ben": RINGS, "clara": RINGS,
    }),
    Planned(43.0, "emil", "+493023125302", {"": Script((Reply(100), Reply(183, after_s=0.4)))}, cancel_on=183,
            cancel_after_s=3.0),
    Planned(44.5, "emil", "+493023125410", {"": refused(410, "Number Changed")}),
    Planned(46.0, "anna", "+12025550163", globex=answered(0.6, 2.5)),
    Planned(49.5, ("Praxis Dr. Weber", "+493023125731"), "+493023125203", {"clara": RINGS}),
    Planned(51.0, "ben", "+493023125407", {"": refused(407)}),
    Planned(52.5, "emil", "+12025550171", globex=refused(600, rang_s=0.5)),
    Planned(54.0, "anna", "+493023125263", {"": answered(1.1)}, bye_after_s=3.0),
    Planned(55.5, "ben", "+493023125502", {"": refused(502, "Gateway Lost")}),
    Planned(57.0, "ben", "201", {"anna": refused(486)}),
    Planned(56.0, "clara", "+493023125299", {"": refused(302, None, FORWARD), "+493023125298": answered(0.8, 2.0)}),
    Planned(58.0, "emil", "+493023125408", {"": refused(408, "Request Timeout", rang_s=1.0)}),
)  # fmt: skip


async def record(path: Path) -> None:
    """Place the planned calls on a PBX of their own; write down what a listener hears, byte by byte."""
    phones = "".join(
        PHONE.format(phone=phone, name=name, extension=201 + number)
        for number, (phone, name) in enumerate(PHONES.items())
    )
    extra = {"pjsip.conf": PJSIP + phones, "extensions.conf": DIALPLAN, "queues.conf": QUEUE}
    options = PbxOptions("22", timer_t1_ms=100, timer_b_ms=6400, extra=extra)
    with Asterisk(options) as pbx:
        async with Lab(pbx) as lab, contextlib.AsyncExitStack() as open_:
            callers = {role: SipCaller(pbx.host, pbx.ports.sip, role) for role in (*PHONES, CARRIER)}
            for caller in callers.values():
                await open_.enter_async_context(caller)
            recorder = await open_.enter_async_context(Recorder(pbx.host, pbx.ports.ami, path))
            await recorder.connect(pbx.companion.name, pbx.companion.secret, events="call,system,agent")
            await recorder.action("CoreSettings")
            began_at = asyncio.get_running_loop().time()
            await asyncio.gather(*(_place(lab, callers, planned, began_at) for planned in PLAN))
            await lab.idle()
            await until(lambda: recorder.quiet, "every channel gone")


async def _place(lab: Lab, callers: Mapping[str, SipCaller], planned: Planned, began_at: float) -> None:
    await asyncio.sleep(began_at + planned.at_s - asyncio.get_running_loop().time())
    for user, script in planned.scripts.items():
        peer = lab.phones if user in PHONES else lab.acme
        peer.scripts[user or planned.dialled] = script
    if planned.globex is not None:
        lab.globex.scripts[planned.dialled] = planned.globex
    headers: tuple[tuple[str, str], ...] = ()
    role = CARRIER
    if isinstance(planned.caller, str):
        role = planned.caller
    else:
        name, number = planned.caller
        headers = (("P-Asserted-Identity", f'"{name}" <sip:{number}@{lab.pbx.host}>'),)
    await callers[role].call(
        planned.dialled,
        cancel_on=planned.cancel_on,
        cancel_after_s=planned.cancel_after_s,
        bye_after_s=planned.bye_after_s,
        headers=headers,
    )


def main() -> None:
    """Make the recording anew."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.ami"
        asyncio.run(record(path))
        data = path.read_bytes()
    DEMO.parent.mkdir(exist_ok=True)
    DEMO.write_bytes(gzip.compress(data, 9, mtime=0))
    sys.stdout.write(f"{len(data):,} bytes, {DEMO.stat().st_size:,} gzipped: {DEMO}\n")


if __name__ == "__main__":
    main()

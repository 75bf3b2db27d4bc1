"""Writes the AMI stream of a call, event by event, as Asterisk 16 and 22 write it, so that an odd call is a short test.

    script = AmiScript(release="22", line=True)
    caller = script.incoming("PJSIP/caller", exten="608")
    trunk = script.dial(caller, "PJSIP/acme", "608@acme")
    script.reject(trunk, "608 Rejected")
    script.hangup(caller, cause=127, tech_cause=500)

Every step moves the clock on by ``STEP_S``. ``script.events`` may be cut, doubled and moved before it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from asterisk_sip import catalog

LINE = r"EVAL(${${IF(${FIELDNUM(HANGUPCAUSE_KEYS(),\,,${CHANNEL(name)})}?HANGUPCAUSE:LEN)}(${CHANNEL(name)},tech)})"
STEP_S = 0.01
EPOCH = 1_795_000_000.0

DOWN, RING, RINGING, UP, BUSY = 0, 4, 5, 6, 7
STATES = {DOWN: "Down", RING: "Ring", RINGING: "Ringing", UP: "Up", BUSY: "Busy"}

BANNERS = {"16": b"Asterisk Call Manager/5.0.4\r\n", "22": b"Asterisk Call Manager/11.0.0\r\n"}
VERSIONS = {"16": "16.28.0~dfsg-0+deb11u4", "22": "22.10.1+dfsg+~cs6.17.60671434-1"}

CAUSE_TEXTS = {
    0: "Unknown",
    1: "Unallocated (unassigned) number",
    3: "No route to destination",
    16: "Normal Clearing",
    17: "User busy",
    18: "No user responding",
    19: "User alerting, no answer",
    21: "Call Rejected",
    26: "Answered elsewhere",
    34: "Circuit/channel congestion",
    58: "Bearer capability not available",
    127: "Interworking, unspecified",
}
DIAL_STATUSES = {17: "BUSY", 34: "CONGESTION", 3: "CHANUNAVAIL", 20: "CHANUNAVAIL"}
"""What DialEnd says for a cause (main/dial.c ``ast_hangup_cause_to_dial_status``); NOANSWER for all others."""

_PLAIN, _SIGNS = "\a\b\f\n\r\t\v\\'\"?", "abfnrtv\\'\"?"
_ESCAPES = str.maketrans({letter: f"\\{sign}" for letter, sign in zip(_PLAIN, _SIGNS, strict=True)})

Header = tuple[str, str]


@dataclass
class Chan:
    """A channel as Asterisk has it now."""

    name: str
    uniqueid: str
    linkedid: str
    state: int = DOWN
    number: str = ""
    caller_name: str = ""
    account: str = ""
    context: str = "from-phones"
    exten: str = "s"
    dialer: Chan | None = None
    status: str | None = None  # the last status line that the far end sent: "486 Busy Here"


class AmiScript:
    """What one Asterisk sends to a reader of ``call`` and ``system`` events.

    ``line``: manager.conf has the channelvars line. ``timestamps``: it has ``timestampevents = yes``. ``first`` is the
    number of the first channel, so that the streams of two scripts can be put together.
    """

    def __init__(
        self, *, release: str = "22", line: bool = True, timestamps: bool = True, first: int = 1, at: float = EPOCH
    ) -> None:
        self.release = release
        self.line = line
        self.timestamps = timestamps
        self.now = at
        self.events: list[bytes] = []
        self._number = first

    def stream(self) -> bytes:
        """All of it, from the banner on."""
        return self.greeting() + b"".join(self.events)

    def greeting(self) -> bytes:
        """What comes before the events: the banner, and the answers to Login and CoreSettings."""
        settings = [("Response", "Success"), ("AMIversion", "11.0.0"), ("AsteriskVersion", VERSIONS[self.release])]
        login = [("Response", "Success"), ("Message", "Authentication accepted")]
        return BANNERS[self.release] + _message(login) + _message(settings)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """What happens in here is not told: the link was down, or Asterisk dropped the events."""
        count = len(self.events)
        yield
        del self.events[count:]

    # how a channel begins

    def incoming(
        self,
        peer: str = "PJSIP/caller",
        *,
        exten: str = "100",
        context: str = "from-phones",
        number: str = "1001",
        caller_name: str = "",
        account: str = "",
    ) -> Chan:
        """A caller's INVITE becomes a channel that starts in the dialplan at ``exten``."""
        chan = self._new(peer, None, RING, exten)
        chan.context, chan.number, chan.caller_name, chan.account = context, number, caller_name, account
        self.tell("Newchannel", chan)
        return chan

    def channel(self, peer: str, linkedid: str | None = None, state: int = DOWN, exten: str = "s") -> Chan:
        """A channel comes into being, on Asterisk's own account or of the call ``linkedid``."""
        chan = self._new(peer, linkedid, state, exten)
        self.tell("Newchannel", chan)
        return chan

    def dial(self, dialer: Chan, peer: str, dial_string: str) -> Chan:
        """Dial() makes a channel and begins an attempt."""
        chan = self.channel(peer, dialer.linkedid)
        self.dial_begin(dialer, chan, dial_string)
        return chan

    def originate(self, peer: str, dial_string: str) -> Chan:
        """An Originate or a call file makes a channel and dials it; nobody is the dialer."""
        chan = self.channel(peer)
        self.dial_begin(None, chan, dial_string)
        return chan

    def local(self, dialer: Chan, target: str, context: str = "internal") -> tuple[Chan, Chan]:
        """Dial(Local/...): the half that is dialled, and the half that runs the dialplan at ``target``."""
        one = self._new(f"Local/{target}@{context}", dialer.linkedid, DOWN, target)
        two = self._new(f"Local/{target}@{context}", dialer.linkedid, RING, target)
        one.name, two.name = f"{one.name};1", f"{one.name};2"
        self.tell("Newchannel", one)
        self.tell("Newchannel", two)
        halves = [*self.snapshot(one, "LocalOne"), *self.snapshot(two, "LocalTwo")]
        self._write("LocalBridge", *halves, ("Context", context), ("Exten", target), ("LocalOptimization", "Yes"))
        self.dial_begin(dialer, one, f"{target}@{context}")
        return one, two

    def dial_begin(self, dialer: Chan | None, dest: Chan, dial_string: str) -> None:
        """An attempt begins."""
        dest.dialer = dialer
        if dest.exten == "s" and dialer is not None:
            dest.exten = dialer.exten
        self._dial("DialBegin", dest, ("DialString", dial_string))

    # what becomes of it

    def trying(self, *chans: Chan) -> None:
        """The far end sent 100, of which no event tells."""
        for chan in chans:
            chan.status = "100 Trying"

    def ring(self, *chans: Chan) -> None:
        """The far ends ring."""
        for chan in chans:
            chan.status, chan.state = "180 Ringing", RINGING
            self.tell("Newstate", chan)
            self._dial("DialState", chan, ("DialStatus", "RINGING"))

    def progress(self, chan: Chan) -> None:
        """The far end sends early media."""
        chan.status = "183 Session Progress"
        self._dial("DialState", chan, ("DialStatus", "PROGRESS"))

    def answer(self, chan: Chan) -> None:
        """The far end answers; the caller, if any, is answered with it, and both are bridged."""
        chan.status, chan.state = "200 OK", UP
        self.tell("Newstate", chan)
        self.dial_end(chan, "ANSWER")
        if chan.dialer is not None:
            self.up(chan.dialer)
            self.bridge(chan, chan.dialer)

    def up(self, chan: Chan) -> None:
        """Asterisk answers the caller."""
        if chan.state != UP:
            chan.state = UP
            self.tell("Newstate", chan)

    def refuse(self, chan: Chan) -> None:
        """Asterisk shows the caller busy or congestion: Busy(), Congestion(), or the end of Dial."""
        chan.state = BUSY
        self.tell("Newstate", chan)

    def bridge(self, *chans: Chan) -> None:
        """The channels come into a bridge."""
        for count, chan in enumerate(chans, 1):
            self._write("BridgeEnter", *_bridge(count), *self.snapshot(chan))

    def dial_end(self, chan: Chan, status: str, forward: str | None = None) -> None:
        """An attempt ends, in Asterisk's own word."""
        self._dial("DialEnd", chan, ("DialStatus", status), *([("Forward", forward)] if forward is not None else []))

    def reject(self, chan: Chan, status: str, *, cause: int | None = None, dial_status: str | None = None) -> None:
        """The far end answers with a final status: ``608 Rejected``. HangupRequest still shows the old snapshot."""
        code = int(status[:3])
        cause = catalog.asterisk_sip_to_cause(code, version=self.release) if cause is None else cause
        tech_cause = code if chan.name.startswith("PJSIP/") else None
        self.hangup_request(chan, cause, tech_cause)
        chan.status = status
        self.dial_end(chan, dial_status or DIAL_STATUSES.get(cause, "NOANSWER"))
        self.hangup(chan, cause, tech_cause)

    def fail_locally(self, chan: Chan, cause: int, tech_cause: int) -> None:
        """Asterisk's own stack gives up: timer B (18, 408), TCP refused or no such host (34, 503)."""
        self.hangup_request(chan, cause, tech_cause)
        self.dial_end(chan, DIAL_STATUSES.get(cause, "NOANSWER"))
        self.hangup(chan, cause, tech_cause)

    def time_out(self, *chans: Chan) -> None:
        """Dial()'s time is over: Asterisk cancels what still rings."""
        for chan in chans:
            self.dial_end(chan, "NOANSWER")
        for chan in chans:
            self.hangup(chan, cause=0)

    def cancel(self, caller: Chan, *pending: Chan, cause: int = 127) -> None:
        """The caller gives up: Asterisk answers 487 and cancels what it dialled. It leaves 500 on the dialled legs."""
        self.hangup_request(caller, cause, 487)
        for chan in pending:
            self.dial_end(chan, "CANCEL")
        for chan in pending:
            self.hangup(chan, cause, 500 if cause == 127 else None)
        self.soft_hangup(caller)
        self.hangup(caller, cause, 487)

    def hangup_request(self, chan: Chan, cause: int | None = 16, tech_cause: int | None = None) -> None:
        """The far end ends the channel."""
        self.tell("HangupRequest", chan, *self._causes(cause, tech_cause, text=False))

    def soft_hangup(self, chan: Chan) -> None:
        """Asterisk ends the channel: ``Cause`` is a mask of flags here, not a cause."""
        self.tell("SoftHangupRequest", chan, ("Cause", "16"))

    def hangup(self, chan: Chan, cause: int = 16, tech_cause: int | None = None) -> None:
        """The channel is gone."""
        self.tell("Hangup", chan, *self._causes(cause, tech_cause, text=True))

    def rename(self, chan: Chan, name: str) -> None:
        """The channel has another name from now on (masquerade)."""
        names = [("Channel", chan.name), ("Newname", name)]
        self._write("Rename", *names, ("Uniqueid", chan.uniqueid), ("Linkedid", chan.linkedid))
        chan.name = name

    def shut_down(self, *, restart: bool = False) -> None:
        """Asterisk goes down."""
        self._write("Shutdown", ("Shutdown", "Cleanly"), ("Restart", str(restart)), privilege="system,all")

    def booted(self) -> None:
        """Asterisk is up, or we have just logged in."""
        self._write("FullyBooted", ("Uptime", "7"), ("Status", "Fully Booted"), privilege="system,all")

    def list_channels(self, *alive: Chan) -> None:
        """The answer to CoreShowChannels."""
        self.events.append(_message([("Response", "Success"), ("EventList", "start")]))
        for chan in alive:
            self.events.append(_message([("Event", "CoreShowChannel"), *self.snapshot(chan)]))
        end = [("Event", "CoreShowChannelsComplete"), ("EventList", "Complete"), ("ListItems", str(len(alive)))]
        self.events.append(_message([*end, *self._timestamp()]))

    def tell(self, event: str, chan: Chan, *own: Header) -> None:
        """Write an event about one channel."""
        self._write(event, *self.snapshot(chan), *own)

    def snapshot(self, chan: Chan, prefix: str = "") -> list[Header]:
        """The headers every channel event begins with (main/manager_channels.c)."""
        headers = [
            ("Channel", chan.name),
            ("ChannelState", str(chan.state)),
            ("ChannelStateDesc", STATES[chan.state]),
            ("CallerIDNum", chan.number or "<unknown>"),
            ("CallerIDName", escape(chan.caller_name) or "<unknown>"),
            ("ConnectedLineNum", "<unknown>"),
            ("ConnectedLineName", "<unknown>"),
            ("Language", "en"),
            ("AccountCode", chan.account),
            ("Context", chan.context),
            ("Exten", chan.exten),
            ("Priority", "1"),
            ("Uniqueid", chan.uniqueid),
            ("Linkedid", chan.linkedid),
        ]
        if self.line:
            heard = f"SIP {escape(chan.status)}" if chan.status is not None else str(len(f"{chan.name},tech"))
            headers.append(("ChanVariable", f"{LINE}={heard}"))
        return [(prefix + name, value) for name, value in headers]

    def _new(self, peer: str, linkedid: str | None, state: int, exten: str) -> Chan:
        number, self._number = self._number, self._number + 1
        uniqueid = f"{int(self.now)}.{number}"
        return Chan(f"{peer}-{number:08x}", uniqueid, linkedid or uniqueid, state, exten=exten)

    def _dial(self, event: str, dest: Chan, *own: Header) -> None:
        dialer = self.snapshot(dest.dialer) if dest.dialer is not None else []
        self._write(event, *dialer, *self.snapshot(dest, "Dest"), *own)

    def _causes(self, cause: int | None, tech_cause: int | None, *, text: bool) -> list[Header]:
        headers = [("Cause", str(cause))] if cause is not None else []
        if text and cause is not None:
            headers.append(("Cause-txt", CAUSE_TEXTS.get(cause, "Unknown")))
        if tech_cause is not None and self.release == "22":
            headers.append(("TechCause", str(tech_cause)))
        return headers

    def _timestamp(self) -> list[Header]:
        return [("Timestamp", f"{self.now:.6f}")] if self.timestamps else []

    def _write(self, event: str, *headers: Header, privilege: str = "call,all") -> None:
        self.now += STEP_S
        self.events.append(_message([("Event", event), ("Privilege", privilege), *self._timestamp(), *headers]))


def escape(text: str) -> str:
    """Write text as AMI does: quotes, ``?``, backslash and control letters as in C (main/utils.c ``ast_escape_c``)."""
    return text.translate(_ESCAPES)


def _message(headers: list[Header]) -> bytes:
    return ("".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n").encode()


def _bridge(count: int) -> list[Header]:
    return [
        ("BridgeUniqueid", "3b04826a-90d2-46f0-bba0-55eaf8c36111"),
        ("BridgeType", "basic"),
        ("BridgeTechnology", "simple_bridge"),
        ("BridgeCreator", "<unknown>"),
        ("BridgeName", "<unknown>"),
        ("BridgeNumChannels", str(count)),
        ("BridgeVideoSourceMode", "none"),
    ]

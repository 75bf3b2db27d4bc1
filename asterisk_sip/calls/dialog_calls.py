"""SIP dialogs as events for the core, for a PBX of which nothing but HEP tells. Pure; bounded.

No message says which INVITE that the PBX sends belongs to which call that it takes: that is a conclusion, by number and
time. Local channels do not show; who dials through one dials as the caller. What gets a channel is told from what does
not by the 100 that the PBX answers (``Dialog.refused_outright``).
"""

from __future__ import annotations

import heapq
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from asterisk_sip import catalog
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Bounded
from asterisk_sip.calls.dialog import CHALLENGES, Dialog
from asterisk_sip.calls.own_address import EndpointNames, OwnAddresses
from asterisk_sip.calls.report_calls import CANCELLED_CAUSE, DIAL_STATUSES, ELSEWHERE_CAUSE
from asterisk_sip.calls.sip_seen import user_of

MAX_LEGS = 20_000
T1_S = 0.5
TIMER_B = 64  # times T1 (RFC 3261 section 17.1.1.2)
ENDING_S = 2.0  # how long the legs of a caller who is gone may take to end
CREDENTIALS_S = 0.5  # how long after a challenge the INVITE may come again
NEXT_S = 0.05  # how long after a refusal another leg of the same Dial may still begin
FORK_S = 0.5  # a silent leg older than this was given up when the caller's next one begins
FORKS_APART_S = 0.001  # legs that begin so close together were dialled at once, even if the first is refused by then
MAX_UNDECIDED = 64
SHORTEST_NUMBER = 3

_Q850 = re.compile(r"\s*Q\.850\s*;(?:[^,]*;)?\s*cause\s*=\s*(\d{1,3})", re.IGNORECASE)


@dataclass(slots=True)
class _Leg:
    """One dialog on its way through the core."""

    dialog: Dialog
    came: float  # when we heard of it
    parent: _Leg | None = None
    children: list[_Leg] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    over: bool = False

    def first(self, what: str) -> bool:
        """Return whether something is told for the first time, and note that it is."""
        fresh = what not in self.told
        self.told.add(what)
        return fresh

    @property
    def refused(self) -> bool:
        """Whether the far end refused the call, which is not told yet."""
        return not self.over and self.dialog.ended_at is not None and self.dialog.answered_at is None

    @property
    def silent(self) -> bool:
        """Whether the far end never said anything."""
        return self.dialog.replied_at is None and not self.over


class DialogCalls:
    """The calls that show as dialogs. ``now`` is seconds by any clock that only grows."""

    def __init__(self, own: OwnAddresses, names: EndpointNames | None = None, max_legs: int = MAX_LEGS) -> None:
        self._max_legs = max_legs
        self._own = own
        self._names = names or EndpointNames()
        self._legs: OrderedDict[str, _Leg] = OrderedDict()  # by Call-ID, in the order in which they began
        self._callers: OrderedDict[str, _Leg] = OrderedDict()  # of these those who call the PBX
        self._done: Bounded[str, None] = Bounded(max_legs)
        self._undecided: OrderedDict[str, Dialog] = OrderedDict()  # nobody knows which side is the PBX
        self._due: list[tuple[float, str, str]] = []  # when, what, Call-ID

    @property
    def held(self) -> int:
        """How many entries are kept: none when there is no call."""
        return len(self._legs)

    def feed(self, dialog: Dialog, now: float) -> list[ev.Event]:
        """Take a dialog that a message has just changed; return what the core is to hear of it."""
        if dialog.sent is None:
            self._undecided[dialog.call_id] = dialog
            if len(self._undecided) > MAX_UNDECIDED:
                self._undecided.popitem(last=False)
            return []
        events: list[ev.Event] = []
        for waiting in list(self._undecided.values()):
            if waiting.sent is None:
                waiting.sent = self._own.sent_between(waiting.src, waiting.dst, udp=waiting.udp)
            if waiting.sent is not None:
                del self._undecided[waiting.call_id]
                events += self._advance(waiting, now)
        return [*events, *self._advance(dialog, now)]

    def due(self, now: float) -> list[ev.Event]:
        """Return what time alone tells: who never answered, and whose end nobody showed."""
        events: list[ev.Event] = []
        while self._due and self._due[0][0] <= now:
            _, what, call_id = heapq.heappop(self._due)
            leg = self._legs.get(call_id)
            if leg is None:
                continue
            if what == "caller":
                events += self._end_caller(leg, now, force=True)
            elif what == "silent" and leg.silent:
                events += self._timer_b(leg, now)
            elif what == "rejected" and leg.refused:
                events += self._rejected(leg, now)
        return events

    # each side

    def _advance(self, dialog: Dialog, now: float) -> Iterator[ev.Event]:
        leg = self._legs.get(dialog.call_id)
        if leg is None:
            if dialog.call_id in self._done:
                return
            leg = self._legs[dialog.call_id] = _Leg(dialog, now)
            if not dialog.sent:
                self._callers[dialog.call_id] = leg
            if len(self._legs) > self._max_legs:
                self._forget(next(iter(self._legs.values())))
        if not leg.over:
            yield from self._outbound(leg, now) if dialog.sent else self._inbound(leg, now)

    def _inbound(self, leg: _Leg, now: float) -> Iterator[ev.Event]:
        dialog, channel = leg.dialog, self._channel(leg)
        if dialog.refused_outright:  # no channel; if it was a challenge it may begin again
            self._forget(leg)
            return
        if dialog.alive_at or dialog.cancelled_at or dialog.ended_at:
            yield from self._begin(leg)
        if dialog.answered_at is not None and leg.first("up"):
            yield ev.ChannelSeen(dialog.answered_at, channel._replace(up=True))
        left_at = dialog.cancelled_at or (dialog.ended_at if dialog.ended_by_inviter else None)
        if left_at is not None and leg.first("left"):
            yield ev.HangupRequested(left_at, channel, None, None)
        if dialog.ended_at is not None:
            if leg.first("ending"):
                heapq.heappush(self._due, (now + ENDING_S, "caller", dialog.call_id))
            yield from self._end_caller(leg, now)

    def _outbound(self, leg: _Leg, now: float) -> Iterator[ev.Event]:
        dialog, channel = leg.dialog, self._channel(leg)
        if leg.first("begun"):
            yield from self._dial(leg, now)
        if dialog.ringing_at is not None and leg.first("ringing"):
            yield ev.DialProgressed(dialog.ringing_at, channel, "RINGING")
        elif dialog.alive_at is not None and dialog.answered_at is None and leg.first("alive"):
            yield ev.DialProgressed(dialog.alive_at, channel, "PROGRESS")
        if dialog.answered_at is not None and leg.first("up"):
            yield ev.DialEnded(dialog.answered_at, channel._replace(up=True), "ANSWER", None)
        if dialog.cancelled_at is not None and dialog.answered_at is None:
            yield from self._cancelled(leg, dialog.cancelled_at, now)
        elif dialog.ended_at is not None and dialog.answered_at is not None:
            if not dialog.ended_by_inviter:
                yield ev.HangupRequested(dialog.ended_at, channel, None, None)
            yield from self._end(leg, dialog.ended_at, _cause(dialog.end_reasons, 16), now)
        elif dialog.ended_at is not None:
            wait_s = CREDENTIALS_S if dialog.code in CHALLENGES else NEXT_S
            heapq.heappush(self._due, (now + wait_s, "rejected", dialog.call_id))

    def _begin(self, leg: _Leg) -> Iterator[ev.Event]:
        if leg.first("begun"):
            yield ev.ChannelBegan(leg.dialog.began_at, self._channel(leg))

    def _dial(self, leg: _Leg, now: float) -> Iterator[ev.Event]:
        dialog, channel = leg.dialog, self._channel(leg)
        parent = self._parent_of(dialog)
        if parent is not None:
            yield from self._begin(parent)
            for other in list(parent.children):
                apart_s = dialog.began_at - other.dialog.began_at
                if other.silent and apart_s > FORK_S:
                    yield from self._gave_up_silent(other, dialog.began_at, now)
                elif other.refused and apart_s > FORKS_APART_S:
                    yield from self._rejected(other, now)
            leg.parent = parent
            parent.children.append(leg)
        yield ev.ChannelBegan(dialog.began_at, channel)
        source = self._channel(parent) if parent is not None else None
        yield ev.DialBegan(dialog.began_at, source, channel, f"{dialog.number}@{self._names.at(dialog.dst)}")
        heapq.heappush(self._due, (now + TIMER_B * T1_S + 1.0, "silent", dialog.call_id))

    # how legs end

    def _rejected(self, leg: _Leg, now: float) -> Iterator[ev.Event]:
        dialog, channel = leg.dialog, self._channel(leg)
        at, code = dialog.ended_at or dialog.began_at, dialog.code or 0
        cause = catalog.asterisk_sip_to_cause(code)
        yield ev.HangupRequested(at, channel, cause, None)
        forward = user_of(_uri(dialog.contacts[0])) if dialog.contacts else None
        status = "CANCEL" if forward else DIAL_STATUSES.get(cause, "NOANSWER")
        yield ev.DialEnded(at, channel, status, forward or None)
        yield from self._end(leg, at, cause, now)

    def _cancelled(self, leg: _Leg, at: float, now: float) -> Iterator[ev.Event]:
        """The PBX gave the leg up: for another that answered, for the caller who left, or of itself (Dial's time)."""
        caller = leg.parent.dialog if leg.parent is not None else None
        cause = _cause(leg.dialog.end_reasons, 0)
        left = caller is not None and (caller.cancelled_at is not None or bool(caller.ended_by_inviter))
        status = "CANCEL" if cause == ELSEWHERE_CAUSE or left else "NOANSWER"
        yield ev.DialEnded(at, self._channel(leg), status, None)
        yield from self._end(leg, at, cause or (CANCELLED_CAUSE if left else 0), now)

    def _timer_b(self, leg: _Leg, now: float) -> Iterator[ev.Event]:
        """Nothing came until the transaction timed out, or there never was a connection: Asterisk makes up 408, 503."""
        dialog, channel = leg.dialog, self._channel(leg)
        cause, at = 18, dialog.began_at + TIMER_B * _t1(dialog)
        yield ev.HangupRequested(at, channel, cause, None)
        yield ev.DialEnded(at, channel, "NOANSWER", None)
        yield from self._end(leg, at, cause, now)

    def _gave_up_silent(self, leg: _Leg, at: float, now: float) -> Iterator[ev.Event]:
        """A leg on which nothing came was over at ``at``: by timer B, without a connection, or given up by the PBX."""
        dialog, channel = leg.dialog, self._channel(leg)
        if at - dialog.began_at >= TIMER_B * _t1(dialog) - FORK_S:
            yield from self._timer_b(leg, now)
            return
        caller = leg.parent.dialog if leg.parent is not None else None
        if caller is not None and caller.code == 503 and not dialog.udp:
            yield ev.HangupRequested(at, channel, 34, None)
            yield ev.DialEnded(at, channel, "CONGESTION", None)
            yield from self._end(leg, at, 34, now)
        else:
            yield from self._cancelled(leg, at, now)

    def _end_caller(self, leg: _Leg, now: float, *, force: bool = False) -> Iterator[ev.Event]:
        """End a caller who is gone, after the legs that were dialled for him."""
        at = leg.dialog.ended_at
        if at is None or leg.over:
            return
        for child in [each for each in leg.children if not each.over and each.dialog.answered_at is None]:
            if child.refused:
                yield from self._rejected(child, now)
            elif child.silent:
                yield from self._gave_up_silent(child, at, now)
            elif force:
                yield from self._cancelled(child, at, now)
        if all(child.over or child.dialog.answered_at is not None for child in leg.children):
            cause = _cause(leg.dialog.reasons or leg.dialog.end_reasons, 0) or _cause_sent(leg.dialog)
            yield from self._end(leg, at, cause, now)

    def _end(self, leg: _Leg, at: float, cause: int, now: float) -> Iterator[ev.Event]:
        if leg.over:
            return
        leg.over = True
        text = catalog.q850_cause(cause).asterisk_text if cause else None
        yield ev.HungUp(at, self._channel(leg), cause, text, None, "HEP")
        self._forget(leg)
        self._done[leg.dialog.call_id] = None
        if leg.parent is not None:
            yield from self._end_caller(leg.parent, now)

    def _forget(self, leg: _Leg) -> None:
        self._legs.pop(leg.dialog.call_id, None)
        self._callers.pop(leg.dialog.call_id, None)

    # who belongs to whom

    def _parent_of(self, dialog: Dialog) -> _Leg | None:
        """Return the call for which the PBX sent this INVITE: caller and number fit, else the number, else the caller.

        Of several the newest. None when nothing fits: then it is a call of its own.
        """
        best: tuple[int, _Leg] | None = None
        for leg in reversed(self._callers.values()):
            call = leg.dialog
            if call.ended_at is not None or call.cancelled_at is not None or not (call.tried or call.answered_at):
                continue
            fits = 2 * _fits(call.number, dialog.number) + bool(_users(call) & _users(dialog))
            if fits and (best is None or fits > best[0]):
                best = fits, leg
                if fits == 3:
                    break
        return best[1] if best is not None else None

    def _channel(self, leg: _Leg) -> ev.Channel:
        dialog = leg.dialog
        number = blake2b(dialog.call_id.encode("utf-8", "backslashreplace"), digest_size=4).hexdigest()
        name = f"PJSIP/{self._names.at(dialog.dst if dialog.sent else dialog.src)}-{number}"
        channel = ev.Channel(name, f"sip:{dialog.call_id}", "", call_id=dialog.call_id)
        if dialog.sent:
            return channel
        who = dialog.caller
        return channel._replace(caller_number=who.user or None, caller_name=who.display, exten=dialog.number or None)


def _users(dialog: Dialog) -> set[str]:
    asserted = dialog.invite.asserted
    return {dialog.invite.sender.user, asserted.user if asserted is not None else ""} - {""}


def _fits(dialled: str, number: str) -> bool:
    """Return whether a number is the one that was dialled, or a part of it, or the other way round."""
    shorter, longer = sorted((_bare(dialled), _bare(number)), key=len)
    return shorter == longer or (len(shorter) >= SHORTEST_NUMBER and shorter in longer)


def _bare(number: str) -> str:
    return number.removeprefix("+").removeprefix("00")


def _t1(dialog: Dialog) -> float:
    """Return T1: an INVITE is first sent again after it (RFC 3261 section 17.1.1.2)."""
    return dialog.resent_at - dialog.began_at if dialog.resent_at is not None else T1_S


def _cause(reasons: tuple[str, ...], otherwise: int) -> int:
    """Return the Q.850 cause in Reason values that Asterisk sent or received (res_pjsip_rfc3326)."""
    found = next(filter(None, map(_Q850.match, reasons)), None)
    return int(found[1]) & 127 if found is not None else otherwise


def _cause_sent(dialog: Dialog) -> int:
    if dialog.answered_at is not None:
        return 16
    return CANCELLED_CAUSE if dialog.cancelled_at is not None else catalog.asterisk_sip_to_cause(dialog.code or 487)


def _uri(contact: str) -> str:
    return contact.partition("<")[2].partition(">")[0] if "<" in contact else contact.partition(";")[0]

"""Turns what Asterisk's log of channel events (CEL) holds of a gap into events for the core. Pure.

The log knows channels, answers and ends with their Q.850 cause, but no ringing and no SIP status: a call told by it
alone is partial, and its code is a set of candidates. All rules were seen on 16.28 and 22.10.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from asterisk_sip import catalog
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.report_calls import DIAL_STATUSES
from asterisk_sip.calls.state import peer_of
from asterisk_sip.sources.cel_wire import CelCall, CelLeg, Row, calls

CEL = "CEL"

CANCELLING_CAUSES = (26, 127)
"""Left on a dialled leg that Asterisk cancelled: answered elsewhere, or the caller's 487 as chan_pjsip maps it."""

AT_ONCE_S = 0.25
"""A leg that ended so shortly before the leg that dialled it ended with it."""

_TURNS = ("CHAN_START", "ANSWER", "HANGUP", "CHAN_END")


def calls_from_cel(rows: Iterable[Row], gap_began_at: float, gap_ended_at: float) -> list[ev.Backfilled]:
    """Return what the core has to hear of each call in which a channel began, was answered or ended inside a gap.

    ``rows`` are those of the gap and of a little time before, in the order in which they were written. What happened
    after the gap is left out: the doors told that themselves. The call whose news are the oldest comes first.
    """
    found = []
    for call in calls(row for row in rows if row.at <= gap_ended_at):
        if any(row.kind in _TURNS and row.at >= gap_began_at for row in call.rows):
            events = tuple(_events(call))
            found.append(ev.Backfilled(events[-1].at, tuple(sorted(call.linkedids)), events))
    return sorted(found, key=lambda news: news.events[0].at)


def _events(call: CelCall) -> Iterator[ev.Event]:
    for row in _in_order(call):
        leg = call.legs[row.uniqueid]
        if row.kind == "CHAN_START":
            yield from _began(call, leg, row)
        elif row.kind == "ANSWER":
            yield ev.ChannelSeen(row.at, _channel(row, up=True))
            if leg.dialled_by:
                yield ev.DialEnded(row.at, _channel(row, up=True), "ANSWER", None)
        elif row.kind == "APP_START" and row.app == "Queue":
            yield ev.QueueJoined(row.at, _channel(row))
        elif row.kind == "APP_END" and row.app == "Queue" and not _gave_up(leg, row):
            yield ev.QueueLeft(row.at, _channel(row))
        elif row.kind == "HANGUP" or (row.kind == "CHAN_END" and leg.ended_at == row.at and leg.cause is None):
            yield from _ended(call, leg, row)


def _in_order(call: CelCall) -> list[Row]:
    """Return the rows as things happened: 16 may write a refused leg's end behind the next one's beginning."""
    dialled = [leg for leg in call.legs.values() if leg.dialled_by == "AppDial" and leg.began_at is not None]
    dials = {row.app_data.partition(",")[0] for row in call.rows if row.app == "Dial"}
    moved: dict[str, float] = {}
    for leg in dialled:
        began, ended = leg.began_at or 0.0, leg.ended_at or 0.0
        soon = [other for other in dialled if max(began, ended - AT_ONCE_S) <= (other.began_at or 0.0) <= ended]
        nexts = [other.began_at or 0.0 for other in soon if other is not leg and _in_turn(dials, leg, other)]
        if nexts and leg.answered_at is None:
            moved[leg.uniqueid] = min(nexts)

    def when(row: Row) -> tuple[float, bool]:
        at = moved.get(row.uniqueid) if row.kind in ("HANGUP", "CHAN_END") else None
        return (row.at, True) if at is None else (at, False)

    return sorted(call.rows, key=when)


def _in_turn(dials: Iterable[str], one: CelLeg, other: CelLeg) -> bool:
    """Return whether two legs were dialled one after the other: no Dial leads to both, and one to one of them."""
    peers = {peer_of(leg.rows[0].channel) for leg in (one, other)}
    led = [sum(any(_leads_to(each, peer) for peer in peers) for each in dial.split("&")) for dial in dials]
    return max(led, default=0) == 1


def _channel(row: Row, *, up: bool = False) -> ev.Channel:
    return ev.Channel(
        row.channel,
        row.uniqueid,
        row.linkedid,
        up=up,
        caller_number=row.number,
        caller_name=row.name,
        account=row.account,
        context=row.context,
        exten=row.exten,
    )


def _began(call: CelCall, leg: CelLeg, row: Row) -> Iterator[ev.Event]:
    channel = _channel(row)
    yield ev.ChannelBegan(row.at, channel)
    if leg.dialled_by:
        dialer, dial_string = _dialer(call, leg, row)
        source = _channel(_newest(dialer, row.at)) if dialer is not None else None
        yield ev.DialBegan(row.at, source, channel, dial_string)
    if row.channel.endswith(";2"):
        half = next((each for each in call.legs.values() if f"{row.channel[:-2]};1" in each.names), None)
        if half is not None:
            yield ev.LocalPaired(row.at, _channel(half.rows[0]), channel)


def _newest(leg: CelLeg, at: float) -> Row:
    return next((row for row in reversed(leg.rows) if row.at <= at), leg.rows[0])


def _dialer(call: CelCall, leg: CelLeg, row: Row) -> tuple[CelLeg | None, str]:
    """Return who dialled a leg, None when Asterisk itself did, and what it dialled as DialBegin would show it.

    A Dial is told where cel.conf tracks the application: the first of a channel by APP_START, the last by APP_END. When
    it is not told, the leg that the call began with dialled; what it dialled is not known (an empty string).
    """
    if leg.dialled_by == "AppDial2":
        return None, ""
    peer = peer_of(row.channel)
    others = [each for each in call.legs.values() if each is not leg]
    if leg.dialled_by == "AppQueue":
        queue = next((each for each in others if any(told.app == "Queue" for told in each.rows)), None)
        return queue or _first(call, others), peer
    told = [(row, other, text) for other in others for row in other.rows for text in _dialled(row, peer)]
    if not told:
        return _first(call, others), ""
    before = [each for each in told if each[0].at <= row.at]
    _, dialer, _ = max(before, key=_when) if before else min(told, key=_when)
    texts = {text for _, other, text in told if other is dialer}
    return dialer, texts.pop() if len(texts) == 1 else ""


def _when(told: tuple[Row, CelLeg, str]) -> float:
    return told[0].at


def _first(call: CelCall, legs: list[CelLeg]) -> CelLeg | None:
    return next((leg for leg in legs if leg.uniqueid in call.linkedids), None)


def _dialled(row: Row, peer: str) -> list[str]:
    """Return what a row shows a channel to dial that leads to a peer."""
    if row.app != "Dial":
        return []
    destinations = row.app_data.partition(",")[0].split("&")
    return [each.partition("/")[2] for each in destinations if _leads_to(each, peer)]


def _leads_to(destination: str, peer: str) -> bool:
    """Whether dialling ``PJSIP/608@acme``, ``PJSIP/acme/sip:608@host`` or ``PJSIP/acme`` makes a channel of a peer."""
    tech, _, rest = destination.partition("/")
    name = peer.removeprefix(f"{tech}/")
    return name != peer and name in (rest, rest.partition("@")[2], rest.partition("/")[0])


def _gave_up(leg: CelLeg, row: Row) -> bool:
    """Whether a caller left a queue by hanging up: then the end of the channel and of Queue are one moment."""
    return leg.ended_by_far_end and leg.ended_at is not None and leg.ended_at - row.at < AT_ONCE_S


def _ended(call: CelCall, leg: CelLeg, row: Row) -> Iterator[ev.Event]:
    channel = _channel(row)
    dialled = bool(leg.dialled_by) and leg.answered_at is None
    if leg.ended_by_far_end and (dialled or leg.answered_at is not None or _cancelled(leg)):
        yield ev.HangupRequested(row.at, channel, leg.cause, None)
    if dialled:
        forward = _forward(call, leg)
        status = "CANCEL" if forward is not None else _dial_status(call, leg)
        yield ev.DialEnded(row.at, channel, status, forward)
    text = catalog.q850_cause(leg.cause).asterisk_text if leg.cause else None
    yield ev.HungUp(row.at, channel, leg.cause, text, None, CEL)


def _cancelled(leg: CelLeg) -> bool:
    """Whether an unanswered caller gave up. A caller whom Asterisk refused is named as the one who hung up, too."""
    return leg.dial_status == "CANCEL" or leg.cause == 127


def _dial_status(call: CelCall, leg: CelLeg) -> str:
    if leg.ended_by_far_end:
        return DIAL_STATUSES.get(leg.cause or 0, "NOANSWER")
    if leg.cause in CANCELLING_CAUSES or any(_took_along(other, leg) for other in call.legs.values()):
        return "CANCEL"
    return "NOANSWER"


def _took_along(caller: CelLeg, leg: CelLeg) -> bool:
    if caller.ended_at is None or leg.ended_at is None or caller.dialled_by:
        return False
    return caller.ended_by_far_end and _cancelled(caller) and abs(caller.ended_at - leg.ended_at) < AT_ONCE_S


def _forward(call: CelCall, leg: CelLeg) -> str | None:
    """Return where a leg was forwarded to (a 3xx): FORWARD is told of the leg that dials, just before."""
    if not leg.ended_by_far_end or leg.ended_at is None or leg.cause not in (None, 0, 16, 23):
        return None
    told = [row for row in call.rows if row.kind == "FORWARD" and 0 <= leg.ended_at - row.at < AT_ONCE_S]
    return told[-1].forward if told else None

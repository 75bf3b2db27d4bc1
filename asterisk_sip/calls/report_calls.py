"""A call that only hangup handlers told of, as events for the core. Pure.

Where each dialled leg reports for itself (``Dial`` with ``b(asterisk-sip^leg^1)``) the events are those of AMI, with
their times. Of a caller's report alone, the legs are known that heard a response, and the last status each heard; not
when each began, so not whether they were tried at once or one after the other: they share a stage, and the call is
partial. A leg to which nothing ever came is not in such a report at all.

Rules: seen on 16.28 and 22.10.1.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from asterisk_sip import catalog
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.evidence import read_line
from asterisk_sip.calls.reports import plain_name
from asterisk_sip.calls.unique_id import made_at_s

DIAL_STATUSES = {3: "CHANUNAVAIL", 17: "BUSY", 20: "CHANUNAVAIL", 34: "CONGESTION"}
"""What DialEnd says for the cause of a refused leg (main/dial.c ``ast_hangup_cause_to_dial_status``)."""

UNSEEN_LEGS = ("NOANSWER", "CONGESTION", "BUSY")
"""What Dial says when there were legs. CHANUNAVAIL it says too when it could make none: the cause then tells why."""

LOCAL = "Local/"
ELSEWHERE_CAUSE = 26  # another leg answered
CANCELLED_CAUSE = 127  # what 487 is mapped to
AT_ONCE_S = 1.0  # a leg whose handler ran so shortly before the caller's ended with it

_RUNNING_NUMBER = re.compile(r"-([0-9a-f]{8})$")

Timed = tuple[float, int, ev.Event]


def events_of(reports: Sequence[ev.HandlerReport]) -> list[ev.Event]:
    """Return what the core has to hear of a call, in the order in which it happened."""
    callers = {report.channel.uniqueid: report for report in reports if not report.is_dialled_leg}
    legs = [report for report in reports if report.is_dialled_leg and not _stands_for_others(report, reports)]
    began = min(map(_began_at, reports))
    root = callers.get(reports[0].channel.linkedid) or next(iter(callers.values()), None)
    order = count()
    timed: list[Timed] = []
    for report in callers.values():
        left_at = min((leg.at for leg in legs if _dial_status(leg, report) == "CANCEL"), default=report.at)
        events = _caller(report, began if report is root else _began_at(report), left_at, alone=not legs)
        timed += ((at, next(order), event) for at, event in events)
    for report in sorted(legs, key=_began_at):
        timed += ((at, next(order), event) for at, event in _pair(report, callers.values()))
        timed += ((at, next(order), event) for at, event in _leg(report, callers.get(report.caller) or root))
    known = {plain_name(report.channel.name) for report in reports}
    for report in callers.values():
        heard = _heard_of_others(report, known)
        known |= {plain_name(each.name) for each in heard}  # a Local channel passes on what it heard
        timed += ((at, next(order), event) for at, event in _unreported(report, heard, began))
    return [event for _, _, event in sorted(timed, key=_when)]


def _stands_for_others(leg: ev.HandlerReport, reports: Sequence[ev.HandlerReport]) -> bool:
    """Return whether a leg is a Local channel whose other half is not known, and legs were dialled behind it."""
    name = leg.channel.name
    if not name.startswith(LOCAL) or any(report.channel.name == _half(name) for report in reports):
        return False
    others = (each for each in reports if each.is_dialled_leg and not each.channel.name.startswith(LOCAL))
    return any(_began_at(leg) <= _began_at(each) <= leg.at for each in others)


def _half(name: str) -> str:
    return f"{name[:-1]}2"  # a Local channel that is dialled is ;1, the dialplan behind it runs on ;2


def _pair(leg: ev.HandlerReport, callers: Iterable[ev.HandlerReport]) -> Iterator[tuple[float, ev.Event]]:
    for caller in callers:
        if leg.channel.name.startswith(LOCAL) and caller.channel.name == _half(leg.channel.name):
            at = max(_began_at(leg), _began_at(caller))
            yield at, ev.LocalPaired(at, _plain(leg), _plain(caller))


def _plain(report: ev.HandlerReport) -> ev.Channel:
    """Return the channel as it was before it rang or was answered."""
    return report.channel._replace(up=False, ringing=False)


def _when(timed: Timed) -> tuple[float, bool, int]:
    at, order, event = timed
    return at, isinstance(event, ev.HungUp), order


def _began_at(report: ev.HandlerReport) -> float:
    """Return when a channel began: to the second, by its uniqueid, when nobody noted it."""
    if report.began_at is not None:
        return min(report.began_at, report.at)
    second = made_at_s(report.channel.uniqueid)
    return report.at if second is None else min(float(second), report.at)


def _caller(report: ev.HandlerReport, began: float, left_at: float, *, alone: bool) -> Iterator[tuple[float, ev.Event]]:
    """``left_at`` is when the first of its legs was cancelled: a caller who gives up leaves before they end.

    ``alone``: no leg reported. When none was heard either, yet Dial failed, nobody knows what became of the legs.
    """
    channel = _plain(report)
    yield began, ev.ChannelBegan(began, channel)
    if report.channel.up:
        up_at = min(max(began, report.answered_at or report.at), report.at)
        yield up_at, ev.ChannelSeen(up_at, report.channel)
    if report.queue_status is not None:
        yield began, ev.QueueJoined(began, channel)
        yield report.at, ev.QueueLeft(report.at, channel)
    if report.requested and report.channel.up:
        yield report.at, ev.HangupRequested(report.at, report.channel, report.cause, None)
    elif report.requested and _gave_up(report):
        yield min(left_at, report.at), ev.HangupRequested(min(left_at, report.at), channel, report.cause, None)
    unknown = alone and not report.heard and report.dial_status in UNSEEN_LEGS
    yield report.at, _hung_up(report._replace(cause=None) if unknown else report, report.channel)


def _gave_up(report: ev.HandlerReport) -> bool:
    """Return whether an unanswered caller left. One whom Asterisk refused is named as the source of his end too."""
    return report.dial_status == "CANCEL" or report.cause in (None, 0, CANCELLED_CAUSE)


def _leg(report: ev.HandlerReport, caller: ev.HandlerReport | None) -> Iterator[tuple[float, ev.Event]]:
    channel = _plain(report)
    source = _plain(caller) if caller is not None else None
    began = _began_at(report)
    yield began, ev.ChannelBegan(began, channel)
    # An answer is the only sign of life that has a time; when it rang is not told, so nor is the post-dial delay.
    yield began, ev.DialBegan(began, source, channel, report.dialled or "", seen=not report.channel.up)
    if report.requested:
        yield report.at, ev.HangupRequested(report.at, channel, report.cause, None)
    if report.channel.up:
        answered_at = min(max(began, _answered_at(report, caller)), report.at)
        yield answered_at, ev.DialEnded(answered_at, report.channel, "ANSWER", None)
    else:
        yield report.at, ev.DialEnded(report.at, channel, _dial_status(report, caller), None)
    yield report.at, _hung_up(report, report.channel)


def _answered_at(report: ev.HandlerReport, caller: ev.HandlerReport | None) -> float:
    """Return when a leg was answered: by its CDR, else by how long the caller's Dial says that the talk was."""
    if report.answered_at is not None:
        return report.answered_at
    if caller is not None and caller.dial_status == "ANSWER" and caller.answered_ms is not None:
        return report.at - caller.answered_ms / 1000
    return report.at


def _dial_status(report: ev.HandlerReport, caller: ev.HandlerReport | None) -> str:
    if report.requested:
        return DIAL_STATUSES.get(report.cause or 0, "NOANSWER")
    if report.cause == ELSEWHERE_CAUSE:
        return "CANCEL"
    if caller is not None and caller.dial_status == "CANCEL" and caller.at - report.at < AT_ONCE_S:
        return "CANCEL"
    return "NOANSWER"


def _hung_up(report: ev.HandlerReport, channel: ev.Channel) -> ev.HungUp:
    text = catalog.q850_cause(report.cause).asterisk_text if report.cause else None
    return ev.HungUp(report.at, channel, report.cause, text, None, report.source)


# legs that did not report for themselves


@dataclass(frozen=True, slots=True)
class _Heard:
    """A leg as its caller knows it: its channel's name, and the last status it heard."""

    name: str
    code: int | None

    @property
    def answered(self) -> bool:
        return self.code is not None and 200 <= self.code < 300


def _heard_of_others(report: ev.HandlerReport, known: Collection[str]) -> list[_Heard]:
    """Return the legs in a caller's report that nobody told of yet, in the order in which their channels were made."""
    heard = []
    for name, text in report.heard:
        if plain_name(name) not in known:
            reading = read_line(text)
            heard.append(_Heard(name, reading[0] if reading else None))
    return sorted(heard, key=_running_number)


def _running_number(heard: _Heard) -> int:
    number = _RUNNING_NUMBER.search(plain_name(heard.name))
    return int(number[1], 16) if number else 0


def _unreported(caller: ev.HandlerReport, heard: Sequence[_Heard], began: float) -> Iterator[tuple[float, ev.Event]]:
    answered = any(each.answered for each in heard)
    for each in heard:
        # Nobody told its uniqueid; names are used again when Asterisk starts anew.
        channel = ev.Channel(each.name, f"{caller.channel.linkedid}/{each.name}", caller.channel.linkedid)
        yield began, ev.ChannelSeen(began, channel)  # seen, not begun: so the call is partial
        yield began, ev.DialBegan(began, _plain(caller), channel, "", seen=False)
        final = each.code is not None and each.code >= 300
        if final:
            yield caller.at, ev.HangupRequested(caller.at, channel, None, None)
        if each.answered:
            at = min(max(began, caller.answered_at or _answered_at(caller, caller)), caller.at)
            yield at, ev.DialEnded(at, channel._replace(up=True), "ANSWER", None)
        else:
            cancelled = not final and (answered or _left_while_dialling(caller))
            status = "CANCEL" if cancelled else _status_of_one(caller, heard)
            yield caller.at, ev.DialEnded(caller.at, channel, status, None)
        yield caller.at, ev.HungUp(caller.at, channel, None, None, None, caller.source)


def _left_while_dialling(caller: ev.HandlerReport) -> bool:
    """Return whether a caller left while legs were dialled: Dial says CANCEL then, and Queue nothing."""
    if caller.dial_status is None and caller.queue_status is None:
        return caller.requested and (caller.channel.up or _gave_up(caller))
    return caller.dial_status == "CANCEL"


def _status_of_one(caller: ev.HandlerReport, heard: Sequence[_Heard]) -> str:
    """Return Dial's word for the end of a leg: known when there was but one."""
    return caller.dial_status if len(heard) == 1 and caller.dial_status else "NOANSWER"

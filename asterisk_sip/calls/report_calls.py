"""A call that only hangup handlers told of, as events for the core. Pure.

Where each dialled leg reports for itself (``Dial`` with ``b(asterisk-sip^leg^1)``) the events are those of AMI, with
their times. Of a caller's report alone, the legs are known that heard a response, and the last status each heard; not
when each began, so not whether they were tried at once or one after the other: they share a stage, and the call is
partial. A leg to which nothing ever came is not in such a report at all.

Rules: seen on 16.28 and 22.10.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from asterisk_sip import catalog
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.evidence import read_line
from asterisk_sip.calls.reports import plain_name

DIAL_STATUSES = {3: "CHANUNAVAIL", 17: "BUSY", 20: "CHANUNAVAIL", 34: "CONGESTION"}
"""What DialEnd says for the cause of a refused leg (main/dial.c ``ast_hangup_cause_to_dial_status``)."""

ELSEWHERE_CAUSE = 26  # another leg answered
CANCELLED_CAUSE = 127  # what 487 is mapped to
AT_ONCE_S = 1.0  # a leg whose handler ran so shortly before the caller's ended with it

_SECONDS = re.compile(r"(?:.*-)?(\d{9,11})\.\d+")
_RUNNING_NUMBER = re.compile(r"-([0-9a-f]{8})$")

Timed = tuple[float, int, ev.Event]


def events_of(reports: Sequence[ev.HandlerReport]) -> list[ev.Event]:
    """Return what the core has to hear of a call, in the order in which it happened."""
    callers = {report.channel.uniqueid: report for report in reports if not report.is_dialled_leg}
    legs = [report for report in reports if report.is_dialled_leg]
    began = min(map(_began_at, reports))
    order = count()
    timed: list[Timed] = []
    first = next(iter(callers.values()), None)
    for report in callers.values():
        left_at = min((leg.at for leg in legs if _dial_status(leg, report) == "CANCEL"), default=report.at)
        events = _caller(report, began if report is first else _began_at(report), left_at)
        timed += ((at, next(order), event) for at, event in events)
    for report in sorted(legs, key=_began_at):
        caller = callers.get(report.caller) or first
        timed += ((at, next(order), event) for at, event in _leg(report, caller))
    for report in callers.values():
        heard = _heard_of_others(report, legs)
        timed += ((at, next(order), event) for at, event in _unreported(report, heard, began))
    return [event for _, _, event in sorted(timed, key=_when)]


def _when(timed: Timed) -> tuple[float, bool, int]:
    at, order, event = timed
    return at, isinstance(event, ev.HungUp), order


def _began_at(report: ev.HandlerReport) -> float:
    """Return when a channel began: to the second, by its uniqueid, when nobody noted it."""
    if report.began_at is not None:
        return min(report.began_at, report.at)
    seconds = _SECONDS.fullmatch(report.channel.uniqueid)
    return min(float(seconds[1]), report.at) if seconds else report.at


def _caller(report: ev.HandlerReport, began: float, left_at: float) -> Iterator[tuple[float, ev.Event]]:
    """``left_at`` is when the first of its legs was cancelled: a caller who gives up leaves before they end."""
    channel = report.channel._replace(up=False, ringing=False)
    yield began, ev.ChannelBegan(began, channel)
    if report.channel.up:
        up_at = min(max(began, report.answered_at or report.at), report.at)
        yield up_at, ev.ChannelSeen(up_at, report.channel)
    if report.requested and report.channel.up:
        yield report.at, ev.HangupRequested(report.at, report.channel, report.cause, None)
    elif report.requested and _gave_up(report):
        yield min(left_at, report.at), ev.HangupRequested(min(left_at, report.at), channel, report.cause, None)
    yield report.at, _hung_up(report, report.channel)


def _gave_up(report: ev.HandlerReport) -> bool:
    """Return whether an unanswered caller left. One whom Asterisk refused is named as the source of his end too."""
    return report.dial_status == "CANCEL" or report.cause in (None, 0, CANCELLED_CAUSE)


def _leg(report: ev.HandlerReport, caller: ev.HandlerReport | None) -> Iterator[tuple[float, ev.Event]]:
    channel = report.channel._replace(up=False, ringing=False)
    source = caller.channel._replace(up=False) if caller is not None else None
    began = _began_at(report)
    yield began, ev.ChannelBegan(began, channel)
    yield began, ev.DialBegan(began, source, channel, report.dialled or "")
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


def _heard_of_others(report: ev.HandlerReport, legs: Sequence[ev.HandlerReport]) -> list[_Heard]:
    """Return the legs in a caller's report that did not report, in the order in which Asterisk made their channels."""
    known = {plain_name(leg.channel.name) for leg in legs} | {plain_name(report.channel.name)}
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
        yield began, ev.DialBegan(began, caller.channel._replace(up=False), channel, "", seen=False)
        final = each.code is not None and each.code >= 300
        if final:
            yield caller.at, ev.HangupRequested(caller.at, channel, None, None)
        if each.answered:
            at = min(max(began, caller.answered_at or _answered_at(caller, caller)), caller.at)
            yield at, ev.DialEnded(at, channel._replace(up=True), "ANSWER", None)
        else:
            cancelled = not final and (answered or caller.dial_status == "CANCEL")
            status = "CANCEL" if cancelled else _status_of_one(caller, heard)
            yield caller.at, ev.DialEnded(caller.at, channel, status, None)
        yield caller.at, ev.HungUp(caller.at, channel, None, None, None, caller.source)


def _status_of_one(caller: ev.HandlerReport, heard: Sequence[_Heard]) -> str:
    """Return Dial's word for the end of a leg: known when there was but one."""
    return caller.dial_status if len(heard) == 1 and caller.dial_status else "NOANSWER"

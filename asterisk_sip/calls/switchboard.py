"""All that is known of one PBX: its calls in flight, and those that ended and wait for late news of other doors. Pure.

One fact comes through several doors at different times: over ARI at once, over AMI when the socket is read next, from a
hangup handler a little before the end. A call whose last channel has hung up therefore waits ``settle_s`` seconds, and
goes to the verdict with all that was told by then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.correlator import Correlator
from asterisk_sip.calls.dialog_calls import MAX_LEGS, DialogCalls
from asterisk_sip.calls.dialog_claims import claim_dialogs
from asterisk_sip.calls.dialogs import MAX_SETUPS, MAX_TALKS, Dialogs
from asterisk_sip.calls.own_address import Addresses, EndpointNames
from asterisk_sip.calls.refusals import Refusals
from asterisk_sip.calls.report_calls import events_of
from asterisk_sip.calls.reports import Reports, Standing, Told
from asterisk_sip.calls.sip_seen import SipSeen
from asterisk_sip.calls.state import Call

TRAILING_S = 0.25
"""How long the acknowledgements of a dialog that ended are waited for."""


class Switchboard:
    """Takes the events of all doors of one PBX, in the order in which they come; gives the calls that ended.

    ``settle_s`` is how long an ended call waits: 0 for a PBX with one door. ``now`` is seconds by any clock that only
    grows, the same in every call: the daemon's own, or that of the events when a recording is read.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        settle_s: float = 0.0,
        addresses: Addresses | None = None,
        hep_alone: bool = False,
    ) -> None:
        """``addresses``: what the configuration tells of the PBX's SIP addresses and those around it.

        ``hep_alone``: nothing but SIP messages tells of the calls.
        """
        addresses = addresses or Addresses()
        self.correlator = Correlator(limits, holds=settle_s > 0 or hep_alone)
        self.reports = Reports(patience_s=(limits or Limits()).age_s)
        most = (limits or Limits()).open_calls
        self.dialogs = Dialogs(addresses.local, setups=min(MAX_SETUPS, most), talks=min(MAX_TALKS, most))
        names = EndpointNames(addresses.endpoints)
        self.refusals = Refusals(names)
        self._dialog_calls = DialogCalls(self.dialogs.own, names, min(MAX_LEGS, most)) if hep_alone else None
        self._settle_s = settle_s
        self._settling: deque[tuple[float, Call]] = deque()

    @property
    def held(self) -> int:
        """How many entries are kept for calls: none when there is no call."""
        return self.correlator.held + len(self._settling) + self.reports.held + self.dialogs.held + self.refusals.held

    def feed(self, event: ev.Event, now: float) -> list[Call]:
        """Take one event; return the calls that are complete with it."""
        if isinstance(event, SipSeen):
            return self._sip(event, now)
        if isinstance(event, ev.HandlerReport):
            self.reports.add(event, now)
            return []
        return self.ended(self.correlator.feed(event), now)

    def ended(self, calls: list[Call], now: float) -> list[Call]:
        """Take calls that ended; return those that are complete now."""
        if not self._settle_s:
            for call in calls:
                self._claim(call)
            return calls
        self._settling.extend((now + self._settle_s, call) for call in calls)
        return self.due(now) if self._settling else []

    def due(self, now: float) -> list[Call]:
        """Return the calls whose wait is over, those that only hangup handlers told of, and those refused at once."""
        complete = []
        for reports in self.reports.due(now, self._standing):
            complete += self._made_of(reports)
        if self._dialog_calls is not None:
            self._ended_with(self._dialog_calls.due(now), now)
        while self._settling and self._settling[0][0] <= now:
            complete.append(self._release())
        return complete + self._refused(now)

    def finish(self) -> list[Call]:
        """Return all ended calls, waited or not: nothing more will be told."""
        complete = []
        for reports in self.reports.finished(self._standing):
            complete += self._made_of(reports)
        complete += [self._release() for _ in range(len(self._settling))]
        return complete + self._refused(float("inf"))

    def waiting(self) -> Iterable[Call]:
        """Return the calls that ended and still wait."""
        return (call for _, call in self._settling)

    def _standing(self, told: Told) -> Standing:
        uniqueids = [report.channel.uniqueid for report in told.reports]
        if self.correlator.in_flight(told.linkedid, uniqueids):
            return Standing.IN_FLIGHT
        ended = self.correlator.has_ended(told.linkedid, uniqueids)
        return Standing.RECORDED if ended else Standing.UNKNOWN

    def _made_of(self, reports: tuple[ev.HandlerReport, ...]) -> list[Call]:
        """Make a call of reports; it waits for nothing more, they did already."""
        ended = [call for event in events_of(reports) for call in self.correlator.feed(event)]
        for call in ended:
            self._claim(call)
            self.correlator.release(call)
        return ended

    def _release(self) -> Call:
        _, call = self._settling.popleft()
        self._claim(call)
        self.correlator.release(call)
        return call

    def _sip(self, seen: SipSeen, now: float) -> list[Call]:
        dialog = self.dialogs.feed(seen, now)
        if dialog is None:
            self.refusals.message(seen, now, sent=self.dialogs.own.sent(seen))
        elif self._dialog_calls is not None:
            self._ended_with(self._dialog_calls.feed(dialog, now), now)
        return []

    def _ended_with(self, events: Iterable[ev.Event], now: float) -> None:
        """Let calls wait that end with what the dialogs tell: the last messages of their legs are still to come."""
        ended = [call for event in events for call in self.correlator.feed(event)]
        self._settling.extend((now + max(self._settle_s, TRAILING_S), call) for call in ended)

    def _refused(self, now: float) -> list[Call]:
        """Return what was refused without a channel, as calls."""
        for dialog in self.dialogs.unclaimed(now):
            self.refusals.call(dialog, now)
        refusals = self.refusals.due(now)
        return [Call(each.key, 0, each.began_at, each.ended_at, refusal=each) for each in refusals]

    def _claim(self, call: Call) -> None:
        """Give an ended call what handlers told of it and what the wire showed."""
        self.reports.claim(call)
        claim_dialogs(call, self.dialogs)

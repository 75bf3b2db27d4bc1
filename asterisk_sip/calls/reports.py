"""What hangup handlers told, kept until the call it is about has ended. Pure; bounded.

A call that another door tells of claims its reports when it goes to the verdict. Reports that no such call claims are
the only news of theirs: they are handed out, one call at a time, to become calls themselves (``report_calls``).
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from asterisk_sip.calls.events import HandlerReport
from asterisk_sip.calls.state import Call, Leg

MAX_CALLS = 20_000
MAX_REPORTS = 500  # of one call

SETTLE_S = 2.0
"""How long a call is waited for whose first channel has reported: the handlers of its legs may run a moment later."""

LOOK_S = 10.0
"""How often it is looked whether a call still has to be waited for; so long, too, a claimed one may leave a trace."""

NO_ROOT_S = 30.0
"""How long a call is waited for whose first channel has no handler hooked in."""


class Standing(Enum):
    """What the other doors know of a call."""

    UNKNOWN = "unknown"
    IN_FLIGHT = "in flight"
    RECORDED = "recorded"


@dataclass(slots=True)
class Told:
    """The reports of one call: those that share a linkedid."""

    linkedid: str
    reports: list[HandlerReport] = field(default_factory=list)
    ripe_at: float = 0.0  # when it has been waited for long enough
    due_at: float = 0.0  # when it is looked at next

    @property
    def has_root(self) -> bool:
        """Whether the channel that the call began with has reported: it is the last to go, or nearly so."""
        return any(report.channel.uniqueid == self.linkedid for report in self.reports)

    def wait_s(self, patience_s: float) -> float:
        """Return how long to wait for more: ``patience_s`` for a first channel that is known to report when it ends."""
        if self.has_root:
            return SETTLE_S
        return patience_s if any(report.root == self.linkedid for report in self.reports) else NO_ROOT_S


class Reports:
    """The reports of one PBX. ``now`` is seconds by any clock that only grows, the same in every call."""

    def __init__(self, max_calls: int = MAX_CALLS, patience_s: float = 86_400.0) -> None:
        self._max_calls = max_calls
        self._patience_s = patience_s
        self._calls: OrderedDict[str, Told] = OrderedDict()  # by linkedid, the longest silent first
        self._linkedid_of: dict[str, str] = {}  # by uniqueid of the channel that reported
        self._due: list[tuple[float, str]] = []
        self.given_up = 0  # calls whose reports were forgotten to make room
        self.left_out = 0  # reports over the bound of one call

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def held(self) -> int:
        """How many entries are kept: none when every report was claimed."""
        return len(self._calls) + len(self._linkedid_of)  # what waits to be looked at goes by itself

    def add(self, report: HandlerReport, now: float) -> None:
        """Keep a report. The same one again, by another way, changes nothing."""
        linkedid = report.channel.linkedid or report.channel.uniqueid
        if report.channel.uniqueid in self._linkedid_of:
            return
        told = self._calls.get(linkedid)
        if told is None:
            if len(self._calls) >= self._max_calls:
                self._remove(next(iter(self._calls.values())))
                self.given_up += 1
            told = self._calls[linkedid] = Told(linkedid)
        if len(told.reports) >= MAX_REPORTS:
            self.left_out += 1
            return
        told.reports.append(report)
        self._linkedid_of[report.channel.uniqueid] = linkedid
        self._calls.move_to_end(linkedid)
        told.ripe_at = now + told.wait_s(self._patience_s)
        self._schedule(told, now + SETTLE_S)

    def claim(self, call: Call) -> None:
        """Tell the legs of an ended call what the reports say of them; those reports are done with."""
        if not self._calls:
            return
        linkedids = {call.linkedid, *call.joined, *filter(None, map(self._linkedid_of.get, call.legs))}
        for told in [self._calls[linkedid] for linkedid in sorted(linkedids) if linkedid in self._calls]:
            _tell(call, told.reports)
            self._remove(told)

    def due(self, now: float, standing: Callable[[Told], Standing]) -> list[tuple[HandlerReport, ...]]:
        """Return the reports of each call that nobody else told of, when it has been waited for long enough.

        They stay, to be claimed by the call that is made of them. ``standing`` says what the other doors know: the
        reports of a call in flight wait on, those of a call that is recorded already are forgotten.
        """
        found = []
        while self._due and self._due[0][0] <= now:
            at, linkedid = heapq.heappop(self._due)
            told = self._calls.get(linkedid)
            if told is None or told.due_at != at:
                continue
            known = standing(told)
            if known is Standing.RECORDED:
                self._remove(told)
                continue
            if known is Standing.UNKNOWN and told.ripe_at <= now:
                found.append(tuple(told.reports))
            self._schedule(told, now + LOOK_S)
        return found

    def finished(self, standing: Callable[[Told], Standing]) -> Iterator[tuple[HandlerReport, ...]]:
        """Yield at once what ``due`` would in time, of calls whose first channel has reported: no more will be told."""
        for told in list(self._calls.values()):
            if told.has_root and standing(told) is Standing.UNKNOWN:
                yield tuple(told.reports)

    def _schedule(self, told: Told, at: float) -> None:
        told.due_at = at
        heapq.heappush(self._due, (at, told.linkedid))

    def _remove(self, told: Told) -> None:
        del self._calls[told.linkedid]
        for report in told.reports:
            del self._linkedid_of[report.channel.uniqueid]


def _tell(call: Call, reports: list[HandlerReport]) -> None:
    """A leg's own report goes before what its caller says of it, and only its own can say that nothing came."""
    named = {plain_name(leg.name): leg for leg in call.legs.values()}
    own = [report for report in reports if report.is_dialled_leg]
    for report in own:
        leg = call.legs.get(report.channel.uniqueid)
        if leg is not None:
            texts = dict(report.heard)
            _say(leg, report.source, texts.get(report.channel.name, texts.get(leg.name)))
    for report in reports:
        leg = call.legs.get(report.channel.uniqueid)
        if leg is not None and leg.call_id is None:
            leg.call_id = report.channel.call_id
        for name, text in report.heard:
            heard = named.get(plain_name(name))
            if heard is not None:
                _say(heard, report.source, text)


def _say(leg: Leg, source: str, text: str | None) -> None:
    if all(told != source for told, _ in leg.told):
        leg.told = (*leg.told, (source, text))


def plain_name(channel_name: str) -> str:
    """Return a channel's name without what a masquerade hangs on it: ``PJSIP/acme-0000002a<ZOMBIE>``."""
    return channel_name.partition("<")[0]
